"""`ocrexp cut-lines det=DIR dataset.root=… out=DIR`: training lines for a recognizer, cut by a detector from pages."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
from omegaconf import OmegaConf

from ocrexp.assemble.data import build_source
from ocrexp.command_line import command
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.places import new_folder_to_write
from ocrexp.data.images import limit_pixels, read_image
from ocrexp.data.source import SplitSource
from ocrexp.deploy.crop import crop
from ocrexp.deploy.detected_lines import detected_lines
from ocrexp.deploy.end_to_end import EnginePool, in_order
from ocrexp.deploy.progress import Progress
from ocrexp.deploy.settings import RuntimeSettings, refuse_paddleocr_names, settings_from
from ocrexp.errors import ConfigError, DataError, OcrexpError, nothing_done, printable
from ocrexp.files import shortened
from ocrexp.folders import new_folder, put_folder
from ocrexp.logs import show_notices
from ocrexp.results import DetReference
from ocrexp.types import DataSource, Image, Polygon, Record, UnusableSample

SUMMARY = "Cut training lines for a recognizer from labeled pages, with a detector"
USAGE = """
Usage
  python -m ocrexp cut-lines det=DIR dataset.root=DATA out=DIR [crop_margin=0.1] [key=value ...]

Finds the lines of labeled pages with an exported detector, gives each box the text of the labeled line that it matches,
and writes the crops as `predict` cuts them, with train_list.txt and val_list.txt: a recognizer is then trained on what
it will read. Lines that the detector misses are cut along their labels."""

SPLITS = ("train", "val")


@dataclass(frozen=True)
class CutLinesSettings:
    """The keys of conf/cut-lines.yaml that are not the detector's."""

    out: str
    splits: list[str]
    iou_threshold: float
    most_cut: float
    most_other: float
    add_missed: bool
    limit: int | None


@dataclass(frozen=True, slots=True)
class _Page:
    record: Record
    image: Image | None
    boxes: list[Polygon]
    problem: str = ""


def run(arguments: Sequence[str]) -> int:
    """Cut the lines and print how many; returns 0."""
    show_notices()
    with nothing_done():
        refuse_paddleocr_names(arguments)
        config = compose("cut-lines", arguments)
        if OmegaConf.is_missing(config, "out"):
            raise ConfigError("out: is missing; add a new folder: out=DIR")
        if OmegaConf.is_missing(config.dataset, "root"):
            raise ConfigError("dataset.root: is missing; add the folder of labeled pages: dataset.root=DIR")
        if config.det is None:
            raise ConfigError("det: is missing; add an exported detector: det=DIR")
        check(config)
        models = settings_from({**config, "rec": None, "cls": None}, RuntimeSettings).checked()
        settings = _checked(settings_from(config, CutLinesSettings))
        limit_pixels(models.max_pixels)
        out = Path(settings.out).expanduser()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"out={out}: exists and is not overwritten; choose a new folder")
        new_folder_to_write(out, "out")
        if settings.splits == ["val"] and "train_labels" in config.dataset:
            config.dataset.train_labels = config.dataset.val_labels
        source = build_source(config.dataset)
        records = {
            "train": source.train_records() if "train" in settings.splits else (),
            "val": source.val_records() if "val" in settings.splits else (),
        }
        if not any(record.polygons for split in settings.splits for record in records[split]):
            raise DataError("dataset: contains no labeled region; use detection lists with texts")
        for line in _skipped(source, settings.splits):
            print(f"ocrexp: {printable(line)}", file=sys.stderr)
    try:
        with new_folder(out) as folder:
            for split in settings.splits:
                _cut_split(split, records[split][: settings.limit], models, settings, folder)
            put_folder(folder, out)
    except OSError as error:
        raise DataError(f"out={out}: cannot be written ({error.strerror or error}); name another folder") from error
    trained = command("train", {"model": "crnn_mbv3", "dataset": "rec_list", "dataset.root": out})
    print(f"written: {printable(str(out))} (train: {trained})")
    return 0


def _skipped(source: DataSource, splits: Sequence[str]) -> list[str]:
    """What the data set reports about the lists that are cut."""
    if isinstance(source, SplitSource):
        return [line for split in splits for line in source.split_report(split)]
    return source.report()


def _checked(settings: CutLinesSettings) -> CutLinesSettings:
    if not settings.splits or not set(settings.splits) <= set(SPLITS):
        raise ConfigError(f"splits: expected some of {', '.join(SPLITS)}, got {settings.splits}")
    for name in ("iou_threshold", "most_other"):
        if not 0 <= getattr(settings, name) < 1:
            raise ConfigError(f"{name}: expected a value from 0 to below 1, got {getattr(settings, name)}")
    if settings.most_cut < 0:
        raise ConfigError(f"most_cut: expected 0 or more, got {settings.most_cut}")
    if settings.limit is not None and settings.limit < 1:
        raise ConfigError(f"limit: expected 1 or more, or null, got {settings.limit}")
    return settings


def _cut_split(
    split: str, records: Sequence[Record], models: RuntimeSettings, settings: CutLinesSettings, folder: Path
) -> None:
    """Writes the crops of a split and its list, and prints what was cut and what was not."""
    count = models.worker_count(len(records))
    reader = EnginePool(models, count)

    def find(record: Record) -> _Page:
        try:
            image = read_image(record.image_path)
            return _Page(record, image, reader([image])[0].polygons or [])
        except (UnusableSample, OcrexpError) as error:
            return _Page(record, None, [], str(error))

    (folder / "images" / split).mkdir(parents=True)
    lines: list[str] = []
    left: Counter[str] = Counter()
    by_box = unreadable = 0
    with Progress(len(records), f"cutting {split}") as bar, closing(in_order(records, find, count + 1)) as pages:
        for number, page in enumerate(pages):
            if page.image is None:
                unreadable += 1
                bar.say(f"ocrexp: {page.record.image_path}: {page.problem} ({page.record.source})")
                continue
            labels = DetReference(
                list(page.record.polygons), list(page.record.ignored), [" ".join(t.split()) for t in page.record.texts]
            )
            found = detected_lines(
                labels, page.boxes, settings.iou_threshold, settings.most_cut, settings.most_other, settings.add_missed
            )
            left.update(found.left)
            for index, polygon, detected in found.lines:
                name = f"images/{split}/{number:05d}_{shortened(page.record.image_path.stem)}_{index:03d}.png"
                if not cv2.imwrite(str(folder / name), crop(page.image, polygon, models.crop_margin)):
                    raise DataError(f"out: {name} cannot be written; name another folder")
                lines.append(f"{name}\t{labels.texts[index]}\n")
                by_box += detected
            bar.advance(page.record.image_path.name)
    (folder / f"{split}_list.txt").write_text("".join(lines), encoding="utf-8")
    along = len(lines) - by_box
    pages_read = len(records) - unreadable
    print(f"{split}: {len(lines)} lines of {pages_read} pages, {by_box} in boxes of the detector, {along} as labeled")
    for why, missing in left.most_common():
        fate = "cut along the label" if settings.add_missed else "dropped"
        print(f"ocrexp: {split}: {missing} lines {why}, {fate}", file=sys.stderr)
    if not lines:
        raise DataError(f"{split}: no line could be cut; lower iou_threshold or set add_missed=true")
