"""The trained model that is exported: its parts, and the information in its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.assemble import Parts
    from ocrexp.charset.charset import Charset
    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task


@dataclass(frozen=True)
class Trained:
    """The run to export.

    Args:
        parts: the parts of the run, with all overrides applied and with the weights of a checkpoint.
    """

    parts: Parts

    @property
    def config(self) -> DictConfig:
        """The run's configuration."""
        return self.parts.config

    @property
    def weights(self) -> Path:
        """The .pdparams file; its states, if any, are beside it."""
        assert self.parts.weights is not None
        return self.parts.weights

    @property
    def charset(self) -> Charset | None:
        """The characters of a recognizer; None for other tasks."""
        return self.parts.charset

    @property
    def task(self) -> Task:
        """The task, which describes, runs and compares predictions."""
        return self.parts.task

    def model(self) -> OCRModel:
        """A new copy of the network with the weights that the run evaluated, in evaluation mode; in float, also where
        the training was quantization-aware.

        Raises CheckpointError if the file does not fit.
        """
        from ocrexp.models.fake_int8 import compute_in_float

        model = self.parts.deployed_of(self.parts.new_model())
        compute_in_float(model)
        model.eval()
        return model

    def states(self) -> dict[str, Any]:
        """The states of the checkpoint; empty for a file without states."""
        from ocrexp.engine.weights import states_beside

        return states_beside(self.weights)

    def checkpoint(self) -> dict[str, Any]:
        """Name, progress and kind of the weights, for the description and the log."""
        states = self.states()
        averaged = states.get("average") is not None or states.get("weights") == "average"
        # A checkpoint of a run is published under its name; the file itself may be a numbered one.
        name = self.weights.name.split(".")[0]
        known: dict[str, Any] = {"name": name, "weights": "average" if averaged else "raw"}
        known |= {key: states[key] for key in ("epoch", "global_step") if key in states}
        best = states.get("best_model_dict") or {}
        if name == "best_accuracy" and best:
            known["metric"] = {str(key): value for key, value in best.items() if "/" not in str(key)}
        return known
