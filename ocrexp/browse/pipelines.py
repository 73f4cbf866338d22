"""The pipelines of a training configuration, for looking at its samples."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from omegaconf import DictConfig

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.sampler import Indices
from ocrexp.data.variants import TrainVariants
from ocrexp.types import DataSource

if TYPE_CHECKING:
    from ocrexp.assemble.parts import Parts
    from ocrexp.tasks.base import Task


class RunPipelines:
    """What a training with a configuration makes of its samples, on one process.

    Args:
        config: a checked training configuration.
        source: its data set.
        streamed: see TrainVariants.
    """

    def __init__(self, config: DictConfig, source: DataSource, streamed: Indices | None = None) -> None:
        self._config = config
        self._source = source
        self._streamed = streamed

    @cached_property
    def _parts(self) -> Parts:
        from ocrexp.assemble import assemble

        return assemble(self._config, source=self._source)

    @property
    def task(self) -> Task:
        """The task object."""
        return self._parts.task

    @cached_property
    def train(self) -> TrainVariants:
        """Training samples; builds the model of a recognizer, which states its CTC steps."""
        loader = self._parts.train_loader
        return TrainVariants(cast(TrainPipeline, loader.pipeline), loader.sampler, self._streamed)

    @cached_property
    def val(self) -> EvalPipeline:
        """Evaluation samples with the targets of the loss."""
        return cast(EvalPipeline, self._parts.eval_loader_of(self._source, targets=True).pipeline)
