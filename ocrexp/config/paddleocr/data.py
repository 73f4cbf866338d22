"""Sections Train and Eval: lists, loaders, and the transforms that all tasks share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

LISTS = ("SimpleDataSet", "MultiScaleDataSet")
LMDB = ("LMDBDataSet", "LMDBDateSet")  # early files of 2.0 have the second spelling
# Transforms without values to convert.
_PLAIN = {
    "ToCHWImage": {}, "DetLabelEncode": {}, "CTLabelEncode": {},
    "KeepKeys": {"keep_keys": "the content of a batch is determined by the loss"},
}  # fmt: skip
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
Transforms = list[tuple[str, Section]]


def named(experiment: Experiment, section: Section, expected: str, defaults: dict[str, Any], why: str = "") -> str:
    """The part that a section names; `expected` if the file names none.

    Raises ConfigError for another one; `why` is the head that requires this one.
    """
    name = section.text("name")
    if not name:
        own = {key: section.get(key) if key in section else default for key, default in defaults.items()}
        empty = not any(section.get(key) is not None for key in section.names())
        experiment.assume(
            section.path if empty else section.key("name"),
            {"name": expected, **own} if empty else expected,
            "the file has no such section" if empty else "the section has no name",
        )
        return expected
    if name != expected:
        known = f"a head of kind {why} needs {expected}" if why else f"expected {expected}"
        raise ConfigError(f"{section.key('name')}: {name}: {known}{did_you_mean(name, [expected])}")
    return name


def convert_loaders(experiment: Experiment, root: Section) -> None:
    """Batch sizes, workers, shuffling."""
    train, evaluation = root.section("Train").section("loader"), root.section("Eval").section("loader")
    experiment.take(train, "batch_size_per_card", "loader.batch_size")
    for name in ("shuffle", "drop_last", "num_workers"):
        experiment.take(train, name, f"loader.{name}")
    experiment.take(evaluation, "batch_size_per_card", "loader.eval_batch_size")
    experiment.drop(
        evaluation,
        {"shuffle": "an evaluation always reads its list in order", "num_workers": "loader.num_workers sets both"},
    )
    if evaluation.get("drop_last") is True:
        experiment.note("changed", evaluation, "drop_last", "an evaluation never drops an image")
    for loader in (train, evaluation):
        experiment.drop(loader, {"use_shared_memory": "workers pass batches without /dev/shm"})
        experiment.only(loader, "collate_fn", (None, ""), "the task makes the batches")
        experiment.drop(loader, {"pin_memory": "determined by the copy to the device"})
        experiment.drop(loader, {"num_sections": "PaddleOCR's loader does not read it"})


def convert_lists(experiment: Experiment, root: Section, option: str, lmdb_option: str | None) -> None:
    """Sources of images and labels; chooses the option of the dataset by its kind."""
    train, evaluation = root.section("Train").section("dataset"), root.section("Eval").section("dataset")
    name = train.text("name", LISTS[0])
    if not train.text("name"):
        experiment.assume(train.key("name"), name, "the section has no name")
    is_lmdb = name in LMDB and lmdb_option is not None
    if name not in LISTS and not is_lmdb:
        known = [*LISTS, *(LMDB[:1] if lmdb_option else [])]
        raise ConfigError(f"{train.key('name')}: unsupported dataset {name}; supported: {', '.join(known)}")
    experiment.choose("dataset", lmdb_option if is_lmdb and lmdb_option else option)
    other = evaluation.text("name", name)
    alike = (other in LMDB) == is_lmdb and (other in LISTS or other in LMDB)
    if not alike:
        advice = "convert one of them: python -m ocrexp convert --help"
        experiment.note("missing", evaluation, "name", f"both lists are read in the same way, as {name}", advice)
    for dataset in (train, evaluation):
        experiment.only(dataset, "delimiter", ("\t", "\\t"), "the label always follows a tab", "rewrite the list")
        for key in ("ext_op_transform_idx", "need_reset", "seed", "mode"):
            experiment.drop(dataset, {key: "determined by the order of the steps"})
        if not (is_lmdb and alike):
            dataset.get("data_dir")
        if not alike:  # the validation data is then the usual one of our kind
            dataset.get("label_file_list")
    (_lmdb if is_lmdb else _label_files)(experiment, train, evaluation if alike else None)
    _ratios(experiment, train, evaluation)


def _label_files(experiment: Experiment, train: Section, evaluation: Section | None) -> None:
    root = os.path.normpath(train.text("data_dir", "."))
    experiment.set("dataset.root", root, train.key("data_dir"))
    if evaluation and evaluation.text("data_dir") and os.path.normpath(evaluation.text("data_dir")) != root:
        experiment.note(
            "missing", evaluation, "data_dir", f"training and evaluation share one dataset.root, {root}",
            "use a folder above both, and lists with paths relative to it",
        )  # fmt: skip
    for key, dataset in (("train_labels", train), ("val_labels", evaluation)):
        if dataset is None:
            continue
        files = dataset.get("label_file_list")
        files = [files] if isinstance(files, str) else files
        if not files:
            raise ConfigError(f"{dataset.key('label_file_list')}: contains no label file; add one")
        names = [_below(str(file), root) for file in files]
        experiment.set(
            f"dataset.{key}", names[0] if len(names) == 1 else names,
            f"{dataset.key('label_file_list')}: relative to dataset.root",
        )  # fmt: skip


def _below(path: str, root: str) -> str:
    """Converts a path that is relative to PaddleOCR's start folder to one relative to `root`; absolute if it is not
    below an absolute root."""
    if Path(root).is_absolute():
        absolute = os.path.normpath(Path.cwd() / path)
        seen = os.path.relpath(absolute, root)
        return absolute if seen.startswith("..") else seen
    return path if Path(path).is_absolute() else os.path.relpath(path, root)


def _lmdb(experiment: Experiment, train: Section, evaluation: Section | None) -> None:
    root = os.path.normpath(train.text("data_dir", "."))
    if evaluation is None:
        experiment.set("dataset.root", str(Path(root).parent), train.key("data_dir"))
        experiment.set("dataset.train", Path(root).name, train.key("data_dir"))
        return
    other = os.path.normpath(evaluation.text("data_dir", "."))
    common = os.path.commonpath([root, other]) if Path(root).is_absolute() == Path(other).is_absolute() else ""
    experiment.set("dataset.root", common or ".", f"{train.key('data_dir')}, {evaluation.key('data_dir')}")
    experiment.set("dataset.train", os.path.relpath(root, common or "."), train.key("data_dir"))
    experiment.set("dataset.val", os.path.relpath(other, common or "."), evaluation.key("data_dir"))


def _ratios(experiment: Experiment, train: Section, evaluation: Section) -> None:
    ratios = train.get("ratio_list")
    if isinstance(ratios, int | float) and not isinstance(ratios, bool):
        labels = experiment.get("dataset.train_labels")
        ratios = [float(ratios)] * (len(labels) if isinstance(labels, list) else 1)
    if ratios and any(ratio != 1 for ratio in ratios):
        experiment.set("dataset.ratios", ratios, f"{train.key('ratio_list')}: drawn again for each epoch")
    own = evaluation.get("ratio_list")
    if own is not None and any(ratio != 1 for ratio in (own if isinstance(own, list) else [own])):
        experiment.note("missing", evaluation, "ratio_list", "an evaluation always uses its lists completely")


def plain_transform(experiment: Experiment, name: str, keys: Section, rgb: bool = False) -> bool:
    """Convert a transform that every task has; False for any other. `rgb`: see `convert_channels`."""
    if name == "DecodeImage":
        if not (rgb and keys.get("img_mode") == "RGB"):
            advice = "model.normalize then has the other order"
            experiment.only(keys, "img_mode", "BGR", "images are always BGR", advice)
        experiment.only(keys, "channel_first", False, "images are HWC until the model")
        experiment.only(keys, "ignore_orientation", (None, True), "EXIF orientation is ignored")
        return True
    if name not in _PLAIN:
        return False
    experiment.drop(keys, _PLAIN[name])
    return True


def convert_normalize(experiment: Experiment, keys: Section) -> None:
    """Convert `NormalizeImage`, which is part of the model here."""
    scale = str(keys.get("scale", "1./255.")).replace(" ", "")
    if scale not in ("1./255.", "1.0/255.0", "1/255", "1/255.", "1./255", "1.0/255"):
        experiment.note("missing", keys, "scale", "pixels are always divided by 255")
    experiment.drop(keys, {"order": "determined by the model"})
    for name in ("mean", "std"):
        key = f"model.normalize.{name}"
        earlier = experiment.get(key)
        value: Any = keys.get(name, _IMAGENET[name])
        if earlier is not None and earlier != value:
            experiment.note("missing", keys, name, f"training and evaluation share one normalization, {earlier}")
        elif earlier is None:
            experiment.set(key, value, keys.key(name), implied=True)


def convert_channels(experiment: Experiment, train: Section, evaluation: Section) -> None:
    """Images that are RGB there are BGR here: mean and deviation in the other order, and so are given weights."""
    modes = [
        str(keys.get("img_mode", "BGR"))
        for section in (train, evaluation)
        for name, keys in section.entries("transforms")
        if name == "DecodeImage"
    ]
    if "RGB" not in modes:
        return
    key = f"{train.key('transforms')}: DecodeImage.img_mode"
    if len(set(modes)) > 1:
        experiment.report("missing", key, modes, "training and evaluation have one order of channels, BGR")
        return
    experiment.report("changed", key, "RGB", "images are BGR here, so mean and std have the other order")
    for name, default in _IMAGENET.items():
        value = experiment.get(f"model.normalize.{name}") or default
        experiment.set(f"model.normalize.{name}", value[::-1], f"of BGR; {key} is RGB")
    if experiment.get("model.pretrained"):
        experiment.set("model.pretrained_rgb", True, f"{key}; false for weights of BGR images, such as those of ocrexp")


def unknown_transform(experiment: Experiment, section: Section, name: str, keys: Section) -> None:
    """Report an unsupported transform, with its keys."""
    values = {key: keys.get(key) for key in keys.names()}
    experiment.report(
        "missing", f"{section.key('transforms')}: {name}", values or None, "this transform is not supported"
    )
