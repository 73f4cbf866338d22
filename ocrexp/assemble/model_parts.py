"""The parts of a run that its model needs: the source of its images, the charset, and the model itself."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble.data import build_source
from ocrexp.assemble.distill import has_roles, without_weights
from ocrexp.assemble.model import build_charset, build_model, charset_of
from ocrexp.config.build import named
from ocrexp.config.plain import trainer_settings
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    import paddle

    from ocrexp.charset.charset import Charset
    from ocrexp.engine.settings import TrainerSettings
    from ocrexp.models.calibration import Folded
    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task
    from ocrexp.types import DataSource, Transform

log = logging.getLogger(__name__)

_IMAGES = {"page": "pages with the polygons of their regions", "line": "images of one line of text"}


@dataclass(frozen=True, eq=False)
class ModelParts:
    """Source, charset and model of a run; see `ocrexp.assemble.parts`."""

    config: DictConfig
    weights: Path | None = None
    given_charset: Charset | None = None
    rank: int = 0
    world_size: int = 1
    given_source: DataSource | None = None

    @cached_property
    def settings(self) -> TrainerSettings:
        """The values of the node `trainer`."""
        return trainer_settings(self.config)

    @cached_property
    def task(self) -> Task:
        """The object of the task that `config.task` names."""
        from ocrexp.tasks.find import find_task

        return find_task(str(self.config.task))

    @cached_property
    def source(self) -> DataSource:
        """Where the records come from; with `overfit` the first batch of them."""
        source = build_source(self.config.dataset) if self.given_source is None else self.given_source
        if not self.config.get("overfit"):
            return source
        from ocrexp.data.first_batch import FirstBatch
        from ocrexp.engine.devices import process_count

        trainer, size = self.config.trainer, self.config.loader.batch_size
        return FirstBatch(source, size * trainer.accumulate * process_count(trainer.devices))

    @cached_property
    def charset(self) -> Charset | None:
        """The characters of a recognizer; None for other tasks. Those of the checkpoint where there is one."""
        if self.given_charset is not None:
            return self.given_charset
        if self.weights is None:
            return build_charset(self.config, lambda: self.source)
        return charset_of(self.weights, self.config, lambda: self.source)

    def _augment(self) -> list[Transform]:
        """What is done to a training image."""
        from ocrexp.types import AsksForCharacters, PlainTransform

        augment = self._transforms("augment")
        for transform in augment:
            if self.charset is not None and isinstance(transform, AsksForCharacters):
                transform.know_characters(self.charset.entries)
        if self.config.get("overfit"):
            augment = [transform.plain() for transform in augment if isinstance(transform, PlainTransform)]
        return augment

    def _transforms(self, key: str) -> list[Transform]:
        """The parts of the node `augment` or `preprocess`, in their order."""
        from ocrexp.types import ForOneKind

        found: dict[str, Transform] = named(self.config.get(key))
        for name, transform in found.items():
            if isinstance(transform, ForOneKind) and transform.images != self.task.images:
                raise ConfigError(
                    f"{key}.{name}: {type(transform).__name__} is for {_IMAGES[transform.images]}, and task="
                    f"{self.task.name} has {_IMAGES[self.task.images]}; remove {key}=NAME to have the model's own, or "
                    f"choose another one: python -m ocrexp list {key}"
                )
        return list(found.values())

    @cached_property
    def model(self) -> OCRModel:
        """The model: with pretrained weights and frozen parts as `model.pretrained` and `model.freeze` ask, or with the
        weights of the checkpoint."""
        model, averaged = self._new_model()
        if averaged:
            log.info("weights: the averages of %s, as in the run", self.weights)
        return model

    def new_model(self) -> OCRModel:
        """Another one like `model`. Raises CheckpointError if the checkpoint does not fit."""
        return self._new_model()[0]

    def _new_model(self) -> tuple[OCRModel, bool]:
        """A model, and whether its weights are averages."""
        if self.weights is None:
            return build_model(self.config, self.charset, self._calibrate), False
        from ocrexp.engine.weights import load_evaluated
        from ocrexp.models.network import Network

        config = self.config.copy()  # the checkpoint has all weights
        if has_roles(config):
            config = without_weights(config)
        OmegaConf.update(config, "model.pretrained", None, force_add=True)
        OmegaConf.update(config, "model.freeze", [], force_add=True)
        OmegaConf.update(config, "model.unfreeze_after_steps", None, force_add=True)
        model = build_model(config, self.charset)
        learns = model.trainable() if isinstance(model, Network) else model
        return model, load_evaluated(learns, self.weights)

    def _calibrate(self, model: OCRModel, folded: list[Folded]) -> None:
        """Measures, on training images, the statistics of batch norms that a deployed model does not have."""
        import paddle

        from ocrexp.assemble.deployed import sampler_of, training_images
        from ocrexp.data.records import some_records
        from ocrexp.models.calibration import calibrate

        records, _ = some_records(self.source.train_records())
        sample = sampler_of(records, self._augment(), self.config.seed)

        def run(images: Any, valid_width: Any) -> object:
            known = None if valid_width is None else {"valid_width": paddle.to_tensor(valid_width)}
            return model(paddle.to_tensor(images), targets=known)

        batches = (functools.partial(run, *batch) for batch in training_images(sample, len(records)))
        count = calibrate(model, folded, batches)
        log.info("pretrained: %d batch norms got their statistics from %d training batches", len(folded), count)

    @property
    def learns(self) -> paddle.nn.Layer:
        """What of the model learns, is averaged and saved."""
        from ocrexp.models.network import Network

        return self.model.trainable() if isinstance(self.model, Network) else self.model

    @property
    def _deployed(self) -> Any:
        from ocrexp.models.network import Network

        return self.model.deployed() if isinstance(self.model, Network) else self.model

    def deployed_of(self, model: paddle.nn.Layer) -> OCRModel:
        """What of a model is exported. Raises ConfigError for a model that does not give what an export needs."""
        from ocrexp.models.model import OCRModel
        from ocrexp.models.network import Network

        deployed = model.deployed() if isinstance(model, Network) else model
        if not isinstance(deployed, OCRModel):
            raise ConfigError(f"model: deployed() must return an OCRModel, got {type(deployed).__name__}")
        return deployed
