"""The images of the parity gate: the first images of the run's validation list, or drawn ones if it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.errors import OcrexpError
from ocrexp.types import Batch, Record

if TYPE_CHECKING:
    from ocrexp.assemble import Parts

_DRAWN = 8


@dataclass
class Samples:
    """The requested number of evaluation records.

    Args:
        records: in list order.
        drawn: whether they are drawn images without ground truth, for which there is no metric.
        why: the reason why images are drawn; otherwise "".
    """

    records: list[Record]
    drawn: bool
    why: str = ""

    def batches(self, parts: Parts) -> Iterator[Batch]:
        """Samples as the run's evaluation prepares them, in this process; unusable images are skipped."""
        loader = parts.eval_loader_of(_Listed(self.records), num_workers=0)
        try:
            for batch in loader.epoch(0):
                yield from (part for part in batch if part["image"] is not None)
        finally:
            loader.close()


class _Listed:
    """A data source of these records."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def train_records(self) -> list[Record]:
        return []

    def val_records(self) -> list[Record]:
        return self._records

    def fingerprint(self) -> dict[str, str]:
        return {}

    def report(self) -> list[str]:
        return []


def validation_samples(parts: Parts, count: int | None, folder: Path) -> Samples:
    """The first `count` readable validation images; if there are none, images are drawn into `folder`.

    Args:
        parts: the parts of the run.
        count: None: all.
        folder: for drawn images; it must exist as long as the samples.
    """
    from ocrexp.data.images import read_image
    from ocrexp.types import UnusableSample

    why = "the validation list is empty"
    found: list[Record] = []
    try:
        for record in parts.source.val_records():
            try:
                read_image(record.image_path)
            except UnusableSample as reason:
                why = f"{record.image_path}: {reason}"
                continue
            found.append(record)
            if len(found) == count:
                break
    except OcrexpError as error:
        why = str(error)
    if found:
        return Samples(found, drawn=False)
    return Samples(parts.task.draw_images(folder, min(count or _DRAWN, _DRAWN)), drawn=True, why=why)
