"""The images of the parity gate: the first ones of the run's validation list, or drawn ones where that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrexp.errors import OcrexpError
from ocrexp.types import Batch, Record

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.types import DataSource

_DRAWN = 8


@dataclass
class Samples:
    """Evaluation records, as many as are asked for.

    Args:
        records: in list order.
        drawn: they are drawn ones without ground truth: no metric can be had of them.
        why: why they are drawn; "" otherwise.
    """

    records: list[Record]
    drawn: bool
    why: str = ""

    def batches(self, config: DictConfig) -> Iterator[Batch]:
        """As the run's evaluation prepares them; images that cannot be used are left out."""
        from ocrexp.config.build import build_eval_loader

        config = config.copy()
        config.loader.num_workers = 0
        loader = build_eval_loader(config, _Listed(self.records))
        try:
            for parts in loader.epoch(0):
                yield from (part for part in parts if part["image"] is not None)
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


def validation_samples(config: DictConfig, count: int | None, folder: Path) -> Samples:
    """The first `count` validation images that can be read; drawn into `folder` where there are none.

    Args:
        config: the run's.
        count: None: all.
        folder: for drawn images; must outlive the samples.
    """
    from ocrexp.config.build import build_source, task_of
    from ocrexp.data.images import read_image
    from ocrexp.types import UnusableSample

    why = "the validation list is empty"
    found: list[Record] = []
    try:
        source: DataSource = build_source(config)
        for record in source.val_records():
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
    return Samples(task_of(config).draw_images(folder, min(count or _DRAWN, _DRAWN)), drawn=True, why=why)
