"""The trained model that is exported: its configuration, its characters, and the weights that were evaluated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.errors import CheckpointError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.charset.charset import Charset
    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What is exported.

    Args:
        config: the run's configuration, all overrides applied.
        weights: a .pdparams file, its states beside it if it has any.
        charset: of a recogniser; None: a detector.
    """

    config: DictConfig
    weights: Path
    charset: Charset | None

    def model(self) -> OCRModel:
        """The training model with its weights, in evaluation mode.

        They are those that the run evaluated, see `load_evaluated`. Raises CheckpointError where the file does not fit.
        """
        from ocrexp.config.build import build_model
        from ocrexp.engine.weights import load_evaluated

        self.config.model.pretrained = None  # the checkpoint holds all of them
        self.config.model.freeze = []
        model = build_model(self.config, self.charset)
        load_evaluated(model, self.weights)
        model.eval()
        return model

    @property
    def task(self) -> Task:
        """What knows how its predictions are described, run and compared."""
        from ocrexp.config.build import task_of

        return task_of(self.config)

    def states(self) -> dict[str, Any]:
        """What the checkpoint states beside its weights; empty for a bare file."""
        from ocrexp.engine.weights import states_beside

        return states_beside(self.weights)

    def checkpoint(self) -> dict[str, Any]:
        """Name, progress and kind of the weights, for the description and the log."""
        states = self.states()
        averaged = states.get("average") is not None or states.get("weights") == "average"
        # A set of a run is published under its name; the file itself may be one of its numbered ones.
        name = self.weights.name.split(".")[0]
        known: dict[str, Any] = {"name": name, "weights": "average" if averaged else "raw"}
        known |= {key: states[key] for key in ("epoch", "global_step") if key in states}
        best = states.get("best_model_dict") or {}
        if name == "best_accuracy" and best:
            known["metric"] = {str(key): value for key, value in best.items() if "/" not in str(key)}
        return known


def find_charset(config: DictConfig, weights: Path) -> Charset | None:
    """The characters that the checkpoint carries, else those of the configuration.

    Raises CheckpointError where neither says them.
    """
    from ocrexp.config.build import build_charset, build_source, saved_charset
    from ocrexp.errors import ConfigError, DataError

    saved = saved_charset(weights)
    if saved is not None or config.get("charset") is None:
        return saved
    try:
        return build_charset(config)
    except ConfigError:
        try:
            return build_charset(config, build_source(config))  # read off the training labels
        except DataError as error:
            raise CheckpointError(
                f"{weights} does not say its characters, and the labels that they were read off are gone ({error}); "
                "give them with charset=dictionary charset.path=FILE"
            ) from error
