"""Recognition label files: PaddleOCR's `path<TAB>text`, read whole, with every problem named.

Only the first tab separates: the text is all that follows, to the last blank. In front of the tab a JSON list of paths
names several images of one text. `\\n` and `\\r\\n` end a line, nothing else does.
"""

from __future__ import annotations

from pathlib import Path

from ocrexp.data.label_file import BadLine, LabelFile, LabelLine, read_lines, short


def read_rec_label_file(path: Path) -> LabelFile:
    """Read a whole recognition label file, good lines (each with one text) and problems apart.

    Raises what `read_lines` raises. What counts as a bad line: not UTF-8, no tab, no path, a text that is empty or all
    blanks, a carriage return within the line.
    """
    return read_lines(path, _parse)


def _parse(number: int, names: tuple[str, ...], label: str, file: LabelFile) -> LabelLine:  # noqa: ARG001
    if not label.strip():
        raise BadLine(f"the label of {short(names[0])} is empty", "write the text behind the tab, or remove the line")
    if "\r" in label:
        raise BadLine(
            f"a carriage return within the label {short(label)}",
            "end lines with LF or CR LF; tr '\\r' '\\n' mends a list",
        )
    return LabelLine(number, names, (label,))
