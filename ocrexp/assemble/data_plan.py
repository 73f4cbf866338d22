"""What a check of a data set looks at, from a training configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble.data import build_source
from ocrexp.config.build import build, keyed
from ocrexp.data.checking.lengths import TextLimits
from ocrexp.data.checking.plan import DataPlan
from ocrexp.data.checking.regions import RegionLimits
from ocrexp.data.cls_lists import ClsLists
from ocrexp.data.lists import DetLists
from ocrexp.data.lmdb import RecLmdb
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.shards.sources import ShardSource
from ocrexp.data.source import SplitSource
from ocrexp.data.transforms.resize import DetResize
from ocrexp.errors import ConfigError

_READ_HERE = (DetLists, RecLists, ClsLists, RecLmdb)  # what is read again, line by line, to find what is wrong
Steps = Callable[[Any], Callable[[int], int | None]]  # charset → image width → steps of CTC


def make_data_plan(config: DictConfig, steps: Steps | None = None) -> DataPlan:
    """The plan of a checked configuration whose data set is lists, LMDB folders, or files of another format.

    Args:
        config: of training.
        steps: makes what gives the steps of the model's CTC output; None: they are not checked.

    Raises ConfigError for other data sets.
    """
    source = build_source(config.dataset)
    if not isinstance(source, SplitSource):
        raise ConfigError(
            f"dataset: expected label lists or LMDB folders, got {type(source).__name__}; add dataset=rec_list, "
            "det_list, cls_list or rec_lmdb"
        )
    shape = OmegaConf.select(config, "model.image_shape")
    task = str(config.task)
    plan = DataPlan(
        task=task,
        root=source.root,
        lists=source.parts,
        lmdb=isinstance(source, RecLmdb),
        streamed=isinstance(source, ShardSource),
        source_data=None if type(source) in _READ_HERE else source,
        keys={"train": "train" if source.val_key == "val" else "train_labels", "val": source.val_key},
        val_split=source.val_split,
        several_sizes=OmegaConf.select(config, "loader.multi_scale") is not None,
    )
    if shape is not None and task != "det":
        plan.image_shape = (int(shape[0]), int(shape[1]))
        plan.aspect = shape[1] / shape[0]
    if task == "rec":
        plan.min_side = int(OmegaConf.select(config, "preprocess.resize.min_side", default=1) or 1)
        plan.text_limits = partial(_text_limits, config, steps)
    elif task == "det":
        plan.region_limits = _region_limits(config)
    else:
        labels = OmegaConf.select(config, "targets.labels")
        plan.classes = None if labels is None else [str(label) for label in labels]
    return plan


def _text_limits(config: DictConfig, steps: Steps | None, texts: Iterable[str]) -> TextLimits:
    charset = build(config.charset)
    if isinstance(charset, partial):
        charset = keyed("charset", charset, texts=texts)
    targets = config.targets
    given = OmegaConf.select(targets, "ctc_steps")
    asked = given == "auto" and steps is not None
    return TextLimits(
        charset=charset,
        kinds=tuple(OmegaConf.select(targets, "kinds") or ("ctc",)),
        max_text_length=int(OmegaConf.select(targets, "max_text_length") or 25),
        steps=steps(charset) if asked and steps is not None else None,
        width=None if OmegaConf.select(config, "loader.multi_scale") is not None else int(config.model.image_shape[1]),
        given_steps=int(given) if isinstance(given, int) else None,
    )


def _region_limits(config: DictConfig) -> RegionLimits:
    node = OmegaConf.select(config, "preprocess.resize")
    resize = None if node is None else build(node)
    smallest = float(OmegaConf.select(config, "targets.min_text_size") or 8)
    sides = OmegaConf.select(config, "augment.warp.size")
    largest = min(sides) / 2 if sides else 320.0
    if isinstance(resize, DetResize):
        return RegionLimits(resize.size, smallest, largest)
    return RegionLimits(lambda height, width: (height, width), smallest, largest)
