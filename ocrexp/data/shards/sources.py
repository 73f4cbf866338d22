"""Data sets of WebDataset's tar shards: training samples are streamed, validation samples are listed in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from ocrexp.data.label_format import LabelLine
from ocrexp.data.shards.names import find_shards
from ocrexp.data.shards.shard_files import has_image, shards
from ocrexp.data.shards.shard_labels import region_label, text_label
from ocrexp.data.shards.shard_records import NO_IMAGE, NO_LABEL, Listed, ShardRecords
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.data.source import Names, Split, SplitSource, counted
from ocrexp.errors import DataError
from ocrexp.folders import cache_folder
from ocrexp.types import Record

_SAMPLE_LIMIT = 1 << 24  # of a shard; see shard_sampler


class ShardSource(SplitSource):
    """A data source of shards; a task defines what a label is.

    Training samples are read while training, so what cannot be used of them (no label, a damaged image) is rejected
    then, and counted at the end of the epoch. Validation reads all labels at the start: a sample without a usable label
    is skipped and reported, one without an image counts as nothing predicted.

    Args:
        root: folder or URL that the shards are relative to.
        train, val: files, folders, patterns with `*` and `{000..099}`, or URLs; one or several.
        samples: training samples of an epoch; None: all, for which the headers of all shards are read first.
        buffer: consecutive samples that are shuffled together.
        cache_dir: folder for the copies of remote shards and the numbers of samples; None: $OCREXP_CACHE/shards.
        cache_gb: of all copies; those that were used least recently are deleted.

    Raises:
        ValueError: for invalid values.
        DataError: (later) there is no shard, or no usable sample.
    """

    usual_val = "val-*.tar"
    missed: ClassVar[str]

    @staticmethod
    @abstractmethod
    def read_label(data: bytes, suffix: str, name: str) -> tuple[LabelLine, int]:
        """The label of these bytes, see `ReadLabel`."""

    def __init__(
        self,
        root: str,
        train: Names,
        val: Names,
        samples: int | None = None,
        buffer: int = 10_000,
        cache_dir: str | Path | None = None,
        cache_gb: float = 20,
    ) -> None:
        super().__init__(root, train, val, None)
        if samples is not None and samples < 1:
            raise ValueError(f"samples: expected 1 or more, or null, got {samples}")
        if buffer < 1:
            raise ValueError(f"buffer: expected 1 or more, got {buffer}")
        if not cache_gb > 0:
            raise ValueError(f"cache_gb: expected a number above 0, got {cache_gb}")
        self._base = str(root)
        self._samples = samples
        self._buffer = buffer
        self._cache = Path(cache_dir).expanduser() if cache_dir else cache_folder() / "shards"
        self._cache_bytes = int(cache_gb * 1e9)

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Training: the numbers of samples. Validation: all labels."""
        if split == "val":
            return self.in_memory(split)
        shard_set = ShardSet(find_shards(self._base, parts, self._cache, self._cache_bytes), self._cache)
        counts, samples = None, self._samples
        if samples is None:
            counts = shard_set.count_all()
            samples = int(counts.sum())
            _check_counts(shard_set, counts)
        records = ShardRecords(shard_set, counts, samples, self._buffer, self._task(), self.read_label)
        return Split(records, shard_set.digest(), shard_set.lines(split))

    def listed(self, name: str) -> Listed:
        """A split, "train" or "val", with all labels in memory and all that cannot be used."""
        paths = find_shards(self._base, self.parts[name], self._cache, self._cache_bytes)
        shard_set = ShardSet(paths, self._cache)
        counts = shard_set.count_all()
        _check_counts(shard_set, counts)
        found = Listed([], shard_set.digest(), shard_set.lines(name))
        for shard in range(len(shard_set)):
            shard_set.bring([shard], [shard + 1] if shard + 1 < len(shard_set) else [])
            found.add(shard_set.paths[shard], self._task(), self.read_label)
        if not found.records:
            first = found.of("shard-sample")[0]
            raise DataError(
                f"none of the {counts.sum()} samples of {name} can be used, the first: {first}; correct the shards"
            )
        return found

    def report(self) -> list[str]:
        """Those of both splits; whether they share images is not looked at."""
        return [line for name in ("train", "val") for line in self.split_report(name)]

    def in_memory(self, split: str) -> Split:
        """A split whose labels are read at once, with its report."""
        found = self.listed(split)
        rejected: dict[str, list[str]] = {}
        for fault in found.of("shard-sample"):
            rejected.setdefault(fault.what, []).append(fault.place)
        dropped = [record.source for record in found.records for _ in range(record.without_area)]
        missing = [record.source for record in found.records if not has_image(record.image_path)]
        report = [
            *(line for line in found.lines if NO_IMAGE not in line and NO_LABEL not in line),
            *(line for why, at in rejected.items() for line in counted(f"{split}: {len(at)} {why}, skipped", at)),
            *counted(f"{split}: {len(dropped)} region(s) without area dropped", dropped),
            *counted(f"{split}: {len(missing)} missing image(s) {self.missed}", missing),
        ]
        return Split(found.records, found.digest, report)

    def _task(self) -> str:
        assert self.task is not None
        return self.task


class InMemory:
    """A data source of the same samples whose labels are all in memory, for what looks at samples in any order."""

    def __init__(self, source: ShardSource) -> None:
        self._source = source
        self._train = source.in_memory("train")

    def train_records(self) -> Sequence[Record]:
        """Samples with a usable label."""
        return self._train.records

    def val_records(self) -> Sequence[Record]:
        """Those of the source."""
        return self._source.val_records()

    def fingerprint(self) -> dict[str, str]:
        """That of the source."""
        return self._source.fingerprint()

    def report(self) -> list[str]:
        """What is skipped."""
        return [*self._train.report, *self._source.split_report("val")]


def _check_counts(shard_set: ShardSet, counts: np.ndarray) -> None:
    """Raises DataError without a sample, and for a shard of too many."""
    if not counts.sum():
        why = next(iter(shard_set.lines("train")), "they are empty")
        raise DataError(f"the {len(shard_set)} shards have no sample: {why.partition(': ')[2]}")
    if counts.max() >= _SAMPLE_LIMIT:
        name = shards.name(shard_set.paths[int(counts.argmax())])
        raise DataError(f"{name}: has {counts.max()} samples, more than {_SAMPLE_LIMIT}; write smaller shards")


class RecShards(ShardSource):
    """A data source of shards with an image and a text per sample; arguments, and what is skipped, as in
    ShardSource."""

    task = "rec"
    missed = "counted as images in which nothing was read"

    @staticmethod
    def read_label(data: bytes, suffix: str, name: str) -> tuple[LabelLine, int]:
        """A text."""
        return text_label(data, suffix, name)


class DetShards(ShardSource):
    """A data source of shards with an image and regions per sample; arguments, and what is skipped, as in
    ShardSource."""

    task = "det"
    missed = "counted as images in which nothing was found"

    @staticmethod
    def read_label(data: bytes, suffix: str, name: str) -> tuple[LabelLine, int]:
        """Regions."""
        return region_label(data, suffix, name)
