"""`ocrexp predict images=… det=DIR rec=DIR`: read images with exported models; JSON lines, labels, pictures."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ocrexp.command_line import typed
from ocrexp.config.compose import compose
from ocrexp.data.images import limit_pixels
from ocrexp.deploy.correction import Corrections, CorrectionSettings, check_corrections, remove_corrections
from ocrexp.deploy.end_to_end import EnginePool, in_order
from ocrexp.deploy.fonts import FontFinder
from ocrexp.deploy.image_work import ImageWork
from ocrexp.deploy.outputs import LABELS, ImageResult, PredictionFolder, is_taken, prediction_line
from ocrexp.deploy.progress import Progress
from ocrexp.deploy.settings import RuntimeSettings, refuse_paddleocr_names, settings_from
from ocrexp.deploy.sources import Skipped, Source, find_sources
from ocrexp.engine.interrupt import StopSignals
from ocrexp.errors import ConfigError, DataError, nothing_done, printable
from ocrexp.folders import claim_folder
from ocrexp.logs import show_notices

SUMMARY = "Read images with exported models: JSON lines, labels, pictures"
USAGE = """
Usage
  python -m ocrexp predict images=scans/ det=DIR rec=DIR [output=DIR] [key=value ...]
  python -m ocrexp predict images='[a.jpg,book.pdf,photos/*.png]' det=DIR rec=DIR cls=DIR
  python -m ocrexp predict images=photos/ det=DIR rec=DIR sort=uncertain correct=ppocrlabel
  find . -name '*.jpg' | python -m ocrexp predict images=- det=DIR rec=DIR output=- > predictions.jsonl

Reads images with exported models. With det and rec, an image is a page; det alone finds regions; with rec alone, an
image is one line of text. Writes predictions.jsonl (one object per image, in order), labels.txt in PaddleOCR's format
to train on, and pictures of the boxes beside the texts; with correct=ppocrlabel or label_studio also a folder that this
program opens, to correct the result, with sort=uncertain the least certain images first. An image that cannot be read
is reported, the others are read, and the exit code is 1."""


LINES_AT_ONCE = 32  # line images that are read together, so that lines of similar width share a batch
NOTES_SHOWN = 3  # notes about images that are printed; the others are counted
AHEAD = 2  # additional threads, which load and draw while the models run


@dataclass(frozen=True)
class PredictSettings:
    """The keys of conf/predict.yaml that are neither the models' nor for corrections."""

    images: str | list[str]
    output: str | None
    overwrite: bool
    recursive: bool
    dpi: int
    labels: bool
    pictures: bool
    picture_side: int
    font: str | None


@dataclass
class ReadingCounts:
    """The counts of a run so far."""

    images: int = 0
    broken: int = 0
    blank: list[str] = field(default_factory=list)  # names of images that are all black or all white
    found: int = 0
    noted: int = 0  # number of images with a note
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: ImageResult) -> None:
        self.images += 1
        self.seconds.update(outcome.overhead)
        if outcome.blank:
            self.blank.append(outcome.source.name)
        if outcome.reading is None:
            self.broken += 1
            return
        self.found += len(outcome.reading.scores)
        self.noted += bool(outcome.reading.note)
        self.seconds.update(outcome.reading.timings)


def run(arguments: Sequence[str]) -> int:
    """Read the images; returns 0, 1 if part of them could not be read, 2 if none could, 130 or 143 if interrupted."""
    show_notices()
    refuse_paddleocr_names(arguments)
    if not any(item.startswith("images=") for item in arguments):
        raise ConfigError("images: is missing; add images=FILE, images=FOLDER, images='PATTERN' or images=-")
    with nothing_done():
        config = compose("predict", arguments)
        settings = settings_from(config, PredictSettings)
        models = settings_from(config, RuntimeSettings).checked()
        correcting = settings_from(config, CorrectionSettings)
        correcting.check(folder=settings.output != "-", pages=not models.rec_only)
        if settings.dpi < 1 or settings.picture_side < 64:
            raise ConfigError(
                f"dpi, picture_side: expected dpi of 1 or more and picture_side of 64 pixels or more, got "
                f"dpi={settings.dpi}, picture_side={settings.picture_side}"
            )
        skipped = Skipped()
        sources = find_sources(settings.images, settings.recursive, sys.stdin, skipped)
        if skipped.counts:
            print(f"ocrexp: {printable(skipped.describe())}", file=sys.stderr)
        limit_pixels(models.max_pixels)
        output = _output(settings)
        # Before the models are loaded: a folder that may not be replaced is an error at once.
        if output is not None and settings.output is not None and is_taken(output, settings.overwrite):
            check_corrections(output)
        finder = FontFinder(settings.font)
        count = models.worker_count(len(sources))
        reader = EnginePool(models, count)
    if output is None:
        return _to_stdout(sources, ImageWork(reader, finder, settings.dpi), count, models.rec_only)
    if settings.output is None:
        output = _claimed(output)
    folder = PredictionFolder(output, sources, models.rec_only, settings.overwrite, labels=settings.labels)
    corrections = Corrections(folder, correcting)
    side = settings.picture_side if settings.pictures else None
    work = ImageWork(reader, finder, settings.dpi, folder, side, settings.labels or correcting.wanted)
    try:
        remove_corrections(output)
        return _to_folder(sources, work, count, folder, corrections)
    finally:
        folder.close()


def _to_folder(
    sources: list[Source], work: ImageWork, count: int, folder: PredictionFolder, corrections: Corrections
) -> int:
    def write(outcome: ImageResult) -> None:
        folder.write(outcome)
        corrections.add(outcome)

    try:
        code = _predict(sources, work, count, folder.rec_only, write, sys.stdout)
        more = corrections.write()
    except OSError as error:
        raise DataError(f"output={folder.folder}: cannot be written ({error.strerror or error})") from error
    if work.finder.missing:
        some = "".join(sorted(work.finder.missing)[:20])
        print(
            f"ocrexp: no font contains {len(work.finder.missing)} of the characters ({some}), so pictures show their "
            "code points; install a font for this script, or set font=FILE",
            file=sys.stderr,
        )
    if folder.unlabeled:
        first = printable(folder.unlabeled[0])
        print(f"ocrexp: {len(folder.unlabeled)} images are not in {LABELS}, for example {first}", file=sys.stderr)
    for line in corrections.account.lines():
        print(f"ocrexp: correct: {printable(line)}", file=sys.stderr)
    print(f"written: {printable(str(folder.folder))}: {', '.join([*folder.holds(), *more])}")
    if least := corrections.least_certain():
        print(printable(least))
    if folder.labels_written:
        dataset = "rec_list" if folder.rec_only else "det_list"
        path = (folder.folder / LABELS).absolute()
        places = {"dataset.root": folder.root, "dataset.train_labels": path}
        with path.open("rb") as lines:
            several = sum(1 for _ in lines) > 1
        validation = (
            "dataset.val_labels=null dataset.val_split=0.1" if several else typed("train", "dataset.val_labels", path)
        )
        shown = " ".join(typed("train", key, value) for key, value in places.items())
        print(f"labels: dataset={dataset} {shown} {validation}")
    return code


def _to_stdout(sources: list[Source], work: ImageWork, count: int, lines: bool) -> int:
    def write(outcome: ImageResult) -> None:
        print(prediction_line(outcome), flush=True)

    try:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a text stream has it
        return _predict(sources, work, count, lines, write, sys.stderr)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _predict(
    sources: list[Source],
    work: ImageWork,
    count: int,
    lines: bool,
    write: Callable[[ImageResult], None],
    summary: TextIO,
) -> int:
    """Run all images through the models; finished results are always written. Returns the exit code."""
    tally = ReadingCounts()
    at_once = LINES_AT_ONCE if lines else 1
    chunks = [sources[start : start + at_once] for start in range(0, len(sources), at_once)]
    started = time.perf_counter()
    with StopSignals("finishing the current images") as stop, Progress(len(sources), "reading") as bar:
        results = in_order(chunks, work, count + AHEAD)
        with closing(results):
            for outcome in (outcome for outcomes in results for outcome in outcomes):
                write(outcome)
                tally.add(outcome)
                if outcome.error:
                    bar.say(f"ocrexp: {outcome.source.name}: {outcome.error}")
                elif outcome.reading is not None and outcome.reading.note and tally.noted <= NOTES_SHOWN:
                    bar.say(f"ocrexp: {outcome.source.name}: {outcome.reading.note}")
                bar.advance(outcome.source.path.name)
                if stop.received is not None:
                    break
    print(_summary(tally, time.perf_counter() - started, lines), file=summary)
    if tally.blank:
        count, first = len(tally.blank), printable(tally.blank[0])
        what = "image is" if count == 1 else "images are"
        print(f"ocrexp: {count} {what} all black or all white, the first is {first}; check the file", file=sys.stderr)
    if tally.noted > NOTES_SHOWN:
        print(
            f"ocrexp: {tally.noted} of {tally.images} images have such a note; the first {NOTES_SHOWN} are shown",
            file=sys.stderr,
        )
    if stop.received is not None:
        print(f"ocrexp: interrupted after {tally.images} of {len(sources)} images", file=sys.stderr)
        return 128 + stop.received
    if tally.broken:
        print(f"ocrexp: {tally.broken} of {tally.images} images could not be read", file=sys.stderr)
        return 2 if tally.broken == tally.images else 1
    return 0


def _summary(tally: ReadingCounts, seconds: float, lines: bool) -> str:
    """`20 images, 812 texts in 14.2 s (1.41 images/s); seconds by stage: load 0.4, det 6.1, …`."""
    read = tally.images - tally.broken
    stages = ", ".join(f"{name} {value:.1f}" for name, value in tally.seconds.items())
    found = "" if lines else f", {tally.found} regions"
    rate = read / seconds if seconds else 0.0
    return f"read: {read} images{found} in {seconds:.1f} s ({rate:.2f} images/s); seconds by stage: {stages}"


def _output(settings: PredictSettings) -> Path | None:
    """The folder to write into; None for standard output."""
    if settings.output == "-":
        return None
    if settings.output is not None:
        return Path(settings.output).expanduser()
    return Path("outputs/predict") / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def _claimed(folder: Path) -> Path:
    """A new default folder; commands that start within one second get different ones."""
    try:
        return claim_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"output={folder}: cannot be written ({error.strerror}); choose another folder with output=DIR"
        ) from None
