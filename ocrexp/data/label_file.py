"""What all label files share: one line per image, the path and a tab first; each fault is reported with its line."""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ocrexp.charset.encodings import conversion, guess_encoding
from ocrexp.data.label_format import BadLine, Checked, LabelFormat, LabelLine, LabelProblem, Notes, short
from ocrexp.data.packed import Offsets, PackedLines, SomeLines, read_packed

_KEPT = 1000  # problems of a file that are kept whole; all are counted
_ODD_SPACES = list(b"\xc2\xe1\xe2\xe3")  # first bytes of spaces beside ASCII
_DETAIL = re.compile(r"0x\w+|\d+|'.*'")  # what differs between faults of one kind
_LONGEST = 1 << 26  # bytes of a line


class LabelFile(Sequence[LabelLine]):
    """A label file that has been checked: its good lines, parsed when they are asked for, and its faults.

    Attributes:
        lines: the good lines; this object itself.
        kept: their indices among `packed`, the lines that are not blank.
        problems: the first thousand faults; `bad` counts the lines that are skipped, `dropped` the regions.
        kinds: what is wrong with bad lines -> how many.
        notes: what is odd about good ones.
        plural: indices of lines with several images.
        even, regions: see Checked, for all lines of `packed`.
    """

    def __init__(self, packed: PackedLines, form: LabelFormat) -> None:
        self.path = packed.path
        self.packed = packed
        self.format = form
        self.problems: list[LabelProblem] = []
        self.bad = self.dropped = 0
        self.kinds: Counter[str] = Counter()
        self.notes = Notes()
        self.plural: list[int] = []
        self.kept: Offsets = np.zeros(0, np.int64)
        _, self.even, self.regions = Checked.none(len(packed))

    @property
    def lines(self) -> LabelFile:
        """The good lines."""
        return self

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> LabelLine:  # type: ignore[override]
        return self.line(int(self.kept[index]))

    def line(self, index: int) -> LabelLine:
        """A line by its index among `packed`. Raises BadLine for a bad one."""
        return self.parsed(index)[0]

    def parsed(self, index: int) -> tuple[LabelLine, list[LabelProblem]]:
        """A line and what is dropped of it, by its index among `packed`. Raises BadLine for a bad one."""
        return _parse(self.packed, index, self.format)

    def add(self, problem: LabelProblem) -> None:
        """Count a fault."""
        if problem.fatal:
            self.bad += 1
            self.kinds[_DETAIL.sub("", problem.what.split(":")[0])] += 1
        else:
            self.dropped += 1
        if len(self.problems) < _KEPT:
            self.problems.append(problem)

    def chunks(self, lines: Offsets | None = None) -> Iterator[Offsets]:
        """Indices of good lines (all, or of `lines`) in portions."""
        return self.packed.chunks(self.kept if lines is None else lines)

    def texts(self, lines: Offsets) -> list[str]:
        """The texts of good lines, of a task with one text a line."""
        labels = self.packed.labels(lines).decode("utf-8").split("\n")
        return list(map(self.format.text, labels))


def read_lines(path: Path, form: LabelFormat) -> LabelFile:
    """Read a whole label file and check all its lines.

    Lines end with LF or CR LF; byte order marks at the beginning of lines are ignored, and so are blank lines. Raises
    what `read_packed` raises. Bad is a line that is not UTF-8, holds a NUL byte, has no tab or no path in front of it,
    or for which the format raises BadLine.
    """
    return check_lines(read_packed(path), form)


def check_lines(packed: PackedLines, form: LabelFormat) -> LabelFile:
    """Check all lines; see `read_lines`."""
    result = LabelFile(packed, form)
    checked = Checked.none(len(result.packed))
    strange: list[int] = []  # lines that are not UTF-8
    accented = False  # lines beside ASCII that are UTF-8
    with no_collection():
        for chunk in result.packed.chunks():
            found, other = _check(result, chunk, strange)
            checked.put(chunk, found)
            accented = accented or other
    good, result.even, result.regions = checked
    if strange:
        _not_utf8(result, strange, accented)
        result.problems.sort(key=lambda problem: problem.line)
    result.kept = np.flatnonzero(good)
    for index in np.flatnonzero(good & (result.packed.first == ord("["))).tolist():
        if len(_split(result.packed[index])[0]) > 1:
            result.plural.append(index)
    return result


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the garbage collector, which would look at all objects of the process again and again while many new ones
    are made (ten times slower with paddle loaded)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check(file: LabelFile, chunk: Offsets, strange: list[int]) -> tuple[Checked, bool]:
    """What is known of the lines of a chunk, and whether any holds characters beside ASCII; faults are added to the
    file."""
    packed, result = file.packed, Checked.none(len(chunk))
    good = result.good
    sizes = packed.ends[chunk] - packed.starts[chunk]
    plain = (packed.tabs[chunk] > packed.starts[chunk]) & (packed.first[chunk] > ord(" ")) & (sizes < _LONGEST)
    plain &= packed.first[chunk] != ord("[")
    for place in np.flatnonzero(plain & np.isin(packed.first[chunk], _ODD_SPACES)).tolist():
        plain[place] = bool(packed.names(chunk[[place]]).decode("utf-8", "replace").strip())
    accented = False
    names, labels = packed.names(chunk[plain]), packed.labels(chunk[plain])
    if not _decodes(names) or not _decodes(labels) or b"\0" in names:
        for place in np.flatnonzero(plain).tolist():
            raw = packed[int(chunk[place])]
            plain[place] = _decodes(raw) and b"\0" not in raw
        names, labels = packed.names(chunk[plain]), packed.labels(chunk[plain])
    if plain.any():
        accented = not (labels.isascii() and names.isascii())
        result.put(plain, file.format.check(labels.decode("utf-8"), int(plain.sum())))
    for place in np.flatnonzero(~good).tolist():
        index = int(chunk[place])
        try:
            line, dropped = _parse(packed, index, file.format)
            good[place] = True
            result.regions[place] = len(line.polygons)
        except UnicodeDecodeError:
            strange.append(index)
            continue
        except BadLine as bad:
            dropped = [LabelProblem(file.path, int(packed.numbers[index]), bad.what, bad.advice)]
        accented = accented or not packed[index].isascii()
        for problem in dropped:
            file.add(problem)
    kept = chunk[good]
    if len(kept) and file.format.has_notes:
        file.format.note(packed.labels(kept).decode("utf-8"), packed.numbers[kept].tolist(), file.path, file.notes)
    return result, accented


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse(packed: PackedLines, index: int, form: LabelFormat) -> tuple[LabelLine, list[LabelProblem]]:
    """Raises BadLine, and UnicodeDecodeError for a line that is not UTF-8."""
    raw = packed[index]
    if len(raw) >= _LONGEST:
        raise BadLine(f"the line has {len(raw)} bytes", "is it a label list?")
    try:
        names, label = _split(raw)
        return form.parse(int(packed.numbers[index]), names, label, packed.path)
    except RecursionError:
        raise BadLine("the label is nested too deeply", "correct the line") from None


def _not_utf8(file: LabelFile, strange: Sequence[int], accented: bool) -> None:
    """Add the faults of lines that are not UTF-8, with the encoding that all of them are in."""
    numbers = file.packed.numbers[strange]
    guess = guess_encoding(SomeLines(file.packed, strange))
    advice = conversion(file.path, guess, (int(numbers[0]), int(numbers[-1])) if accented else None)
    for index, number in zip(strange, numbers.tolist(), strict=True):
        raw = file.packed[index]
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8"
            file.add(LabelProblem(file.path, number, what, advice))
            advice = f"as for line {numbers[0]}"


def _split(raw: bytes) -> tuple[tuple[str, ...], str]:
    """Image paths, and what stands behind the first tab. Raises BadLine and UnicodeDecodeError."""
    text = raw.decode("utf-8")
    if "\0" in text:
        raise BadLine(
            f"{text.count(chr(0))} NUL byte(s) (U+0000), the first at column {text.index(chr(0)) + 1}",
            "the file is damaged; write this line again",
        )
    name, tab, label = text.partition("\t")
    if not tab:
        raise BadLine(
            f"no tab between image path and label in {short(text)}",
            "separate them with a tab character, not with spaces",
        )
    if not name.strip():
        raise BadLine("no image path before the tab", "write the path relative to the root folder")
    return split_names(name), label


def split_names(name: str) -> tuple[str, ...]:
    """Image paths of what is in front of the tab: PaddleOCR also takes a JSON list of images that share one label."""
    name = name.strip()
    if name.startswith("["):
        try:
            names = json.loads(name)
        except (ValueError, RecursionError):
            return (name,)  # a file name may begin with a bracket
        if isinstance(names, list) and names and all(isinstance(each, str) and "\0" not in each for each in names):
            return tuple(names)
    return (name,)
