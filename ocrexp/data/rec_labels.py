"""Recognition label files: PaddleOCR's `path<TAB>text`, read whole, with every problem named.

The text is the second column, with the spaces at its ends. A third column, as lists with scores have, and tabs at the
end are ignored with a count; where several tabs follow the path, the text is behind them. In front of the tab a JSON
list of paths names several images of one text. `\\n` and `\\r\\n` end a line, nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.invisible import code_points, count_invisible, describe_point
from ocrexp.data.label_file import LabelFile, read_lines
from ocrexp.data.label_format import LONGEST_TEXT, BadLine, Checked, LabelFormat, LabelLine, LabelProblem, Notes, short

# What is looked at one by one: an empty text, one that begins with a space, a carriage return, a tab, a NUL byte.
_SPACES = [0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
_CLOSER = np.zeros(256, bool)
_CLOSER[[0, 9, 13]] = True


def read_rec_label_file(path: Path) -> LabelFile:
    """Read a whole recognition label file, good lines (each with one text) and problems apart.

    Raises what `read_lines` raises. What counts as a bad line: not UTF-8, no tab, no path, a NUL byte, a text that is
    empty or all spaces, a carriage return within the line, more than 10 000 characters.
    """
    return read_lines(path, TextFormat())


class TextFormat(LabelFormat):
    """One text behind the tab."""

    has_notes = True

    def parse(
        self, number: int, names: tuple[str, ...], label: str, path: Path
    ) -> tuple[LabelLine, list[LabelProblem]]:
        """One text, that of the second column."""
        del path
        if "\r" in label:
            raise BadLine(
                f"a carriage return within the label {short(label)}",
                "end lines with LF or CR LF; tr '\\r' '\\n' corrects a list",
            )
        text = self.text(label)
        if not text.strip():
            raise BadLine(
                f"the label of {short(names[0])} is empty", "write the text after the tab, or remove the line"
            )
        if len(text) > LONGEST_TEXT:
            raise BadLine(
                f"the label has {len(text)} characters, more than {LONGEST_TEXT}",
                "is a line end or a closing quote missing?",
            )
        return LabelLine(number, names, (text,)), []

    def check(self, labels: str, count: int) -> Checked:
        """Whether nothing of a label has to be looked at more closely."""
        good = self._sound(labels)
        assert len(good) == count
        return Checked(good, good, np.zeros(count, np.int32))

    def _sound(self, labels: str) -> npt.NDArray[np.bool_]:
        points = code_points(labels)
        ends = np.append(np.flatnonzero(points == 10), len(points))
        starts = np.concatenate([[0], ends[:-1] + 1])
        good = (ends > starts) & (ends - starts <= LONGEST_TEXT)
        good[good] = points[starts[good]] > 32
        low = np.flatnonzero(points < 14)
        good[np.searchsorted(ends, low[_CLOSER[points[low]]])] = False
        good[good] = ~np.isin(points[starts[good]], _SPACES)  # other ones may be all of a text
        if (far := ~good & (ends > starts)).any():
            for i in np.flatnonzero(far & (ends - starts <= LONGEST_TEXT)).tolist():
                label = labels[starts[i] : ends[i]]
                good[i] = not ("\t" in label or "\r" in label or "\0" in label or not label.strip())
        return good

    def note(self, labels: str, places: Sequence[int], path: Path, notes: Notes) -> None:
        """Columns beside the text, spaces at its ends, and characters that no image shows."""
        if "\t" in labels:
            parts = labels.split("\n")
            for part, place in zip(parts, places, strict=True):
                if "\t" in part:
                    _note_columns(part, f"{path}:{place}", notes)
            labels = "\n".join(map(self.text, parts))
        for point, (count, place) in count_invisible(labels, places).items():
            notes.add(
                f"contain {describe_point(point)}",
                "it is invisible in images, remove it from the labels or set the charset's invisible=clean",
                count,
                f"{path}:{place}",
            )
        if " \n" in labels or "\n " in labels or labels[:1] == " " or labels[-1:] == " ":
            found = [
                place
                for part, place in zip(labels.split("\n"), places, strict=True)
                if part[0] == " " or part[-1] == " "
            ]
            notes.add(
                "begin or end with a space (U+0020)",
                "it is invisible in images, remove it from the labels",
                len(found),
                f"{path}:{found[0]}" if found else "",
            )

    def text(self, label: str) -> str:
        """The first column behind the path that is not empty."""
        if "\t" not in label:
            return label
        return next((column for column in label.split("\t") if column.strip()), "")


class WholeText(TextFormat):
    """One text of which tabs are a part, as in the labels of shards."""

    def text(self, label: str) -> str:
        """All of it."""
        return label


def _note_columns(label: str, place: str, notes: Notes) -> None:
    tab = describe_point(9)
    columns = label.split("\t")
    at = next(i for i, column in enumerate(columns) if column.strip())
    if at:
        notes.add(f"begin with {tab}", "the text begins after it, write only one tab after the path", 1, place)
    rest = [column for column in columns[at + 1 :] if column.strip()]
    if rest:
        notes.add(
            f"contain {tab}",
            "is there a third column? The text is the second column, as in PaddleOCR, the rest is ignored",
            1,
            place,
        )
    elif at + 1 < len(columns):
        notes.add(f"end with {tab}", "it is ignored", 1, place)
