"""What pages are drawn on: plain, gradients, clouds, textures, stripes, patches; photographs from a folder."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.images import read_image
from ocrexp.errors import DataError
from ocrexp.types import Image, UnusableSample

_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".jp2"}
_GRAIN_LEVELS = (3.0, 6.0, 10.0, 16.0)  # standard deviations of the grain, in gray levels


def photographs_in(folder: Path, key: str = "backgrounds") -> list[Path]:
    """Image files of a folder and its subfolders, sorted. Raises ValueError if there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise ValueError(f"{key}={folder}: contains no image; give a folder of photographs without text")
    return found


def fingerprint(photographs: list[Path]) -> str:
    """A hash over the photographs' names and bytes, in order."""
    digest = hashlib.sha256()
    for path in photographs:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def decoded(path: Path) -> Image:
    """A photograph's pixels. Raises DataError for a file that cannot be read."""
    try:
        return read_image(path)
    except UnusableSample as reason:
        raise DataError(f"{path}: {reason}; remove it from the folder of backgrounds") from None


@functools.lru_cache(maxsize=32)
def _photograph(path: Path, side: int) -> Image:
    image = decoded(path)
    factor = side * 1.4 / min(image.shape[:2])
    if factor < 1 or min(image.shape[:2]) < side:
        image = cv2.resize(
            image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        )
    return np.ascontiguousarray(image)


def photograph(path: Path, height: int, width: int, rng: np.random.Generator) -> Image:
    """A random part of a photograph, sometimes mirrored, with slightly lower contrast."""
    image = _photograph(path, max(height, width))
    top = int(rng.integers(image.shape[0] - height + 1))
    left = int(rng.integers(image.shape[1] - width + 1))
    part = image[top : top + height, left : left + width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    gain = float(rng.uniform(0.7, 1.0))
    return cv2.convertScaleAbs(np.ascontiguousarray(part), alpha=gain, beta=float(rng.uniform(0, 255 * (1 - gain))))


def color(rng: np.random.Generator, low: int = 0, high: int = 255, vivid: float = 0.5) -> npt.NDArray[np.float32]:
    """A BGR color whose luminance lies between `low` and `high`; `vivid` 0 gives grays."""
    tint = rng.uniform(-1, 1, 3) * 160 * vivid * rng.random()
    level = rng.uniform(low, high)
    return np.clip(level + tint - tint @ (0.114, 0.587, 0.299), 0, 255).astype(np.float32)


def clouds(height: int, width: int, cells: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Smooth random values in 0..255: a grid of `cells` × `cells` random values enlarged to (height, width)."""
    grid = rng.integers(0, 256, (cells, cells), np.uint8)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def blend(dark: npt.NDArray[np.float32], light: npt.NDArray[np.float32], share: npt.NDArray[np.uint8]) -> Image:
    """An image between two colors by a (height, width) share of 0..255."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None] * (light - dark) + dark
    return cv2.LUT(cv2.merge([share, share, share]), np.clip(ramp + 0.5, 0, 255).astype(np.uint8).reshape(256, 1, 3))


def plain(height: int, width: int, tone: npt.NDArray[np.float32]) -> Image:
    """An image of one color."""
    image = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (width, height), np.floor(tone).tolist(), cv2.FILLED)
    return image


def surface(height: int, width: int, rng: np.random.Generator) -> Image:
    """A drawn background without text: one of the kinds that this module's first line names."""
    kind = int(rng.choice(6, p=(0.2, 0.22, 0.22, 0.12, 0.12, 0.12)))
    bright = rng.random() < 0.65
    base = color(rng, 150, 250) if bright else color(rng, 10, 150)
    other = np.clip(base + rng.uniform(-70, 70) + rng.uniform(-25, 25, 3), 0, 255).astype(np.float32)
    if kind == 0:
        return plain(height, width, base)
    if kind == 1:  # gradient in any direction
        turn = rng.uniform(0, 2 * np.pi)
        across = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(turn))
        down = np.linspace(-0.5, 0.5, height, dtype=np.float32) * np.float32(np.sin(turn))
        share = (across[None, :] + down[:, None]) / np.float32(abs(np.cos(turn)) + abs(np.sin(turn))) + np.float32(0.5)
        return blend(base, other, (share * 255).astype(np.uint8))
    if kind == 2:
        return blend(base, other, clouds(height, width, int(rng.integers(2, 12)), rng))
    if kind == 3:  # coarse texture: plaster, cloth
        near = np.clip(base + rng.uniform(-25, 25), 0, 255).astype(np.float32)
        cells = int(rng.integers(40, max(41, min(height, width) // 2)))
        return blend(base, near, clouds(height, width, cells, rng))
    if kind == 4:  # stripes: wood, blinds, corrugated sheet
        period = float(rng.uniform(8, 80))
        wave = np.sin(np.arange(max(height, width), dtype=np.float32) * np.float32(2 * np.pi / period))
        line = ((wave + 1) * 127.5).astype(np.uint8)
        stripes = (
            np.tile(line[None, :width], (height, 1)) if rng.random() < 0.5 else np.tile(line[:height, None], (1, width))
        )
        near = np.clip(base + rng.uniform(-35, 35), 0, 255).astype(np.float32)
        return blend(base, near, np.ascontiguousarray(stripes))
    image = plain(height, width, base)  # patches: tiles, furniture, walls
    for _ in range(int(rng.integers(3, 12))):
        corner = rng.integers(0, (width, height))
        extent = rng.integers(20, (max(21, width // 2), max(21, height // 2)))
        tone = np.clip(base + rng.uniform(-60, 60) + rng.uniform(-20, 20, 3), 0, 255)
        shape = cv2.boxPoints(
            ((float(corner[0]), float(corner[1])), (float(extent[0]), float(extent[1])), float(rng.uniform(0, 90)))
        )
        cv2.fillConvexPoly(image, shape.astype(np.int32), tone.tolist(), cv2.LINE_AA)
    return image


@functools.lru_cache(maxsize=8)
def _grain(height: int, width: int) -> list[tuple[Image, Image]]:
    """Grain of each level as what to add and what to take away, (height, width, 3) each."""
    base = np.random.default_rng(20).standard_normal((height, width, 3), np.float32)
    bank = []
    for sigma in _GRAIN_LEVELS:
        scaled = np.rint(base * np.float32(sigma)).astype(np.int16)
        bank.append((np.clip(scaled, 0, 255).astype(np.uint8), np.clip(-scaled, 0, 255).astype(np.uint8)))
    return bank


def add_grain(image: Image, level: int, rng: np.random.Generator, varied: bool = False) -> Image:
    """Add grain of a level 0..3; uses a random part of one fixed field of noise, because drawing noise is slow.

    Images of one size have a field for this size; with `varied` sizes the fields are those of the next powers of two.
    """
    height, width = image.shape[:2]
    rows = columns = max(height, width) + 96
    reach = (97, 97)
    if varied:
        rows, columns = (1 << max(least, (side + 31).bit_length()) for side, least in ((height, 7), (width, 9)))
        reach = (rows - height + 1, columns - width + 1)
    plus, minus = _grain(rows, columns)[level]
    top, left = int(rng.integers(reach[0])), int(rng.integers(reach[1]))
    part = (slice(top, top + height), slice(left, left + width))
    return cv2.subtract(cv2.add(image, plus[part]), minus[part])
