"""The lines of a text file as one block of bytes with offsets: a line is decoded when it is asked for.

A list of a million lines as Python objects takes gigabytes, and as many again in each loader worker, which touches
their reference counts; here it takes its file's size and 28 bytes per line, which workers share.
"""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.charset.encodings import convert_wide, wide_encoding
from ocrexp.errors import DataError

Offsets = npt.NDArray[np.int64]

_PIECE = 1 << 22  # bytes looked at together
_CHUNK_BYTES = 1 << 20  # of the lines that are checked together
_CHUNK_LINES = 1 << 13
_BLANK = np.zeros(256, bool)
_BLANK[list(b" \t\r\v\f")] = True


class PackedLines(Sequence[bytes]):
    """The lines of a file that are not blank, as bytes without their line ends and byte order marks.

    Lines end with LF or CR LF. Byte order marks at the beginning of any line are ignored: files that have been joined
    hold several.

    Args:
        path: the file.
        data: what is in it.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        array = np.frombuffer(data, np.uint8)
        ends = np.append(_find(array, 10), len(data))
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
        ends = ends - ((ends > starts) & (array[np.maximum(ends - 1, 0)] == 13) if len(data) else 0)
        starts = _behind_marks(data, array, starts, ends)
        kept = starts < ends
        first = np.where(kept, array[np.minimum(starts, max(len(data) - 1, 0))] if len(data) else 0, 0)
        for i in np.flatnonzero(kept & _BLANK[first]).tolist():
            kept[i] = bool(data[starts[i] : ends[i]].strip())
        self.starts: Offsets = starts[kept]
        self.ends: Offsets = ends[kept]
        self.numbers = (np.flatnonzero(kept) + 1).astype(np.int32)  # of each line in the file, from 1
        self.first = first[kept].astype(np.uint8)  # byte of each line
        tabs = np.append(_find(array, 9), len(data))
        behind = tabs[np.searchsorted(tabs, self.starts)]
        self.tabs: Offsets = np.where(behind < self.ends, behind, -1)  # the first of each line; -1: none

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]
        return self.data[self.starts[index] : self.ends[index]]

    def chunks(self, lines: Offsets | None = None) -> Iterator[Offsets]:
        """Indices of consecutive lines (all, or of `lines`) in portions to look at together."""
        lines = np.arange(len(self)) if lines is None else lines
        sizes = np.cumsum(self.ends[lines] - self.starts[lines])
        low = 0
        while low < len(lines):
            reached = sizes[low - 1] if low else 0
            high = int(np.searchsorted(sizes, reached + _CHUNK_BYTES, "right"))
            high = min(max(high, low + 1), low + _CHUNK_LINES)
            yield lines[low:high]
            low = high

    def labels(self, lines: Offsets) -> bytes:
        """What is behind the first tab of these lines, each of which has one, with line feeds between them."""
        data = self.data
        return b"\n".join([data[a:b] for a, b in zip((self.tabs[lines] + 1).tolist(), self.ends[lines].tolist())])  # noqa: B905

    def names(self, lines: Offsets) -> bytes:
        """What is in front of the first tab of these lines, with line feeds between them."""
        data = self.data
        return b"\n".join([data[a:b] for a, b in zip(self.starts[lines].tolist(), self.tabs[lines].tolist())])  # noqa: B905


class SomeLines(Sequence[bytes]):
    """Some lines of a file, one after the other."""

    def __init__(self, lines: PackedLines, indices: Sequence[int]) -> None:
        self._lines = lines
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]
        return self._lines[self._indices[index]]


def read_packed(path: Path) -> PackedLines:
    """The lines of a file.

    Raises what `read_packed_bytes` raises, and DataError if it is in UTF-16 or UTF-32.
    """
    data = read_packed_bytes(path)
    if encoding := wide_encoding(data[:4096]):
        raise DataError(f"label file {path} {convert_wide(path, encoding)}")
    return PackedLines(path, data)


def read_packed_bytes(path: Path) -> bytes:
    """The content of a label file.

    Raises DataError if it is missing, is not a regular file (a named pipe or a device may have no end), cannot be
    read or does not fit into memory.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DataError(f"label file {path} is not a regular file; give the path of a text file")
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"label file {path} does not exist; give the path of a text file") from None
    except OSError as error:
        raise DataError(f"label file {path} cannot be read ({error.strerror}); give the path of a text file") from None
    except MemoryError:
        raise DataError(f"label file {path} does not fit into memory; split it into several lists") from None


def _find(array: npt.NDArray[np.uint8], byte: int) -> Offsets:
    """Where a byte is, piece by piece: a mask of the whole file would need as much memory again."""
    parts = [np.flatnonzero(array[start : start + _PIECE] == byte) + start for start in range(0, len(array), _PIECE)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _behind_marks(data: bytes, array: npt.NDArray[np.uint8], starts: Offsets, ends: Offsets) -> Offsets:
    """The starts of lines behind their byte order marks."""
    mark = codecs.BOM_UTF8
    starts = starts.copy()
    longer = np.flatnonzero(ends - starts >= len(mark))
    for i in longer[array[starts[longer]] == mark[0]].tolist():
        while data.startswith(mark, starts[i]) and starts[i] + len(mark) <= ends[i]:
            starts[i] += len(mark)
    return starts
