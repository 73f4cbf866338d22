"""The files of a prediction: JSON lines, labels that PPOCRLabel and the trainer read, pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import cv2

from ocrexp.deploy.sources import Source
from ocrexp.deploy.uncertainty import FoundRegion
from ocrexp.errors import ConfigError, printable
from ocrexp.files import shortened, write_bytes
from ocrexp.types import Image, Polygon

PREDICTIONS = "predictions.jsonl"
LABELS = "labels.txt"
PICTURES = "pictures"
PAGES = "pages"
PROGRAM_FOLDERS = ("ppocrlabel", "label_studio")  # of annotation programs; see `ocrexp.deploy.correction`


@dataclass(frozen=True, slots=True)
class Reading:
    """The result for one image: `polygons` (n, 2) in its pixels, `texts`, `scores` 0..1, of equal length.

    Without a recognizer `texts` is None and the scores are the detector's; without a detector `polygons` is None and
    there is one text, of the whole image. `timings`: seconds by stage. `note`: a warning for the user. `regions`: all
    regions with all their scores, in the same order, also those that were dropped for the score of their text.
    """

    polygons: list[Polygon] | None
    texts: list[str] | None
    scores: list[float]
    timings: dict[str, float] = field(default_factory=dict)
    note: str = ""
    regions: Sequence[FoundRegion] = ()


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image of a run: its reading, or the `error` that prevented it. `size`: width, height.

    `overhead`: seconds spent around the models (`load`, `draw`).
    """

    source: Source
    size: tuple[int, int] | None = None
    reading: Reading | None = None
    error: str = ""
    picture: str | None = None  # file of the drawn picture, relative to the output folder
    overhead: dict[str, float] = field(default_factory=dict)
    blank: bool = False  # whether the image is all black or all white


def prediction_line(outcome: ImageResult) -> str:
    """The line of `predictions.jsonl`: path, size [width, height], boxes, texts, scores, seconds; or path and error.

    Keys that the models do not fill (boxes without a detector, texts without a recognizer) are omitted.
    """
    row: dict[str, Any] = {"path": utf8_name(outcome.source.name)}
    if outcome.size is not None:
        row["size"] = list(outcome.size)
    if outcome.reading is not None:
        row.update(reading_fields(outcome.reading))
    else:
        row["error"] = outcome.error
    if outcome.picture is not None:
        row["picture"] = outcome.picture
    text = json.dumps(row, ensure_ascii=False)
    # JSON does not escape U+009B, which a terminal would obey; the escape stands for the same name.
    return text if printable(text) == text else "".join(c if printable(c) == c else json.dumps(c)[1:-1] for c in text)


def reading_fields(reading: Reading) -> dict[str, Any]:
    """`boxes` and `texts`, where the models give them, `scores` and `seconds`, as JSON has them."""
    fields: dict[str, Any] = {}
    if reading.polygons is not None:
        fields["boxes"] = [rounded_points(polygon) for polygon in reading.polygons]
    if reading.texts is not None:
        fields["texts"] = reading.texts
    fields["scores"] = [round(score, 4) for score in reading.scores]
    fields["seconds"] = round(sum(reading.timings.values()), 4)
    return fields


def det_label(name: str, reading: Reading) -> str:
    """A line of PaddleOCR's detection label format; a region without a recognized text has an empty transcription."""
    polygons = reading.polygons or []
    texts = reading.texts if reading.texts is not None else [""] * len(polygons)
    regions = [
        {"transcription": text, "points": rounded_points(polygon)}
        for polygon, text in zip(polygons, texts, strict=True)
    ]
    return f"{name}\t{json.dumps(regions, ensure_ascii=False)}\n"


def rec_label(name: str, reading: Reading) -> str | None:
    """A line of PaddleOCR's recognition label format; None if nothing was read, as a label needs a text."""
    text = reading.texts[0].replace("\n", " ").replace("\r", " ") if reading.texts else ""
    return f"{name}\t{text}\n" if text.strip() else None


def label_root(paths: Sequence[Path]) -> Path:
    """The folder that label paths are relative to, for images at `paths`.

    If all images are in one folder, it is that folder's parent, so that paths are `folder/image`, as PPOCRLabel writes
    them; otherwise it is the deepest folder that contains them all.
    """
    folders = {_absolute(path).parent for path in paths}
    common = Path(os.path.commonpath(folders))
    return common.parent if len(folders) == 1 else common


def is_taken(folder: Path, overwrite: bool) -> bool:
    """Whether the folder has content. Raises ConfigError if that may not be replaced, or if `folder` is a file."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"output={folder}: is a file; name a folder")
    taken = folder.is_dir() and any(folder.iterdir())
    if taken and not overwrite:
        raise ConfigError(f"output={folder}: exists and is not overwritten; name another folder, or add overwrite=true")
    return taken


class PredictionFolder:
    """Writes the results of a run in order; every line is flushed, so that an interrupt loses none.

    Args:
        folder: where to write; created if it does not exist.
        sources: all images of the run; they determine the names of the pictures and the root of the labels.
        rec_only: whether images are lines and labels are `path<TAB>text`.
        overwrite: whether to replace the results of an earlier run in the folder; other files are not touched.
        labels: whether to write labels.

    Label paths are relative to `root`. A page of a PDF or TIFF is saved as an image file, which its label names. Raises
    ConfigError for a folder that exists and is not empty, or that cannot be written.
    """

    def __init__(
        self, folder: Path, sources: Sequence[Source], rec_only: bool, overwrite: bool = False, labels: bool = True
    ) -> None:
        self.folder = folder
        self.rec_only = rec_only
        self.unlabeled: list[str] = []  # names of images that were read but have no line in the labels, with the reason
        self.labels_written = 0
        self._names = _unique_names(sources)
        self._prepare(sources, overwrite)
        self._images = {source: self._image_file(source) for source in sources}
        self.root = label_root(list(self._images.values()))
        self._predictions = self._open(PREDICTIONS)
        self._labels = self._open(LABELS) if labels else None

    def picture_path(self, source: Source) -> str:
        """Save the picture of an image; returns its path relative to the folder. Raises OSError."""
        (self.folder / PICTURES).mkdir(exist_ok=True)
        return f"{PICTURES}/{self._names[source]}.jpg"

    def save_page(self, source: Source, image: Image) -> None:
        """Save a page of a PDF or TIFF as an image file. Safe in any thread. Raises OSError."""
        if source.page is not None:
            (self.folder / PAGES).mkdir(exist_ok=True)
            done, data = cv2.imencode(".png", image)
            if not done:
                raise OSError(f"page {source.name} cannot be encoded as PNG")
            write_bytes(self._images[source], data.tobytes())

    def write(self, outcome: ImageResult) -> None:
        """Append an image's lines. Raises OSError."""
        self._predictions.write(prediction_line(outcome) + "\n")
        self._predictions.flush()
        if outcome.reading is None or self._labels is None:
            return
        name = os.path.relpath(_absolute(self._images[outcome.source]), self.root).replace(os.sep, "/")
        if any(character in name for character in "\t\n\r") or utf8_name(name) != name:
            self.unlabeled.append(f"{outcome.source.name!a} (a label list cannot contain its name)")
            return
        line = (rec_label if self.rec_only else det_label)(name, outcome.reading)
        if line is None:
            self.unlabeled.append(f"{outcome.source.name} (no text was read)")
            return
        self._labels.write(line)
        self._labels.flush()
        self.labels_written += 1

    def label_image(self, source: Source) -> Path:
        """The file that the labels of an image name."""
        return self._images[source]

    def holds(self) -> list[str]:
        """Names of the files in the folder."""
        return [name for name in (PREDICTIONS, LABELS, PICTURES, PAGES) if (self.folder / name).exists()]

    def close(self) -> None:
        self._predictions.close()
        if self._labels is not None:
            self._labels.close()

    def _prepare(self, sources: Sequence[Source], overwrite: bool) -> None:
        try:
            if is_taken(self.folder, overwrite):
                self._clear(sources)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"output={self.folder}: cannot be written ({error.strerror}); name another folder"
            ) from None

    def _clear(self, sources: Sequence[Source]) -> None:
        """Removes the results of an earlier run, and nothing else."""
        for name in (PICTURES, PAGES, *PROGRAM_FOLDERS):
            place = self.folder / name
            inside = [source for source in sources if place.resolve() in source.path.resolve().parents]
            if inside:
                raise ConfigError(
                    f"output={self.folder}: {inside[0].name} is in {name}, which would be overwritten; name another"
                    " folder"
                )
            if name not in PROGRAM_FOLDERS and place.is_dir() and (self.folder / PREDICTIONS).exists():
                _remove_images(place)
        for name in (PREDICTIONS, LABELS):
            (self.folder / name).unlink(missing_ok=True)

    def _open(self, name: str) -> TextIO:
        try:
            return (self.folder / name).open("x", encoding="utf-8", newline="\n")  # creating it is the check
        except FileExistsError:  # another process has created it since the check
            raise ConfigError(f"output={self.folder}: exists and is not overwritten; name another folder") from None
        except OSError as error:
            raise ConfigError(
                f"output={self.folder}: cannot be written ({error.strerror}); name another folder"
            ) from None

    def _image_file(self, source: Source) -> Path:
        return source.path if source.page is None else self.folder / PAGES / f"{self._names[source]}.png"


def _remove_images(folder: Path) -> None:
    """Remove the pictures of an earlier run; other files stay, and then the folder too."""
    for path in folder.iterdir():
        if path.suffix in (".jpg", ".png") and not path.is_dir():
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _unique_names(sources: Sequence[Source]) -> dict[Source, str]:
    """A file name without suffix for each image: its own name with the page, and a number if two are equal."""
    names: dict[Source, str] = {}
    taken: set[str] = set()
    for source in sources:
        stem = shortened(utf8_name(source.path.stem)) + ("" if source.page is None else f"_{source.page:04d}")
        name, number = stem, 2
        while name.lower() in taken:  # some file systems do not distinguish upper and lower case
            name, number = f"{stem}_{number}", number + 1
        taken.add(name.lower())
        names[source] = name
    return names


def rounded_points(polygon: Polygon) -> list[list[int | float]]:
    """[[x, y], ...]: integers where they are whole, otherwise one decimal."""
    return [[int(v) if float(v).is_integer() else round(float(v), 1) for v in point] for point in polygon]


def _absolute(path: Path) -> Path:
    # Not resolve(): a link belongs to the folder that contains it.
    return Path(os.path.abspath(path))  # noqa: PTH100


def utf8_name(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 are replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
