"""The parts of a run, from its configuration.

Nothing is built before it is asked for: `export` never opens a training list, `eval` makes no optimizer.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble.data import build_source, build_val_sets
from ocrexp.assemble.model import build_charset, build_model, charset_of
from ocrexp.config.build import build, keyed, named
from ocrexp.config.plain import container, trainer_settings
from ocrexp.errors import ConfigError
from ocrexp.located import located

if TYPE_CHECKING:
    import paddle

    from ocrexp.charset.charset import Charset
    from ocrexp.data.loader import Loader
    from ocrexp.engine.callbacks.base import Callback
    from ocrexp.engine.evaluator import Evaluator
    from ocrexp.engine.settings import RunPlan, TrainerSettings
    from ocrexp.engine.step import Loss
    from ocrexp.engine.thaw import Thaw
    from ocrexp.engine.validation import Validation
    from ocrexp.loggers.base import Logger
    from ocrexp.models.calibration import Folded
    from ocrexp.models.model import OCRModel
    from ocrexp.models.summary import ModelSummary
    from ocrexp.optim.rates import RateFactors
    from ocrexp.optim.schedules import Schedule
    from ocrexp.results import Metric, Postprocess, ZeroEvidence
    from ocrexp.tasks.base import RunFacts, Task
    from ocrexp.types import DataSource, Transform

log = logging.getLogger(__name__)


def assemble(
    config: DictConfig,
    *,
    weights: Path | None = None,
    charset: Charset | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Parts:
    """The parts of a run.

    Args:
        config: a checked training configuration.
        weights: a checkpoint (.pdparams): the model has its weights, and its characters count, not the
            configuration's. None: a new run.
        charset: the characters, where the caller has them; None: they are found.
        rank: of this process; it has its own share of the images.
        world_size: number of processes.
    """
    return Parts(config, weights, charset, rank, world_size)


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a run, see `assemble`. Each is built once, when it is first asked for; all raise ConfigError, and
    DataError where the lists cannot be used."""

    config: DictConfig
    weights: Path | None = None
    given_charset: Charset | None = None
    rank: int = 0
    world_size: int = 1

    @cached_property
    def settings(self) -> TrainerSettings:
        """The values of the node `trainer`."""
        return trainer_settings(self.config)

    @cached_property
    def task(self) -> Task:
        """The object of the task that `config.task` names."""
        from ocrexp.tasks.find import find_task

        return find_task(str(self.config.task))

    # Data

    @cached_property
    def source(self) -> DataSource:
        """Where the records come from; with `overfit` the first batch of them."""
        source = build_source(self.config.dataset)
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

    @cached_property
    def targets(self) -> Transform:
        """What makes the targets of the loss, for training and for the validation loss.

        It knows how many steps the model's CTC output has at each size of training images.
        """
        from ocrexp.types import AsksForSteps

        targets: Transform = _with_charset("targets", build(self.config.targets), self.charset)
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

    def _augment(self) -> list[Transform]:
        """What is done to a training image."""
        from ocrexp.types import AsksForCharacters, PlainTransform

        augment: list[Transform] = list(named(self.config.get("augment")).values())
        for transform in augment:
            if self.charset is not None and isinstance(transform, AsksForCharacters):
                transform.know_characters(self.charset.entries)
        if self.config.get("overfit"):
            augment = [transform.plain() for transform in augment if isinstance(transform, PlainTransform)]
        return augment

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

        transforms = list(named(self.config.get("preprocess")).values())
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

    # Model and evaluation

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
        from ocrexp.models.calibration import calibrate

        records = self.source.train_records()
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
        postprocess: Postprocess = _with_charset("postprocess", build(self.config.postprocess), self.charset)
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


def _with_charset(key: str, part: Any, charset: Charset | None) -> Any:
    """A part that waits for the charset (a partial) with it; any other part as it is."""
    return keyed(key, part, charset=charset) if isinstance(part, functools.partial) else part
