"""Sizes of many images from their headers, without decoding where the format allows it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.images import EncodedImage, check_file
from ocrexp.data.jpeg_header import read_jpeg_header
from ocrexp.data.lmdb_file import is_entry, read_entry
from ocrexp.data.shards.shard_files import is_member, read_member
from ocrexp.types import UnusableSample

_HEAD = 1 << 14  # bytes that hold the header of almost any image; a long EXIF block is read on demand
_THREADS = 8  # they wait for disks, not for the processor
_CHUNK = 256
_PNG = b"\x89PNG\r\n\x1a\n"


def read_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of the upright image in a file, an LMDB entry or a shard; None if it cannot be read."""
    try:
        if is_entry(path):
            head = read_entry(path) or b""
        elif is_member(path):
            head = read_member(path, _HEAD) or b""
        else:
            check_file(path)
            with path.open("rb", buffering=0) as file:
                head = file.read(_HEAD)
    except (OSError, UnusableSample):
        return None
    if head.startswith(_PNG) and len(head) >= 24:
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    header = read_jpeg_header(head)
    if header is not None:
        return (header.width, header.height) if header.orientation >= 5 else (header.height, header.width)
    try:
        return EncodedImage(path).size
    except UnusableSample:
        return None


def read_sizes(paths: Sequence[Path]) -> npt.NDArray[np.float64]:
    """(height, width) of each upright image [n, 2], NaN for one that cannot be read."""

    def chunk(start: int) -> list[tuple[float, float]]:
        sizes = map(read_size, paths[start : start + _CHUNK])
        return [(np.nan, np.nan) if size is None or not all(size) else size for size in sizes]

    with ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(chunk, range(0, len(paths), _CHUNK)))
    return np.array([size for part in parts for size in part], np.float64).reshape(-1, 2)


def read_aspects(paths: Sequence[Path]) -> npt.NDArray[np.float64]:
    """Width / height of each image, NaN for one that cannot be read."""
    sizes = read_sizes(paths)
    return sizes[:, 1] / sizes[:, 0]
