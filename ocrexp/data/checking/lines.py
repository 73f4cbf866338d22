"""Reading a label list for a check: its lines, what is wrong with the bad ones, and which images exist."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ocrexp.data.checking.delimiter import divide, second_image
from ocrexp.data.checking.encoding import Digest, read_decoded
from ocrexp.data.checking.entries import ListEntries
from ocrexp.data.checking.json_repair import repair
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.image_names import ImageNames, SimilarNames, moved_advice
from ocrexp.data.label_file import LabelFile, check_lines
from ocrexp.data.label_format import BadLine, LabelFormat, short
from ocrexp.data.labels import RegionFormat
from ocrexp.data.list_advice import all_missing
from ocrexp.data.lists import find_images, list_part
from ocrexp.data.rec_labels import TextFormat

_PORTION = 8192
# What a BadLine states, and the kind of problem that it is.
_KINDS = (
    (r"\d+ NUL byte", "line-nul"),
    (r"no tab between", "line-delimiter"),
    (r"no image path", "line-no-path"),
    (r"the line has \d+ bytes", "line-too-long"),
    (r"broken JSON", "json-broken"),
    (r"the label is not a list", "label-not-regions"),
    (r"region \d+ is neither JSON", "label-not-regions"),
    (r"region \d+ has no points or no transcription", "region-keys"),
    (r"the transcription of region", "region-text"),
    (r"region \d+ has \d points?$", "polygon-few-points"),
    (r"a coordinate of region|points of region", "polygon-coordinates"),
    (r"a carriage return", "line-ends"),
    (r"the label of .* is empty|no label after", "label-empty"),
)
_REPAIRED = {
    "json-quotes": "single quotes or Python's notation",
    "json-commas": "a comma before a closing bracket",
    "json-joined": "several lists, or several images, on one line",
    "json-single": "a region that is not in a list",
}
_HEADERS = frozenset(
    ("filename", "file", "file_name", "path", "image", "images", "image_path", "img", "img_path", "name", "id")
)


def format_of(task: str) -> LabelFormat:
    """How the label of a line is read."""
    return RegionFormat() if task == "det" else TextFormat()


def read_entries(
    path: Path,
    split: str,
    task: str,
    root: Path,
    index: int,
    others: Mapping[str, Sequence[str]],
    problems: Problems,
    digest: Digest | None = None,
) -> ListEntries:
    """The good lines of a list; reports the bad ones and images that do not exist.

    Args:
        path: the list.
        split: "train" or "val".
        task: "det", "rec" or "cls".
        root: the folder that paths start from.
        index: of the list among those of its split.
        others: all lists of the data set by their key, for advice about the root.
        problems: what is wrong goes there.
        digest: is updated with the bytes of the list.

    Raises DataError where the file cannot be read.
    """
    decoded = read_decoded(path, split, problems, digest)
    file = check_lines(decoded.lines, format_of(task))
    part = list_part(file, root, index)
    entries = ListEntries(split, part, np.zeros(len(part), bool), decoded.converted)
    entries.bad = [
        int(file.packed.numbers[i]) for i in np.setdiff1d(np.arange(len(file.packed)), file.kept, True).tolist()
    ]
    if not len(file.packed):
        problems.add("list-empty", Place(split, str(path)), "the list has no line")
    _bad_lines(entries, decoded.undecoded, task, problems)
    if task != "det":
        _columns(entries, problems)
    _find_images(entries, others, problems)
    return entries


def _bad_lines(entries: ListEntries, undecoded: frozenset[int], task: str, problems: Problems) -> None:
    file = entries.file
    for i in np.setdiff1d(np.arange(len(file.packed)), file.kept, True).tolist():
        place = Place(entries.split, str(file.path), int(file.packed.numbers[i]))
        if place.line in undecoded:
            continue  # reported by its encoding
        try:
            file.line(i)
        except BadLine as bad:
            _bad_line(file, i, bad, place, task, problems)


def _bad_line(file: LabelFile, i: int, bad: BadLine, place: Place, task: str, problems: Problems) -> None:
    kind = next((kind for pattern, kind in _KINDS if re.match(pattern, bad.what)), "label-broken")
    what, advice = bad.what, bad.advice
    line = file.packed[i].decode("utf-8", "replace")
    if kind == "line-delimiter":
        if i == 0 and is_header(re.split(r"[\s,;|]", line)[0]):
            kind, what, advice = "line-header", f"a header line, {short(line)}", "remove it"
        elif (divided := divide(line)) is not None:
            what = f"{divided.mark} in place of a tab between path and label: {short(line)}"
            advice = "separate them with one tab"
    elif kind in ("json-broken", "label-not-regions") and task == "det":
        label = line.partition("\t")[2]
        if (repaired := repair(label)) is not None:
            for kind in repaired.kinds:
                problems.add(kind, place, f"{_REPAIRED[kind]}: {short(label)}")
            return
    problems.add(kind, place, what, advice)


def is_header(name: str) -> bool:
    """Whether a path is the name of a column."""
    return name.strip().strip("\"'#").lower() in _HEADERS


def _columns(entries: ListEntries, problems: Problems) -> None:
    """Good lines with further tabs: a third column, a second image, tabs at the ends."""
    file = entries.file
    for chunk in file.chunks():
        if b"\t" not in file.packed.labels(chunk):
            continue
        for i in chunk.tolist():
            name, _, label = file.packed[i].decode("utf-8").partition("\t")
            if "\t" not in label:
                continue
            place = Place(entries.split, str(file.path), int(file.packed.numbers[i]))
            columns = [column for column in label.split("\t") if column.strip()]
            if (joined := second_image(label, name)) is not None:
                problems.add("line-joined", place, f"a second image, {short(joined[1])}, is on the line")
            elif len(columns) > 1:
                problems.add("line-columns", place, f"{len(columns)} columns after the path: {short(label)}")
            else:
                problems.add("line-tabs", place, f"tabs beside the label {short(columns[0])}")


def _find_images(entries: ListEntries, others: Mapping[str, Sequence[str]], problems: Problems) -> None:
    """Fill in which images exist; one of several lists may have them relative to its own folder."""
    root, file = entries.part.root, entries.file
    entries.part, entries.exists = find_images(entries.part, ImageNames(root), alone=False)
    missing = np.flatnonzero(~entries.exists).tolist()
    if len(missing) == len(entries) > 0 and not is_header(file.line(int(entries.part.lines[0])).names[0]):
        what = all_missing(file, entries.part.record(0), root, others, lambda option: f"dataset.{option}")
        problems.add("image-missing", Place(entries.split, str(file.path)), what, "", count=len(missing))
        return
    similar = SimilarNames(root)
    for i in missing:
        if not problems.wants("image-missing", entries.split):
            problems.count("image-missing", entries.split)
            continue
        place, name = entries.place(i), file.line(int(entries.part.lines[i])).names[0]
        if place.line == 1 and is_header(name):
            problems.add("line-header", place, f"a header line, {short(name)}", "remove it")
        else:
            advice = moved_advice(name, root, file.path) or similar.advice(name)
            problems.add("image-missing", place, f"image {entries.image(i)} does not exist", advice)
