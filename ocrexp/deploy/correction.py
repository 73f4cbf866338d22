"""What people need who correct the predictions: the least certain images, and folders of annotation programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ocrexp.data.formats.entries import Account, Entry, Region
from ocrexp.data.formats.label_studio import LabelStudioWriter
from ocrexp.data.formats.ppocrlabel import CACHE, LABELS, STATE, UNREAD, PPOCRLabelWriter
from ocrexp.data.formats.writer import ResultImages, WriteOptions, Writer
from ocrexp.deploy.outputs import ImageResult, PredictionFolder, rounded_points, utf8_name
from ocrexp.deploy.uncertainty import Doubt, FoundRegion, Uncertainty, uncertainty_of
from ocrexp.errors import ConfigError, printable
from ocrexp.folders import new_folder
from ocrexp.nearest import did_you_mean
from ocrexp.types import UnusableSample

UNCERTAIN = "uncertain.jsonl"
PROGRAMS: dict[str, type[Writer]] = {"ppocrlabel": PPOCRLabelWriter, "label_studio": LabelStudioWriter}
_MARKS = {"ppocrlabel": CACHE, "label_studio": "template.xml"}  # a file of each program's folder
REASONS_IN_TASKS = 3  # of an image, in a task of Label Studio


@dataclass(frozen=True)
class CorrectionSettings:
    """Keys of conf/predict.yaml: see its comments."""

    correct: str | list[str] | None
    correct_copies: bool
    correct_address: str
    sort: str | None
    limit: int | None

    @property
    def programs(self) -> list[str]:
        """The programs whose folders are written."""
        given = [self.correct] if isinstance(self.correct, str) else self.correct or []
        return list(dict.fromkeys(given))

    @property
    def wanted(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.programs) or self.sort is not None

    def check(self, folder: bool, pages: bool) -> None:
        """Raises ConfigError for values that do not fit. `folder`: an output folder is written; `pages`: with det."""
        for name in self.programs:
            if name not in PROGRAMS:
                expected, nearest = ", ".join(PROGRAMS), did_you_mean(name, PROGRAMS)
                raise ConfigError(f"correct: expected null or one or several of {expected}, got {name!r}{nearest}")
        if self.sort not in (None, "uncertain"):
            raise ConfigError(f"sort: expected null or uncertain, got {self.sort!r}")
        if self.limit is not None and (self.limit < 1 or not self.wanted):
            needs = "; it is for sort=uncertain and correct=" if self.limit > 0 else ""
            raise ConfigError(f"limit: expected a number of 1 or more, or null, got {self.limit}{needs}")
        if self.programs and not pages:
            raise ConfigError(f"correct={','.join(self.programs)}: is for pages with regions; add det=DIR")
        if self.wanted and not folder:
            raise ConfigError("output=-: sort=uncertain and correct= write files; set output=DIR")


class Corrections:
    """Collects the results of a run and writes, at its end, what people need who correct them.

    Args:
        folder: of the run.
        settings: what is written, in which order.

    With `sort=uncertain`, the images with the largest expected number of wrong regions come first; `uncertain.jsonl`
    contains the numbers and the reasons. Images that could not be read are not among them.
    """

    def __init__(self, folder: PredictionFolder, settings: CorrectionSettings) -> None:
        self._folder, self._settings = folder, settings
        self._results: list[tuple[ImageResult, Uncertainty]] = []
        self.account = Account()

    def add(self, outcome: ImageResult) -> None:
        """Keep a result, if the image was read."""
        if outcome.reading is not None and self._settings.wanted:
            self._results.append((outcome, uncertainty_of(outcome.reading.regions)))

    def write(self) -> list[str]:
        """Write all; returns the names of the files and folders. Raises OSError."""
        if not self._settings.wanted:
            return []
        results = self._results
        if self._settings.sort is not None:
            results = sorted(results, key=lambda result: -result[1].expected)
        results = results[: self._settings.limit]
        written = []
        if self._settings.sort is not None:
            rows = [uncertain_line(*result) for result in results]
            (self._folder.folder / UNCERTAIN).write_text("".join(rows), encoding="utf-8", newline="\n")
            written.append(UNCERTAIN)
        for name in self._settings.programs:
            self._write_program(name, list(self._entries(results)))
            written.append(name)
        return written

    def least_certain(self) -> str:
        """One line about the least certain image; "" if nothing is sorted."""
        if self._settings.sort is None or not self._results:
            return ""
        outcome, uncertainty = max(self._results, key=lambda result: result[1].expected)
        reason = f": {uncertainty.doubts[0]}" if uncertainty.doubts else ""
        regions = f"{uncertainty.expected:.1f} wrong regions expected"
        return f"least certain: {outcome.source.name}: {regions}{reason}"

    def _entries(self, results: Sequence[tuple[ImageResult, Uncertainty]]) -> Iterator[Entry]:
        digits = len(str(len(results)))
        for rank, (outcome, uncertainty) in enumerate(results, start=1):
            assert outcome.reading is not None
            image = self._folder.label_image(outcome.source)
            name = utf8_name(image.name)
            name = name if self._settings.sort is None else f"{rank:0{digits}d}_{name}"
            reasons = "; ".join(str(doubt) for doubt in uncertainty.doubts[:REASONS_IN_TASKS])
            extra = {"wrong_regions_expected": round(uncertainty.expected, 2), "reasons": reasons}
            regions = [_region(found) for found in outcome.reading.regions]
            yield Entry(name, image, regions, size=outcome.size, source=utf8_name(outcome.source.name), extra=extra)

    def _write_program(self, name: str, entries: list[Entry]) -> None:
        place = self._folder.folder / name
        options = WriteOptions(
            copy=self._settings.correct_copies, placeholder=UNREAD, draft=True, address=self._settings.correct_address
        )
        with new_folder(place) as part:  # it has its name only when it is complete
            images = ResultImages(part, place, options.copy)
            writer = PROGRAMS[name](part, images, "", options, self.account)
            for entry in entries:
                try:
                    writer.add(entry)
                except UnusableSample as error:
                    self.account.drop("image that cannot be read again", f"{entry.source}: {error}")
            writer.close()
            part.rename(place)


def check_corrections(folder: Path) -> None:
    """Raises ConfigError if the folder of an earlier run contains the work of a person."""
    for name in (LABELS, STATE):
        path = folder / "ppocrlabel" / name
        if path.is_file() and path.stat().st_size:
            raise ConfigError(f"output={folder}: ppocrlabel/{name} contains corrections; name another folder")
    for name, mark in _MARKS.items():
        if (folder / name).exists() and not (folder / name / mark).exists():
            raise ConfigError(f"output={folder}: {name} was not written by predict; name another folder")
        if foreign := _foreign(folder / name, name):
            raise ConfigError(
                f"output={folder}: {name}/{printable(foreign)} was not written by predict and would be deleted; "
                "move it, or name another folder"
            )


def _foreign(place: Path, program: str) -> str | None:
    """The first file in a program's folder that predict has not written, such as an export or a photograph."""
    if program == "ppocrlabel":
        kept = place / CACHE
        lines = kept.read_text(encoding="utf-8", errors="replace").splitlines() if kept.is_file() else []
        own = {line.partition("\t")[0].rpartition("/")[2] for line in lines} | {CACHE, LABELS, STATE}
    else:
        own = {"tasks.json", "template.xml"} | {f"images/{name}" for name in _task_images(place / "tasks.json")}
    files = sorted(path for path in place.rglob("*") if path.is_symlink() or not path.is_dir())
    return next((name for path in files if (name := path.relative_to(place).as_posix()) not in own), None)


def _task_images(path: Path) -> set[str]:
    """The names of the images that the tasks of Label Studio have; none if the file cannot be read."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
        return {unquote(str(task["data"]["ocr"])).rpartition("/")[2] for task in tasks}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def remove_corrections(folder: Path) -> None:
    """Remove what an earlier run has written; see `check_corrections`."""
    check_corrections(folder)
    for name in PROGRAMS:
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    (folder / UNCERTAIN).unlink(missing_ok=True)


def uncertain_line(outcome: ImageResult, uncertainty: Uncertainty) -> str:
    """The line of `uncertain.jsonl`: path, the expected number of wrong regions, the number of regions, the reasons."""
    assert outcome.reading is not None
    row = {
        "path": utf8_name(outcome.source.name),
        "wrong_regions_expected": round(uncertainty.expected, 4),
        "regions": len(outcome.reading.regions),
        "reasons": [_reason(doubt) for doubt in uncertainty.doubts],
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _reason(doubt: Doubt) -> dict[str, object]:
    row: dict[str, object] = {"region": doubt.number, "wrong": round(doubt.wrong, 4), "reason": doubt.reason}
    if doubt.region is not None and doubt.region.text is not None:
        row["text"] = doubt.region.text
    if doubt.region is not None and doubt.region.polygon is not None:
        row["points"] = rounded_points(doubt.region.polygon)
    return row


def _region(found: FoundRegion) -> Region:
    assert found.polygon is not None
    points = [(float(x), float(y)) for x, y in rounded_points(found.polygon)]
    score = found.box_score if found.text is None else found.text_score
    return Region(points, found.text or None, score=score)
