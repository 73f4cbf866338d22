"""Data sets of WebDataset's tar shards: training samples are streamed, validation samples are listed in memory."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from ocrexp.data.label_format import LabelLine
from ocrexp.data.sampler import Indices
from ocrexp.data.shards.names import find_shards
from ocrexp.data.shards.remote import is_url
from ocrexp.data.shards.shard_files import has_image, shards
from ocrexp.data.shards.shard_labels import region_label, text_label
from ocrexp.data.shards.shard_records import NO_IMAGE, NO_LABEL, Listed, ShardRecords
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.data.source import SPLITS, Names, Split, SplitSource, counted
from ocrexp.data.split import BY_IMAGE, ValSplit, below
from ocrexp.errors import DataError
from ocrexp.folders import cache_folder
from ocrexp.types import Record

log = logging.getLogger(__name__)

BY_SHARD = "shard"
_SAMPLE_LIMIT = 1 << 24  # of a shard; see shard_stream


class ShardSource(SplitSource):
    """A data source of shards; a task defines what a label is.

    Training samples are read while training, so what cannot be used of them (no label, a damaged image) is rejected
    then, and counted at the end of the epoch. Validation reads all labels at the start: a sample without a usable label
    is skipped and reported, one without an image counts as nothing predicted.

    Args:
        root: folder or URL that the shards are relative to.
        train, val: files, folders, patterns with `*` and `{000..099}`, or URLs; one or several.
        ratios: one number for each entry of `train`: the share of its samples that an epoch uses.
        samples: training samples of an epoch; None: all, for which the headers of all shards are read first.
        buffer: consecutive samples that are shuffled together.
        cache_dir: folder for the copies of remote shards and the numbers of samples; None: $OCREXP_CACHE/shards.
        cache_gb: of all copies; those that were used least recently are deleted.
        val_split: the share of the training shards that is kept for validation, in place of `val`.
        val_split_by: what stays together: "shard", "folder", or a regular expression that is searched in the path of
            a shard; see ValSplit.
        val_split_seed: another one takes other shards.

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
        val: Names | None,
        ratios: Sequence[float] | None = None,
        samples: int | None = None,
        buffer: int = 10_000,
        cache_dir: str | Path | None = None,
        cache_gb: float = 20,
        val_split: float | None = None,
        val_split_by: str = BY_SHARD,
        val_split_seed: int = 0,
    ) -> None:
        self._base = str(root)
        self._folder = Path(self._base.removeprefix("file://")).expanduser()
        by = BY_IMAGE if val_split_by == BY_SHARD else val_split_by
        super().__init__(root, train, val, ratios, val_split, by, val_split_seed)
        if samples is not None and samples < 1:
            raise ValueError(f"samples: expected 1 or more, or null, got {samples}")
        if samples is not None and ratios is not None:
            raise ValueError(
                f"samples={samples}: ratios are shares of all samples, which are not counted with samples; set "
                "samples=null, or loader.batch_shares in place of ratios"
            )
        if buffer < 1:
            raise ValueError(f"buffer: expected 1 or more, got {buffer}")
        if not cache_gb > 0:
            raise ValueError(f"cache_gb: expected a number above 0, got {cache_gb}")
        self._divided: dict[str, list[Path]] = {}
        self._set_sizes: list[int] = []  # training shards of each entry of `train`
        self._samples = samples
        self._buffer = buffer
        self._cache = Path(cache_dir).expanduser() if cache_dir else cache_folder() / "shards"
        self._cache_bytes = int(cache_gb * 1e9)

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Training: the numbers of samples. Validation: all labels."""
        del parts  # `_paths` knows them
        if split == "val":
            return self.in_memory(split)
        shard_set = ShardSet(self._paths(split), self._cache)
        counts, samples = None, self._samples
        if samples is None:
            counts = shard_set.count_all()
            samples = int(counts.sum())
            _check_counts(shard_set, counts)
        records = ShardRecords(shard_set, self._set_sizes, counts, samples, self._buffer, self._task(), self.read_label)
        return Split(records, shard_set.digest(), shard_set.lines(split))

    def _paths(self, split: str) -> list[Path]:
        """The shards of a split, those of remote ones as their copies. Raises DataError."""
        if self.val_split is None:
            found = [self._find(part) for part in self.parts[split]]
            if split == "train":
                self._set_sizes = [len(paths) for paths in found]
            return list(chain.from_iterable(found))
        if not self._divided:
            found = [self._find(part) for part in self.parts["train"]]
            paths = list(chain.from_iterable(found))
            if len(paths) < 2:
                raise DataError(
                    f"val_split={self.val_split.share}: there is one training shard, and shards stay whole; write more "
                    "shards, or give validation shards"
                )
            held, _, _ = self.val_split.hold_out([self._below(path) for path in paths], "shards")
            self._divided = {
                "train": [path for path, is_val in zip(paths, held, strict=True) if not is_val],
                "val": [path for path, is_val in zip(paths, held, strict=True) if is_val],
            }
            kept = iter(held)
            self._set_sizes = [sum(not is_val for is_val in islice(kept, len(one))) for one in found]
            counts = f"{len(self._divided['train'])} shards for training, {len(self._divided['val'])} for validation"
            log.info("val_split=%s: %s", self.val_split.share, counts)
        return self._divided[split]

    def _find(self, part: str) -> list[Path]:
        return find_shards(self._base, [part], self._cache, self._cache_bytes)

    def _divide(self, val_split: ValSplit) -> None:
        del val_split  # `_paths` divides the shards
        self._splits = {name: self.load(name, ()) for name in SPLITS}

    def _below(self, path: Path) -> str:
        """The path or URL of a shard below the root."""
        if shards.remote(path) is None:
            return below(path, self._folder)
        return shards.name(path).removeprefix(f"{self._base.rstrip('/')}/")

    def _has_usual_val(self) -> bool:
        return not is_url(self._base.removeprefix("file://")) and any(self._folder.glob(self.usual_val))

    def listed(self, name: str) -> Listed:
        """A split, "train" or "val", with all labels in memory and all that cannot be used."""
        shard_set = ShardSet(self._paths(name), self._cache)
        counts = shard_set.count_all()
        _check_counts(shard_set, counts)
        found = Listed([], shard_set.digest(), shard_set.lines(name))
        for shard in range(len(shard_set)):
            shard_set.bring([shard], [shard + 1] if shard + 1 < len(shard_set) else [])
            found.add(shard, shard_set.paths[shard], self._task(), self.read_label)
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
        return self.described(split, self.listed(split))

    def described(self, split: str, found: Listed) -> Split:
        """A split whose labels have been read, with its report."""
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
    """A data source of the same samples whose labels are all in memory, for what looks at samples in any order.

    Attributes:
        indices: of the training samples, as `ShardRecords` has them.
    """

    def __init__(self, source: ShardSource) -> None:
        self._source = source
        found = source.listed("train")
        self._train = source.described("train", found)
        self.indices: Indices = np.array(found.indices, np.int64)

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
