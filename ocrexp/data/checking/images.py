"""Images of a data set, opened in parallel: whether they can be decoded, their sizes, what is in them as numbers."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.image_header import read_header, read_jpeg_header
from ocrexp.data.images import EncodedImage, read_bytes
from ocrexp.environment import available_cores
from ocrexp.processes import begin_in_pool
from ocrexp.quiet import dropped_lines, silence_decoders
from ocrexp.types import Image, UnusableSample

HASH_SIZE = (8, 17)  # rows and columns of the reduced image; a bit for each pair of neighbors in a row
_DETAIL = 64  # pixels of the shorter side that the reduced image is made from
_STEP = 3  # gray levels that two neighbors differ by, at least
_FEW = 32  # images that this process opens alone
_CHUNK = 16
_AHEAD = 4  # portions per process
_FLAT = 2.0  # standard deviation of gray levels: below it an image has one color
_REASONS = (
    (r".*missing", "image-missing"),
    (r".*empty \(0 bytes", "image-empty"),
    (r".*truncated", "image-truncated"),
    (r".*(million pixels|too large)", "image-too-large"),
)
_SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "bmp": (".bmp", ".dib"),
    "gif": (".gif",),
}
_DAMAGE = re.compile(r"Corrupt JPEG data|Premature end|Invalid (JPEG|SOS)|Unsupported marker")


Portion = list[tuple[int, Path]]  # rows of the table and their images


class ImageFacts(NamedTuple):
    """What is known of one image; `reason`: why it cannot be used. `bits` are the perceptual hash."""

    reason: str = ""
    height: int = 0  # upright
    width: int = 0
    orientation: int = 1
    content: int = 0
    bits: bytes = b"\0" * 16
    contrast: float = 0.0
    damage: str = ""
    format: str = ""


def examine(path: Path) -> ImageFacts:
    """Open one image, as training does."""
    try:
        data = read_bytes(path)
    except UnusableSample as error:
        return ImageFacts(str(error))
    content = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)
    jpeg, header = read_jpeg_header(data), read_header(data)
    orientation = jpeg.orientation if jpeg is not None else header.orientation if header is not None else 1
    kind = header.kind if header is not None else ""
    dropped_lines()
    try:
        encoded = EncodedImage(path, data)
        height, width = encoded.size
        image = encoded.decode(encoded.reducible(min(1.0, _DETAIL / max(min(height, width), 1))))
    except UnusableSample as error:
        return ImageFacts(str(error), content=content, format=kind)
    noise = next((line for line in dropped_lines() if _DAMAGE.search(line)), "")
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return ImageFacts(
        "", height, width, orientation, content, perceptual_hash(gray), float(gray.std()), noise.strip(), kind
    )


def perceptual_hash(gray: npt.NDArray[np.uint8]) -> bytes:
    """16 bytes that are similar for similar images: whether gray levels rise from column to column of a reduced image
    (difference hash, by at least three levels, so that paper without print has no random bits)."""
    reduced = cv2.resize(gray, (HASH_SIZE[1], HASH_SIZE[0]), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(reduced[:, 1:] - reduced[:, :-1] >= _STEP).tobytes()


@dataclass
class ImageTable:
    """Facts of the different images of a data set, arrays [n]; `rows` leads from a hash of a path to its row."""

    paths: Callable[[int], Path]
    reasons: list[str]
    reason: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    width: npt.NDArray[np.int32]
    orientation: npt.NDArray[np.int8]
    content: npt.NDArray[np.int64]
    bits: npt.NDArray[np.uint8]
    contrast: npt.NDArray[np.float32]
    damage: dict[int, str] = field(default_factory=dict)
    formats: dict[int, str] = field(default_factory=dict)  # of images whose suffix is that of another one
    looked: int = 0
    _keys: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def empty(cls, count: int, paths: Callable[[int], Path], keys: npt.NDArray[np.int64]) -> ImageTable:
        """A table of images of which nothing is known; `keys` are the ascending hashes of their paths."""
        return cls(
            paths, [""], np.zeros(count, np.int32), np.zeros(count, np.int32), np.zeros(count, np.int32),
            np.ones(count, np.int8), np.zeros(count, np.int64), np.zeros((count, 16), np.uint8),
            np.zeros(count, np.float32), _keys=keys,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.reason)

    def put(self, row: int, facts: ImageFacts) -> None:
        """Fill in the facts of an image."""
        if facts.reason:
            if facts.reason not in self.reasons:
                self.reasons.append(facts.reason)
            self.reason[row] = self.reasons.index(facts.reason)
        self.height[row], self.width[row], self.orientation[row] = facts.height, facts.width, facts.orientation
        self.content[row], self.contrast[row] = facts.content, facts.contrast
        self.bits[row] = np.frombuffer(facts.bits, np.uint8)
        if facts.damage:
            self.damage[row] = facts.damage
        suffix = self.paths(row).suffix.lower()
        known = {each for some in _SUFFIXES.values() for each in some}
        if facts.format in _SUFFIXES and suffix in known and suffix not in _SUFFIXES[facts.format]:
            self.formats[row] = facts.format
        self.looked += 1

    def rows_of(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The rows of images by the hashes of their paths; -1: not in the table."""
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        near = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[near] == keys, near, -1)

    def usable(self) -> npt.NDArray[np.bool_]:
        """Which images were decoded."""
        return self.height > 0


def kind_of_reason(reason: str) -> str:
    """The kind of problem of an image that cannot be used."""
    return next((kind for pattern, kind in _REASONS if re.match(pattern, reason)), "image-corrupt")


def is_flat(contrast: float) -> bool:
    """Whether an image has one color."""
    return contrast < _FLAT


def look_at_images(
    paths: Callable[[int], Path], rows: Sequence[int], workers: int | None, advance: Callable[[str], None]
) -> Iterator[tuple[int, ImageFacts]]:
    """Facts of images, in order, from several processes; `advance` is called after each with its name.

    An image that ends the process that decodes it is reported as one that cannot be used.
    """
    count = min(workers or available_cores(), max(1, len(rows) // _FEW))
    portions = ([(row, paths(row)) for row in rows[start : start + _CHUNK]] for start in range(0, len(rows), _CHUNK))
    for portion in map(_examine, portions) if count == 1 else _in_processes(portions, count):
        for row, facts in portion:
            advance(paths(row).name)
            yield row, facts


def _in_processes(portions: Iterator[Portion], workers: int) -> Iterator[list[tuple[int, ImageFacts]]]:
    waiting: deque[tuple[Portion, Future[list[tuple[int, ImageFacts]]]]] = deque()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a forked process has OpenCV's pool without its threads and would wait for them
    pool = _pool(workers)
    try:
        while True:
            while len(waiting) < _AHEAD * workers and (portion := next(portions, None)) is not None:
                waiting.append((portion, pool.submit(_examine, portion)))
            if not waiting:
                return
            portion, future = waiting.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False)
                lost = [portion, *(each for each, _ in waiting)]
                waiting.clear()
                yield from map(_again, lost)
                pool = _pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        cv2.setNumThreads(threads)


def _again(portion: Portion) -> list[tuple[int, ImageFacts]]:
    """A portion that was lost when a process ended, in a process that may end: in halves, down to the image."""
    with _pool(1) as pool:
        try:
            return pool.submit(_examine, portion).result()
        except BrokenProcessPool:
            if len(portion) == 1:
                return [(portion[0][0], ImageFacts("ends the process that decodes it"))]
    half = len(portion) // 2
    return _again(portion[:half]) + _again(portion[half:])


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), _start, (os.getpid(),))


def _start(parent: int) -> None:
    """Of a process that opens images: it ends with its parent, which handles Ctrl-C."""
    begin_in_pool(parent)
    silence_decoders()


def _examine(portion: Portion) -> list[tuple[int, ImageFacts]]:
    return [(row, examine(path)) for row, path in portion]


def gray_of(path: Path, size: tuple[int, int]) -> Image | None:
    """The gray image in a size (width, height); None where it cannot be read."""
    try:
        image = EncodedImage(path).decode()
    except UnusableSample:
        return None
    return np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=cv2.INTER_AREA), np.uint8)
