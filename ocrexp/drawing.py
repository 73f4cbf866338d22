"""Outlines, captions and panels on RGB pictures. The colors stay apart for color-blind readers (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.files import write_bytes
from ocrexp.types import Polygon

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Color = tuple[int, int, int]

RIGHT: Color = (0, 185, 125)
WRONG: Color = (225, 70, 0)
MISSED: Color = (215, 60, 170)
IGNORED: Color = (130, 140, 185)  # gray with some blue: plain gray is lost on photographs
INK: Color = (235, 235, 235)
BAND: Color = (32, 34, 40)

DASH = 7  # pixels drawn, then as many skipped
FONT = cv2.FONT_HERSHEY_SIMPLEX
_JPEG_QUALITY = 88


def shrink_to_fit(picture: Picture, longest: int) -> tuple[Picture, float]:
    """The picture shrunk until its longer side is at most `longest`, and the factor."""
    height, width = picture.shape[:2]
    factor = min(1.0, longest / max(height, width))
    if factor == 1.0:
        return picture.copy(), factor
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), factor


def draw_polygons(
    picture: Picture,
    polygons: Sequence[Polygon],
    color: Color,
    scale: float = 1.0,
    thickness: int = 2,
    tint: float = 0.0,
    dashed: bool = False,
) -> None:
    """Draws outlines in place; polygons (n, 2) times `scale` are pixels of the picture.

    `tint` in 0..1 colors the inside as well.
    """
    outlines = [np.round(np.asarray(polygon) * scale).astype(np.int32) for polygon in polygons]
    if tint > 0 and outlines:
        for outline in outlines:
            _tint(picture, outline, color, tint)
    for outline in outlines:
        if dashed:
            _dashed(picture, outline, color, thickness)
        else:
            cv2.polylines(picture, [outline], True, color, thickness, cv2.LINE_AA)


def write_beside(
    picture: Picture, polygon: Polygon, text: str, color: Color, scale: float = 1.0, size: float = 0.4
) -> None:
    """Writes a short text on a plate of `color` at the upper left of a polygon, in place, inside the picture."""
    (width, height), base = cv2.getTextSize(text, FONT, size, 1)
    left, top = (np.asarray(polygon) * scale).min(axis=0)
    x = int(np.clip(left, 0, max(0, picture.shape[1] - width - 4)))
    y = int(np.clip(top - base - 2, height + 2, max(height + 2, picture.shape[0] - base)))
    cv2.rectangle(picture, (x, y - height - 2), (x + width + 4, y + base), color, -1)
    cv2.putText(picture, text, (x + 2, y), FONT, size, (255, 255, 255), 1, cv2.LINE_AA)


def captioned(picture: Picture, title: str, entries: Sequence[tuple[str, Color | None]] = ()) -> Picture:
    """The picture under a band with a title and a legend: texts, each after a square of its color.

    The band grows in lines where the picture is too narrow for all entries. Texts are ASCII: OpenCV draws no others.
    """
    width = max(picture.shape[1], 160)
    size, line = 0.45, 22
    placed: list[tuple[int, int, str, Color | None]] = []
    x, y = 8, 15
    for text, color in [(title, None), *entries]:
        text_width = cv2.getTextSize(text, FONT, size, 1)[0][0] + (16 if color else 0)
        if x > 8 and x + text_width > width - 8:
            x, y = 8, y + line
        placed.append((x, y, text, color))
        x += text_width + 16
    band = np.full((y + 9, width, 3), BAND, dtype=np.uint8)
    for left, base, text, color in placed:
        if color:
            cv2.rectangle(band, (left, base - 10), (left + 10, base), color, -1)
        cv2.putText(band, text, (left + (16 if color else 0), base), FONT, size, INK, 1, cv2.LINE_AA)
    return np.vstack([band, _widened(picture, width)])


def side_by_side(pictures: Sequence[Picture], gap: int = 6, at_bottom: bool = False) -> Picture:
    """Pictures in a row, filled below (or above: `at_bottom`) to one height."""
    height = max(picture.shape[0] for picture in pictures)
    row: list[Picture] = []
    for picture in pictures:
        if row:
            row.append(np.full((height, gap, 3), BAND, dtype=np.uint8))
        fill = np.full((height - picture.shape[0], picture.shape[1], 3), BAND, dtype=np.uint8)
        row.append(np.vstack([fill, picture] if at_bottom else [picture, fill]))
    return np.hstack(row)


def _widened(picture: Picture, width: int) -> Picture:
    fill = np.full((picture.shape[0], width - picture.shape[1], 3), BAND, dtype=np.uint8)
    return np.hstack([picture, fill])


def _tint(picture: Picture, outline: npt.NDArray[np.int32], color: Color, share: float) -> None:
    height, width = picture.shape[:2]
    low = np.clip(outline.min(axis=0), 0, [width, height])
    high = np.clip(outline.max(axis=0) + 1, 0, [width, height])
    window = picture[low[1] : high[1], low[0] : high[0]]
    if window.size == 0:
        return
    mask = np.zeros(window.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [outline - low.astype(np.int32)], 1)
    mixed = window * (1 - share) + np.array(color) * share
    window[mask > 0] = mixed[mask > 0].astype(np.uint8)


def _dashed(picture: Picture, outline: npt.NDArray[np.int32], color: Color, thickness: int) -> None:
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        length = float(np.linalg.norm(end - start))
        for at in np.arange(0, length, 2 * DASH):
            first = start + (end - start) * (at / length)
            last = start + (end - start) * (min(at + DASH, length) / length)
            points = [tuple(int(v) for v in np.round(point)) for point in (first, last)]
            cv2.line(picture, points[0], points[1], color, thickness, cv2.LINE_AA)


def write_picture(path: Path, picture: Picture) -> None:
    """Write an RGB uint8 picture, in the format of the suffix (.png, .jpg), as a whole.

    Raises OSError, also if it cannot be encoded.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    encoded, data = cv2.imencode(path.suffix, picture[..., ::-1], options)
    if not encoded:
        raise OSError(f"a picture of {picture.shape[1]}×{picture.shape[0]} pixels cannot be encoded as {path.suffix}")
    write_bytes(path, data.tobytes())
