"""The first records of a dataset, for training and validation: a correct model overfits them."""

from __future__ import annotations

from dataclasses import replace

from ocrexp.types import DataSource, Record


class FirstBatch:
    """A data source of the first `count` training records of another, which are its validation records too."""

    def __init__(self, source: DataSource, count: int) -> None:
        self._source = source
        self._count = count

    def train_records(self) -> list[Record]:
        """The first records, as of one list."""
        return [replace(record, list_index=0) for record in self._source.train_records()[: self._count]]

    def val_records(self) -> list[Record]:
        """The same."""
        return self.train_records()

    def fingerprint(self) -> dict[str, str]:
        """That of the whole dataset, and how many records are used."""
        return {**self._source.fingerprint(), "first_records": str(self._count)}

    def report(self) -> list[str]:
        """What the whole dataset reports."""
        return self._source.report()
