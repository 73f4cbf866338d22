"""The parts of a run, from its configuration.

Nothing is built before it is asked for: `export` never opens a training list, `eval` makes no optimizer.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from ocrexp.assemble.data import build_val_sets
from ocrexp.assemble.data_parts import DataParts, with_charset
from ocrexp.config.build import build, keyed, named
from ocrexp.config.plain import container
from ocrexp.errors import ConfigError
from ocrexp.located import located

if TYPE_CHECKING:
    import paddle

    from ocrexp.charset.charset import Charset
    from ocrexp.engine.callbacks.base import Callback
    from ocrexp.engine.evaluator import Evaluator
    from ocrexp.engine.settings import RunPlan
    from ocrexp.engine.step import Loss
    from ocrexp.engine.thaw import Thaw
    from ocrexp.engine.validation import Validation
    from ocrexp.loggers.base import Logger
    from ocrexp.models.summary import ModelSummary
    from ocrexp.optim.rates import RateFactors
    from ocrexp.optim.schedules import Schedule
    from ocrexp.results import Metric, Postprocess, ZeroEvidence
    from ocrexp.tasks.base import RunFacts
    from ocrexp.types import DataSource


def assemble(
    config: DictConfig,
    *,
    weights: Path | None = None,
    charset: Charset | None = None,
    rank: int = 0,
    world_size: int = 1,
    source: DataSource | None = None,
) -> Parts:
    """The parts of a run.

    Args:
        config: a checked training configuration.
        weights: a checkpoint (.pdparams): the model has its weights, and its characters count, not the
            configuration's. None: a new run.
        charset: the characters, where the caller has them; None: they are found.
        rank: of this process; it has its own share of the images.
        world_size: number of processes.
        source: the data set of the configuration, where the caller has it.
    """
    return Parts(config, weights, charset, rank, world_size, source)


class Parts(DataParts):
    """The parts of a run, see `assemble`. Each is built once, when it is first asked for; all raise ConfigError, and
    DataError where the lists cannot be used."""

    # Evaluation

    @cached_property
    def loss(self) -> Loss:
        """`loss(outputs, batch) -> dict` with the total under `loss`."""
        from ocrexp.types import AsksForCharacters

        loss: Loss = build(self.config.loss)
        if isinstance(loss, AsksForCharacters) and self.charset is not None:
            loss.know_characters(self.charset.entries)
        return loss

    @cached_property
    def postprocess(self) -> Postprocess:
        """Outputs to predictions: regions in original image coordinates, or text."""
        postprocess: Postprocess = with_charset("postprocess", build(self.config.postprocess), self.charset)
        return postprocess

    def new_metric(self) -> Metric:
        """A metric on raw ground truth, with nothing counted."""
        metric: Metric = build(self.config.metric)
        return metric

    @cached_property
    def evaluator(self) -> Evaluator:
        """The evaluation of the training; with the loss where `trainer.val_loss` asks for it."""
        loss = self.loss if self.settings.val_loss else None
        return self.evaluator_with(loss=loss, keep_outcomes=self.settings.keep_outcomes)

    @cached_property
    def validation(self) -> Validation:
        """The evaluation on the main validation set and on the named ones of `dataset.val_sets`."""
        from ocrexp.engine.evaluator import Evaluator
        from ocrexp.engine.validation import Validation

        others = {
            name: Evaluator(
                self.eval_loader_of(source),
                self.postprocess,
                self.new_metric(),
                limit_batches=self.settings.limit_val_batches,
                nothing=self.task.nothing_found,
            )
            for name, source in build_val_sets(self.config.dataset).items()
        }
        with located("trainer", self.config.trainer, ConfigError):
            return Validation(self.evaluator, others, self.settings.best_by)

    def evaluator_with(self, **options: Any) -> Evaluator:
        """An evaluator with other options, see `Evaluator`."""
        from ocrexp.engine.evaluator import Evaluator

        return Evaluator(
            self.eval_loader,
            self.postprocess,
            self.new_metric(),
            limit_batches=self.settings.limit_val_batches,
            nothing=self.task.nothing_found,
            **options,
        )

    # Training

    @cached_property
    def plan(self) -> RunPlan:
        """Steps and epochs of the run."""
        from ocrexp.engine.settings import RunPlan

        batches = len(self.train_loader)
        with located("trainer", self.config.trainer, ConfigError):
            return RunPlan.make(self.settings, batches)

    @cached_property
    def lr(self) -> float:
        """`optim.lr`, scaled to the global batch where `optim.scale_lr` asks for it."""
        from ocrexp.optim.optimizers import resolve_lr

        optim = self.config.optim
        batch = self.config.loader.batch_size * self.config.trainer.accumulate * self.world_size
        with located("optim", optim, ConfigError):
            return resolve_lr(optim.lr, batch, optim.reference_batch, optim.scale_lr)

    @cached_property
    def optimizer(self) -> paddle.optimizer.Optimizer:
        """The optimizer of the model's trainable parameters."""
        from ocrexp.optim.optimizers import build_optimizer

        optim = self.config.optim
        learns, factory, lr, rates = self.learns, build(optim.optimizer), self.lr, self.rates
        thaw = self.thaw
        with located("optim", optim, ConfigError):
            return build_optimizer(
                learns,
                factory,
                lr,
                weight_decay=optim.weight_decay,
                no_decay_names=list(optim.no_decay_names),
                no_decay_1d=optim.no_decay_1d,
                clip_norm=optim.clip_norm,
                clip_scope=optim.clip_scope,
                rates=rates.parameters,
                later=[] if thaw is None else thaw.frozen.parameters,
            )

    @cached_property
    def rates(self) -> RateFactors:
        """The factors of the learning rate that `optim.lr_scale` and `optim.layer_decay` give to parts of the model."""
        from ocrexp.models.depth import depths
        from ocrexp.optim.rates import BACKBONE, rate_factors

        optim, learns, thaw = self.config.optim, self.learns, self.thaw
        later = {id(parameter) for parameter in (thaw.frozen.parameters if thaw else ())}
        named = dict(learns.named_parameters())
        learning = [name for name, value in named.items() if not value.stop_gradient or id(value) in later]
        backbone = dict(learns.named_children()).get(BACKBONE)
        with located("optim", optim, ConfigError):
            return rate_factors(
                list(named),
                learning,
                container(optim)["lr_scale"],
                optim.layer_decay,
                {} if backbone is None or optim.layer_decay is None else depths(backbone),
            )

    @cached_property
    def thaw(self) -> Thaw | None:
        """When the parts of `model.freeze` learn, where `model.unfreeze_after_steps` asks for it."""
        from ocrexp.engine.thaw import Thaw

        node = self.config.model
        after = node.get("unfreeze_after_steps")
        if after is None:
            return None
        with located("model", node, ConfigError):
            thaw = Thaw.checked(after, self.model.frozen)
        if self.world_size > 1 and self.settings.sync_bn:
            raise ConfigError(
                "model.unfreeze_after_steps: cannot be used with trainer.sync_bn=true, because frozen batch norms are "
                "not synchronized; set trainer.sync_bn=false"
            )
        return thaw

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate over the steps of the run."""
        schedule: Schedule = keyed(
            "optim.schedule",
            build(self.config.optim.schedule),
            lr=self.lr,
            total_steps=self.plan.total_steps,
            steps_per_epoch=self.plan.steps_per_epoch,
        )
        return schedule

    @cached_property
    def callbacks(self) -> dict[str, Callback]:
        """By name, in their order."""
        return named(self.config.get("callbacks"))

    @cached_property
    def loggers(self) -> dict[str, Logger]:
        """By name, in their order; none but on the first process."""
        return named(self.config.get("logger")) if self.rank == 0 else {}

    @cached_property
    def facts(self) -> RunFacts:
        """What the task may look at of a run."""
        from ocrexp.tasks.base import RunFacts

        return RunFacts(container(self.config), self.source, self._deployed, self.targets, self.charset)

    @cached_property
    def summary(self) -> ModelSummary:
        """Parameters and multiply-accumulates of the model."""
        from ocrexp.models.summary import summarize

        shape = self.config.model.get("image_shape")
        return summarize(self.model, None if shape is None else (int(shape[0]), int(shape[1])))

    def describe(self) -> str:
        """The chosen parts, the number of parameters, and the multiply-accumulates of one image, in one line."""
        model = self.summary
        kinds = [type(part).__name__ for part in (self.source, self.loss, self.optimizer, self.schedule)]
        data, loss, optimizer, schedule = kinds
        return f"{self.config.model.name}: {model.describe()}; {loss}, {optimizer}, {schedule}, data {data}"

    def zero_metric_causes(self, evidence: ZeroEvidence) -> list[str]:
        """What the task lists for a metric that stays 0."""
        hints, model = [], self.config.model
        if not model.pretrained:
            hints.append("model.pretrained is null; training from random weights needs many more steps")
        if model.freeze:
            until = "" if model.unfreeze_after_steps is None else f" before step {model.unfreeze_after_steps}"
            hints.append(f"model.freeze={list(model.freeze)}: these parts are not trained{until}")
        return self.task.zero_causes(dataclasses.replace(evidence, hints=hints), self.facts)
