"""Pictures of plain words, to compare an export on where there is no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.files import write_bytes
from ocrexp.types import Record

_WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "0123456789"]


def draw_words(folder: Path, count: int, *, page: bool) -> list[Record]:
    """Pages of words (480 × 640), or lines of one word each (48 pixels high), without ground truth.

    Args:
        folder: for the files; it is made.
        count: number of pictures.
        page: pages; false: lines.
    """
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        size: tuple[int, int] = (480, 640) if page else (48, 80 + 40 * (number % 6))
        image: Any = np.full((*size, 3), 225, np.uint8)
        for y in range(60, 450, 65) if page else [34]:
            for x in range(20, 560, 180) if page else [8]:
                word = str(rng.choice(_WORDS))
                cv2.putText(image, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (30, 30, 30), 2, cv2.LINE_AA)
        image = cv2.subtract(image, rng.integers(0, 24, image.shape, dtype=np.uint8))
        path = folder / f"{number}.png"
        write_bytes(path, cv2.imencode(".png", image)[1].tobytes())
        records.append(Record(path, () if page else ("",)))
    return records
