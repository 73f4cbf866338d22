"""Pictures made on request; the latest ones are kept, up to a number of bytes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable

from ocrexp.report.sample_view import encoded_picture, record_picture
from ocrexp.types import Record

THUMBNAIL, WHOLE = 360, 2000  # pixels of the longer side
Encoded = tuple[str, bytes]  # media type and bytes


class Pictures:
    """Encoded pictures of records. A few images are decoded at a time, so memory stays bounded.

    Args:
        record: gives the record of a number.
        most_bytes: of the pictures that are kept.
    """

    def __init__(self, record: Callable[[int], Record], most_bytes: int = 64 << 20) -> None:
        self._record = record
        self._most = most_bytes
        self._kept: OrderedDict[tuple[int, int], Encoded] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding = threading.BoundedSemaphore(max(1, min(os.cpu_count() or 1, 4)))
        self.size = 0

    def get(self, number: int, longest: int) -> Encoded:
        """The picture of a record, at most `longest` pixels a side. Raises UnusableSample."""
        key = (number, longest)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._decoding:
            picture = record_picture(self._record(number), longest)
            made = encoded_picture(picture, 80 if longest == THUMBNAIL else 90, exact=longest != THUMBNAIL)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self.size += len(made[1])
            while self.size > self._most and len(self._kept) > 1:
                self.size -= len(self._kept.popitem(last=False)[1][1])
        return made
