"""`ocrexp eval-system det=DIR rec=DIR dataset.root=…`: end-to-end figures of two exported models on labeled images."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ocrexp.assemble.data import build_source
from ocrexp.charset.normalization import NFC, Normalization, of_facts
from ocrexp.commands.eval import write_report
from ocrexp.config.build import build
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.data.images import limit_pixels
from ocrexp.data.regions import crossing_lines
from ocrexp.deploy.end_to_end import EnginePool, in_order
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.progress import Progress
from ocrexp.deploy.settings import RuntimeSettings, refuse_paddleocr_names, settings_from
from ocrexp.errors import ConfigError, DataError, OcrexpError, nothing_done, printable
from ocrexp.files import shortened
from ocrexp.logs import show_notices
from ocrexp.metrics.system import SystemMetric, SystemPrediction
from ocrexp.report.figures import figures as in_one_line
from ocrexp.results import DetReference, Noted
from ocrexp.runs.output import output_folder
from ocrexp.types import Record, UnusableSample

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.types import DataSource

SUMMARY = "Evaluate an exported detector and recognizer together: end-to-end hmean"
USAGE = """
Usage
  python -m ocrexp eval-system det=DIR rec=DIR dataset.root=DIR [dataset.val_labels=val_list.txt] [key=value ...]

Reads labeled images with two exported models. hmean counts a region where both its box (IoU above 0.5) and its text are
correct; det_hmean counts boxes alone; rec_accuracy is the share of the correct boxes whose text is correct. Prints one
line of figures, writes eval_system.json and pictures of the worst images."""


REPORT = "eval_system.json"


@dataclass(frozen=True)
class EvalSystemSettings:
    """The keys of conf/eval-system.yaml that are not the models'."""

    output: str | None
    overwrite: bool
    pictures: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Read:
    """One image: its reading, or the `problem` that prevented it."""

    record: Record
    prediction: SystemPrediction
    problem: str = ""
    note: str = ""  # a warning about the image for the user


def run(arguments: Sequence[str]) -> int:
    """Read all images, print one line of figures, write `eval_system.json` and the worst pictures; returns 0."""
    with ExitStack() as held:
        return _run(arguments, held)


def _run(arguments: Sequence[str], held: ExitStack) -> int:
    show_notices()
    with nothing_done():
        refuse_paddleocr_names(arguments)
        config = compose("eval-system", arguments)
        models = settings_from(config, RuntimeSettings).checked()
        if models.det is None or models.rec is None:
            raise ConfigError(
                "det, rec: eval-system needs both models; add det=DIR rec=DIR (ocrexp eval measures one model)"
            )
        if OmegaConf.is_missing(config.dataset, "root"):
            raise ConfigError(
                "dataset.root: is missing; add the folder of labeled images: dataset.root=DIR dataset.val_labels=LIST"
            )
        check(config)
        limit_pixels(models.max_pixels)
        settings = settings_from(config, EvalSystemSettings)
        if settings.pictures < 0 or (settings.limit is not None and settings.limit < 1):
            raise ConfigError(
                f"pictures, limit: expected pictures of 0 or more, and limit of 1 or more or null, got "
                f"pictures={settings.pictures}, limit={settings.limit}"
            )
        folder = held.enter_context(
            output_folder(settings.output, "outputs/eval-system", REPORT, "an evaluation", settings.overwrite)
        )

        metric = build(config.metric)
        source = build_validation(config.dataset)
        normalization = normalization_of(models)
        records = [normalized(record, normalization) for record in source.val_records()[: settings.limit]]
        for line in [*source.report(), *crossing_lines("val", records)]:
            if line.startswith("val: "):
                print(f"ocrexp: {printable(line)}", file=sys.stderr)
        if not any(record.polygons for record in records):
            raise DataError("dataset.val_labels: contains no labeled region; use a detection list with texts")
    started = time.perf_counter()
    results = _read_all(records, models)
    seconds = time.perf_counter() - started
    if results and all(read.problem for read in results):
        raise DataError(f"none of the {len(results)} images could be read: {results[0].problem}")
    noted = Noted()
    for read in results:
        metric.update([read.prediction], [reference_of(read.record)])
        noted.add(str(read.record.image_path), read.note)
    if line := noted.line(len(results)):
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
    figures = metric.compute()
    print(in_one_line(figures))
    unreadable = [f"{read.record.image_path}: {read.problem}" for read in results if read.problem]
    content = {
        "metrics": figures,
        "images": len(records),
        "unreadable": unreadable,
        "data": {name: value for name, value in source.fingerprint().items() if name.startswith("val_")},
        "models": {name: value for name, value in asdict(models).items() if value is not None},
        "metric": OmegaConf.to_container(config.metric, resolve=True),
        "seconds": round(seconds, 2),
        "images_per_second": round(len(records) / seconds, 3),
    }
    try:
        _write(folder, content, results, metric, settings.pictures)
    except OSError as error:
        raise DataError(
            f"output={folder}: cannot be written ({error.strerror or error}); name another folder"
        ) from error
    if unreadable:
        print(f"ocrexp: {len(unreadable)} images could not be read; their regions count as not found", file=sys.stderr)
    print(f"written: {printable(str(folder))}")
    return 0


def build_validation(node: DictConfig) -> DataSource:
    """The dataset; its training lists are not needed and need not exist."""
    if "train_labels" in node and "val_labels" in node and node.get("val_split") is None:
        node.train_labels, node.ratios = node.val_labels, None
    return build_source(node)


def normalization_of(models: RuntimeSettings) -> Normalization:
    """How the recognizer's labels were normalized in training, and its readings are. Raises DeployError."""
    if models.rec is None or models.rec_char_dict_path is not None:  # other characters than the export's
        return NFC
    description = ModelFolder.open(models.rec).description
    stated = (description.ocrexp or {}).get("charset") if description else None
    return of_facts(stated or {})


def normalized(record: Record, normalization: Normalization) -> Record:
    """The record with its texts as the recognizer writes them."""
    return replace(record, texts=tuple(normalization(text) for text in record.texts))


def reference_of(record: Record) -> DetReference:
    """The ground truth of an image."""
    return DetReference(list(record.polygons), list(record.ignored), list(record.texts))


def _read_all(records: Sequence[Record], models: RuntimeSettings) -> list[Read]:
    from ocrexp.data.images import read_image

    count = models.worker_count(len(records))
    reader = EnginePool(models, count)

    def work(record: Record) -> Read:
        try:
            image = read_image(record.image_path)
        except UnusableSample as error:
            return Read(record, SystemPrediction([], [], []), str(error))
        try:
            reading = reader([image])[0]
        except OcrexpError as error:
            return Read(record, SystemPrediction([], [], []), str(error))
        prediction = SystemPrediction(reading.polygons or [], reading.scores, reading.texts or [])
        return Read(record, prediction, note=reading.note)

    results = []
    with Progress(len(records), "reading") as bar, closing(in_order(records, work, count + 1)) as reads:
        for read in reads:
            results.append(read)
            if read.problem:
                bar.say(f"ocrexp: {read.record.image_path}: {read.problem} ({read.record.source})")
            bar.advance(read.record.image_path.name)
    return results


def _write(
    folder: Path, content: dict[str, object], results: Sequence[Read], metric: SystemMetric, pictures: int
) -> None:
    """The content of `eval_system.json`, and the images with the most errors, worst first."""
    from ocrexp.data.images import read_image
    from ocrexp.deploy.fonts import FontFinder
    from ocrexp.drawing import write_picture
    from ocrexp.report.system import draw_missing, draw_system_sample

    for old in (folder / "worst").glob("*.jpg"):  # from the evaluation that is replaced
        old.unlink()
    write_report(folder / REPORT, content)
    faults = {id(read): metric.severity(read.prediction, reference_of(read.record)) for read in results}
    worst = sorted((read for read in results if faults[id(read)] > 0), key=lambda read: -faults[id(read)])[:pictures]
    finder = FontFinder()
    for number, read in enumerate(worst):
        name = read.record.image_path.name
        if read.problem:
            picture = draw_missing(name, read.problem, finder)
        else:
            image = read_image(read.record.image_path)
            picture = draw_system_sample(image, read.prediction, reference_of(read.record), metric, name, finder)
        (folder / "worst").mkdir(exist_ok=True)
        write_picture(folder / "worst" / f"{number:02d}_{shortened(read.record.image_path.stem)}.jpg", picture)
