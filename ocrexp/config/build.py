"""From configuration to objects: the only place that instantiates."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ocrexp.config.check import BUILDER_KEYS
from ocrexp.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import paddle

    from ocrexp.charset.charset import Charset
    from ocrexp.data.loader import Loader
    from ocrexp.engine.settings import RunPlan, TrainerSettings
    from ocrexp.models.model import OCRModel
    from ocrexp.models.pretrained import Arrays
    from ocrexp.optim.schedules import Schedule
    from ocrexp.tasks.base import RunFacts, Task
    from ocrexp.types import DataSource, Metric, Postprocess, Transform, ZeroEvidence

log = logging.getLogger(__name__)


def build(node: Any, **extra: Any) -> Any:
    """Build one node that names a `_target_`; `extra` are arguments that only the program knows.

    Raises the part's own one-line errors, and ConfigError with the key for anything else that its constructor raises.
    """
    from hydra.errors import InstantiationException

    from ocrexp.errors import OcrexpError

    try:
        return instantiate(node, **extra, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, OcrexpError | ImportError | MemoryError):
            raise cause from error
        if isinstance(cause, ValueError | TypeError):
            target = OmegaConf.select(node, "_target_", default="?")
            inner = re.search(r"^full_key: (\S+)$", str(error), re.MULTILINE)  # of the part of this node that raised
            raise ConfigError(f"{inner[1] if inner else node._get_full_key('') or target}: {cause}") from error
        raise


def named(node: DictConfig | None) -> dict[str, Any]:
    """Build a dict of named nodes in their order; a name set to null is switched off."""
    if node is None:
        return {}
    return {str(name): build(part) for name, part in node.items() if part is not None}


def build_charset(config: DictConfig, source: DataSource | None = None) -> Charset | None:
    """The characters of a recogniser; None for other tasks. `charset=from_labels` reads them off the training labels
    of `source`."""
    node = OmegaConf.select(config, "charset")
    if node is None:
        return None
    charset = build(node)
    if isinstance(charset, functools.partial):
        if source is None:
            raise ConfigError("charset=from_labels needs the training labels; give charset=dictionary and its path")
        charset = charset(texts=[text for record in source.train_records() for text in record.texts])
    return charset


def build_model(config: DictConfig, charset: Charset | None = None) -> OCRModel:
    """The model with pretrained weights loaded and parts frozen as `model.pretrained` and `model.freeze` ask.

    A recognition head states the kind of its tokens (`token_kind`) and is given `out_channels`, the number of classes
    that the charset has for this kind; a head of several kinds (`multi`) is given the numbers of all.
    """
    from ocrexp.models.pretrained import freeze, load_pretrained

    node = config.model
    own = (*BUILDER_KEYS["model"], "head", "auxiliary")
    heads = {name: _with_classes(build(node[name]), charset) for name in ("head", "auxiliary") if node.get(name)}
    resolved: Any = OmegaConf.to_container(node, resolve=True)  # a copy of a part finds no other keys
    parts = OmegaConf.create({"model": {key: resolved[key] for key in resolved if key not in own}})
    model: OCRModel = build(parts.model, **heads)
    if node.pretrained:
        rearrange = None if charset is None else functools.partial(_rearranged, config, model, charset)
        model.coverage = load_pretrained(model, node.pretrained, node.pretrained_min_coverage, rearrange)
    if node.freeze:
        freeze(model, [node.freeze] if isinstance(node.freeze, str) else list(node.freeze))
    return model


def _with_classes(head: Any, charset: Charset | None) -> Any:
    """A head of characters with its number of classes; any other one as it is."""
    kind = getattr(getattr(head, "func", head), "token_kind", None)
    if kind is None:
        return head
    if charset is None:
        raise ConfigError("a recognition head needs its characters: choose a charset, as charset=en94")
    classes = charset.class_counts()
    return functools.partial(head, out_channels=classes if kind == "multi" else classes[kind])


def saved_charset(weights: Path) -> Charset | None:
    """The characters that a checkpoint's states carry; None where it has no states or is no recogniser's."""
    from ocrexp.charset.saved import from_saved
    from ocrexp.engine.weights import states_beside

    saved = states_beside(weights).get("extras", {}).get("charset")
    return None if saved is None else from_saved(saved, str(weights))


def _rearranged(config: DictConfig, model: OCRModel, charset: Charset, arrays: Arrays) -> Arrays:
    """A pretrained file's arrays with the head's classes in the order of the charset."""
    from ocrexp.charset.sources import from_dictionary
    from ocrexp.models.charset_transfer import transfer_classes
    from ocrexp.models.pretrained import find_pretrained

    node = config.model
    if node.pretrained_charset:
        # PaddleOCR's `use_space_char` is not in the file either: the number of classes tells.
        known = [from_dictionary(node.pretrained_charset, space) for space in (False, True)]
    else:
        saved = saved_charset(find_pretrained(node.pretrained))
        known = [] if saved is None else [saved]
    if not known:
        log.info(
            "pretrained: %s does not say its characters; where the number of classes is the same they are taken to be "
            "the same, else model.pretrained_charset=DICTIONARY keeps the rows of those that both know",
            node.pretrained,
        )
        return arrays
    for last, old in zip((*[False] * (len(known) - 1), True), known, strict=True):
        try:
            transfer = transfer_classes(arrays, model, old, charset)
        except CheckpointError:
            if last:
                raise
            continue
        log.info("pretrained: %s", transfer.describe())
        return transfer.arrays
    raise AssertionError


def build_loss(config: DictConfig) -> Any:
    """The loss: `loss(outputs, batch) -> dict` with the total under `loss`."""
    return build(config.loss)


def build_source(config: DictConfig) -> DataSource:
    """Where the records come from; what it dropped is said at once."""
    source: DataSource = build(config.dataset)
    if config.get("overfit"):
        from ocrexp.data.first_batch import FirstBatch
        from ocrexp.engine.devices import process_count

        count = config.loader.batch_size * config.trainer.accumulate * process_count(config.trainer.devices)
        return FirstBatch(source, count)
    return source


def train_transforms(config: DictConfig, charset: Charset | None = None) -> list[Transform]:
    """What is done to a training sample: augmentation, then what the loss needs."""
    augment = list(named(config.get("augment")).values())
    if config.get("overfit"):
        augment = [transform.plain() for transform in augment if hasattr(transform, "plain")]
    return [*augment, _with_charset(build(config.targets), charset)]


def _with_charset(part: Any, charset: Charset | None) -> Any:
    """A part that waits for the charset (a partial) with it; any other part as it is."""
    return part(charset=charset) if isinstance(part, functools.partial) else part


def build_train_loader(
    config: DictConfig,
    source: DataSource,
    rank: int = 0,
    world_size: int = 1,
    charset: Charset | None = None,
    model: OCRModel | None = None,
) -> Loader:
    """Batches for training; `loader.batch_size` is per process. The model tells how many steps CTC has."""
    from ocrexp.data.dataset import TrainPipeline
    from ocrexp.data.loaders import build_train_loader as make
    from ocrexp.models.steps import ctc_steps

    transforms = train_transforms(config, charset)
    pipeline = TrainPipeline(source.train_records(), transforms, config.seed)
    task = task_of(config)
    loader = make(
        pipeline,
        collate=task.collate_train,
        several_sizes=task.several_sizes,
        ratios=None if config.get("overfit") else config.dataset.get("ratios"),
        seed=config.seed,
        rank=rank,
        world_size=world_size,
        **_loader(config),
    )
    if model is not None and getattr(transforms[-1], "asks_for_steps", False):
        sizes = getattr(loader.sampler, "sizes", None) or [tuple(config.model.image_shape)]
        transforms[-1].know_steps({size: ctc_steps(model, size) for size in sizes})  # type: ignore[attr-defined]
    return loader


def build_eval_loader(
    config: DictConfig, source: DataSource, rank: int = 0, world_size: int = 1, targets: Transform | None = None
) -> Loader:
    """Batches for evaluation, in list order, each image once over all processes; `targets`: with what the loss needs,
    see `val_targets`."""
    from ocrexp.data.dataset import EvalPipeline
    from ocrexp.data.loaders import build_eval_loader as make

    transforms = list(named(config.get("preprocess")).values())
    pipeline = EvalPipeline(source.val_records(), transforms if targets is None else [*transforms, targets])
    collate = task_of(config).collate_eval
    return make(pipeline, collate=collate, rank=rank, world_size=world_size, **_loader(config))


def val_targets(config: DictConfig, charset: Charset | None, model: OCRModel) -> Transform | None:
    """What makes the targets of the validation loss; None where `trainer.val_loss` is false."""
    from ocrexp.data.val_targets import TargetsBeside
    from ocrexp.models.steps import ctc_steps

    if not OmegaConf.select(config, "trainer.val_loss", default=True):  # a run of an earlier version has no such key
        return None
    targets = _with_charset(build(config.targets), charset)
    if getattr(targets, "asks_for_steps", False):
        height, width = config.model.image_shape
        targets.know_steps({(height, width): ctc_steps(model, (height, width))})
    return TargetsBeside(targets)


def _loader(config: DictConfig) -> dict[str, Any]:
    return dict(OmegaConf.to_container(config.loader, resolve=True))  # type: ignore[arg-type]


def build_metric(config: DictConfig) -> Metric:
    """The metric, on raw ground truth."""
    metric: Metric = build(config.metric)
    return metric


def task_of(config: DictConfig) -> Task:
    """The object of the task that `config.task` names."""
    from ocrexp.tasks.find import find_task

    return find_task(str(config.task))


def run_facts(config: DictConfig, source: DataSource, charset: Charset | None, model: OCRModel) -> RunFacts:
    """What the task may look at of a run."""
    from ocrexp.tasks.base import RunFacts

    targets = _with_charset(build(config.targets), charset)
    return RunFacts(container(config), source, model, targets, charset)


def build_postprocess(config: DictConfig, charset: Charset | None = None) -> Postprocess:
    """Outputs to predictions: regions in original image coordinates, or text."""
    postprocess: Postprocess = _with_charset(build(config.postprocess), charset)
    return postprocess


def trainer_settings(config: DictConfig) -> TrainerSettings:
    """The node `trainer` as its dataclass; raises ConfigError for values that cannot be."""
    from ocrexp.engine.settings import TrainerSettings

    return TrainerSettings(**dict(OmegaConf.to_container(config.trainer, resolve=True)))  # type: ignore[arg-type]


def learning_rate(config: DictConfig, world_size: int = 1) -> float:
    """`optim.lr`, scaled to the global batch where `optim.scale_lr` asks for it."""
    from ocrexp.optim.optimizers import resolve_lr

    batch = config.loader.batch_size * config.trainer.accumulate * world_size
    return resolve_lr(config.optim.lr, batch, config.optim.reference_batch, config.optim.scale_lr)


def build_optimizer(config: DictConfig, model: OCRModel, lr: float) -> paddle.optimizer.Optimizer:
    """The optimizer of the model's trainable parameters."""
    from ocrexp.optim.optimizers import build_optimizer as make

    optim = config.optim
    return make(
        model,
        build(optim.optimizer),
        lr,
        weight_decay=optim.weight_decay,
        no_decay_names=list(optim.no_decay_names),
        no_decay_1d=optim.no_decay_1d,
        clip_norm=optim.clip_norm,
        clip_scope=optim.clip_scope,
    )


def build_schedule(config: DictConfig, lr: float, plan: RunPlan) -> Schedule:
    """The learning rate over the steps of a run."""
    partial = build(config.optim.schedule)
    schedule: Schedule = partial(lr=lr, total_steps=plan.total_steps, steps_per_epoch=plan.steps_per_epoch)
    return schedule


def zero_metric_causes(config: DictConfig, facts: RunFacts) -> Callable[[ZeroEvidence], list[str]]:
    """What the task says of a metric that stays 0."""
    hints = []
    if not config.model.pretrained:
        hints.append("model.pretrained is null: training from random weights takes many more steps")
    if config.model.freeze:
        hints.append(f"model.freeze={list(config.model.freeze)}: these parts do not learn")
    task = task_of(config)
    return lambda evidence: task.zero_causes(dataclasses.replace(evidence, hints=hints), facts)


def label_digest(config: DictConfig) -> str:
    """SHA-256 of all settings that change what is learned of a label: characters and what is done with unknown ones,
    targets, and the data set's options (its lists have fingerprints of their own, its place does not matter)."""
    nodes = {name: container(config).get(name) for name in ("task", "charset", "targets", "dataset")}
    if isinstance(nodes["dataset"], dict):
        nodes["dataset"] = {key: nodes["dataset"][key] for key in nodes["dataset"].keys() - {"root", "cache_dir"}}
    return hashlib.sha256(json.dumps(nodes, sort_keys=True, default=str).encode()).hexdigest()


def container(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain nested dicts and lists."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, Mapping)
    return {str(key): value for key, value in plain.items() if key != "hydra"}
