"""The parts of a run that make its batches: targets, transforms and loaders."""

from __future__ import annotations

import functools
from functools import cached_property
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp.assemble.model_parts import ModelParts
from ocrexp.config.build import build, keyed
from ocrexp.errors import ConfigError
from ocrexp.located import located

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.data.loader import Loader
    from ocrexp.types import DataSource, Transform


class DataParts(ModelParts):
    """Targets, transforms and loaders of a run; see `ocrexp.assemble.parts`."""

    @cached_property
    def targets(self) -> Transform:
        """What makes the targets of the loss, for training and for the validation loss.

        It knows how many steps the model's CTC output has at each size of training images.
        """
        from ocrexp.types import AsksForSteps

        targets: Transform = with_charset("targets", build(self.config.targets), self.charset)
        if isinstance(targets, AsksForSteps) and targets.asks_for_steps:
            from ocrexp.models.steps import ctc_steps

            targets.know_steps({size: ctc_steps(self._deployed, size) for size in self._image_sizes()})
        return targets

    def _image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of images in training and, of those that need not be widened, in evaluation."""
        several = OmegaConf.select(self.config, "loader.multi_scale.sizes") or ()
        sizes = [*several, self.config.model.image_shape]
        return list(dict.fromkeys((int(size[0]), int(size[1])) for size in sizes if len(size) == 2))

    @property
    def train_transforms(self) -> list[Transform]:
        """What is done to a training sample: augmentation, then what the loss needs."""
        return [*self._augment(), self.targets]

    @cached_property
    def train_loader(self) -> Loader:
        """Batches for training; `loader.batch_size` is per process."""
        from ocrexp.data.dataset import TrainPipeline
        from ocrexp.data.loaders import build_train_loader

        config = self.config
        pipeline = TrainPipeline(self.source.train_records(), self.train_transforms, config.seed)
        values = {"ratios": config.dataset.get("ratios"), **self._loader_values()}
        if config.get("overfit"):  # one batch has no shares
            values |= {"ratios": None, "batch_shares": None}
        with located("loader", config.loader, ConfigError):
            return build_train_loader(
                pipeline,
                collate=self.task.collate_train,
                several_sizes=self.task.several_sizes,
                seed=config.seed,
                rank=self.rank,
                world_size=self.world_size,
                **values,
            )

    @cached_property
    def eval_loader(self) -> Loader:
        """Batches for evaluation, in list order, each image once over all processes; in training also with what the
        validation loss needs."""
        return self.eval_loader_of(self.source, targets=self.weights is None and self.settings.val_loss)

    def eval_loader_of(self, source: DataSource, *, targets: bool = False, **options: Any) -> Loader:
        """The evaluation's loader for other records, labels normalized by the charset; `targets`: with what the
        loss needs; `options`: other values of the node `loader`."""
        from ocrexp.data.dataset import EvalPipeline
        from ocrexp.data.loaders import build_eval_loader
        from ocrexp.data.transforms.label_text import NormalizedTexts
        from ocrexp.data.val_targets import TargetsBeside

        transforms = self._transforms("preprocess")
        if self.charset is not None and self.charset.normalization.facts:
            transforms.insert(0, NormalizedTexts(self.charset))
        if targets:
            transforms.append(TargetsBeside(self.targets))
        pipeline = EvalPipeline(source.val_records(), transforms)
        with located("loader", self.config.loader, ConfigError):
            return build_eval_loader(
                pipeline,
                collate=self.task.collate_eval,
                rank=self.rank,
                world_size=self.world_size,
                **{**self._loader_values(), **options},
            )

    def _loader_values(self) -> dict[str, Any]:
        return dict(OmegaConf.to_container(self.config.loader, resolve=True))  # type: ignore[arg-type]


def with_charset(key: str, part: Any, charset: Charset | None) -> Any:
    """A part that waits for the charset (a partial) with it; any other part as it is."""
    return keyed(key, part, charset=charset) if isinstance(part, functools.partial) else part
