"""The samples of shards as records."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ocrexp.data.image_size import read_aspects
from ocrexp.data.records import StreamedRecords
from ocrexp.data.sampler import Indices, Size
from ocrexp.data.shards.shard_files import GONE, shards
from ocrexp.data.shards.shard_index import ShardSample
from ocrexp.data.shards.shard_labels import PREFERRED, ReadLabel
from ocrexp.data.shards.shard_sampler import ShardSampler
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.data.shards.shard_stream import ShardOrder, first_turn, index_of, parts_of, sample_stream
from ocrexp.errors import DataError
from ocrexp.types import Record, UnusableSample

log = logging.getLogger(__name__)

NO_IMAGE, NO_LABEL = "sample without an image", "sample without a label"
_NEAR_TRIES = 10
_SPREAD_SHARDS = 20


def read_record(path: Path, sample: ShardSample, task: str, read_label: ReadLabel) -> Record:
    """The record of a sample; its image need not exist. Raises UnusableSample without a usable label."""
    found = {span.suffix: span for span in sample.labels}
    label = next((found[suffix] for suffix in PREFERRED[task] if suffix in found), None)
    if label is None:
        raise UnusableSample(NO_LABEL)
    try:
        data = shards.read(path, label)
    except OSError as error:
        raise UnusableSample(f"shard cannot be read ({error.strerror})") from None
    line, without_area = read_label(data, label.suffix, sample.name)
    return Record(
        image_path=path / sample.name,
        texts=line.texts,
        polygons=line.polygons,
        ignored=line.ignored,
        source=place_of(path, sample.key),
        without_area=without_area,
    )


def place_of(path: Path, key: str) -> str:
    """Where a sample is, for messages."""
    return f"{shards.name(path)}: {key}"


class ShardRecords(StreamedRecords):
    """The training samples of shards, see StreamedRecords.

    Args:
        shard_set: the shards.
        set_sizes: number of shards of each set, which stand one after the other.
        counts: samples of each shard; None with `samples`.
        samples: of an epoch.
        buffer: see ShardOrder.
        task, read_label: what a label is.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        set_sizes: Sequence[int],
        counts: Indices | None,
        samples: int,
        buffer: int,
        task: str,
        read_label: ReadLabel,
    ) -> None:
        self._shards = shard_set
        self._set_sizes = list(set_sizes)
        self._counts = counts
        self._samples = samples
        self._buffer = buffer
        self._task = task
        self._read_label = read_label

    def __len__(self) -> int:
        return self._samples

    def one(self, index: int) -> Record:
        """The record of an index of the sampler. Raises UnusableSample."""
        path, sample = self._sample(index)
        if sample.image is None:
            raise UnusableSample(NO_IMAGE)
        return read_record(path, sample, self._task, self._read_label)

    def __iter__(self) -> Iterator[Record]:
        skipped: Counter[str] = Counter()
        for number in range(len(self._shards)):
            yield from self._usable(number, skipped)
        for why, count in skipped.items():
            log.warning("train: %d sample(s) skipped: %s", count, why)

    def spread(self, count: int) -> list[Record]:
        """Those at the beginning of a few shards, which are evenly spread."""
        numbers = np.unique(np.linspace(0, len(self._shards) - 1, _SPREAD_SHARDS).astype(int)).tolist()
        found: list[Record] = []
        for place, number in enumerate(numbers):
            of_shard = math.ceil((count - len(found)) / (len(numbers) - place))
            found += islice(self._usable(number, Counter()), of_shard)
        return found

    def _usable(self, number: int, skipped: Counter[str]) -> Iterator[Record]:
        """The records of a shard; what cannot be used is counted in `skipped`."""
        self._shards.bring([number])
        path = self._shards.paths[number]
        for sample in shards.index(path).samples:
            try:
                if sample.image is None:
                    raise UnusableSample(NO_IMAGE)
                yield read_record(path, sample, self._task, self._read_label)
            except UnusableSample as reason:
                skipped[str(reason)] += 1

    def sampler(
        self,
        turns: Sequence[tuple[Size | None, int]],
        seed: int,
        shuffle: bool,
        drop_last: bool,
        rank: int,
        world_size: int,
        ratios: Sequence[float] | None = None,
        batch_shares: Sequence[float] | None = None,
        by_ratio: bool = False,
    ) -> ShardSampler:
        """See ShardSampler."""
        return ShardSampler(
            self._shards,
            self._set_sizes,
            self._counts,
            self._samples,
            turns,
            ShardOrder(self._buffer, seed, shuffle, rank, world_size),
            drop_last,
            ratios,
            batch_shares,
            self.aspects if by_ratio else None,
        )

    def aspects(self, indices: Indices) -> npt.NDArray[np.float64]:
        """Width / height of the images of samples, NaN where it is not known."""
        return read_aspects([self._image_path(index) for index in indices.tolist()])

    def _image_path(self, index: int) -> Path:
        try:
            path, sample = self._sample(index)
        except UnusableSample:
            return self._shards.paths[parts_of(index)[1]] / GONE
        return path / sample.name

    def describe(self, index: int) -> str:
        """Shard and key."""
        path = self._shards.paths[parts_of(index)[1]]
        try:
            return place_of(path, self._sample(index)[1].key)
        except (UnusableSample, DataError):
            return shards.name(path)

    def stream(self, index: int) -> list[int]:
        """See `sample_stream`."""
        return sample_stream(index)

    def first_turn(self, indices: Indices) -> Indices:
        """See `shard_stream.first_turn`."""
        return first_turn(indices)

    def near(self, index: int, rng: np.random.Generator) -> int:
        """Another one of the same shard with an image."""
        _, shard, sample = parts_of(index)
        samples = shards.index(self._shards.paths[shard]).samples
        for _ in range(_NEAR_TRIES):
            other = int(rng.integers(len(samples)))
            if other != sample and samples[other].image is not None:
                return index - sample + other
        return index

    def _sample(self, index: int) -> tuple[Path, ShardSample]:
        _, shard, sample = parts_of(index)
        path = self._shards.paths[shard]
        try:
            samples = shards.index(path).samples
        except DataError as error:
            raise UnusableSample(f"shard cannot be read ({error})") from None
        if sample >= len(samples):
            raise UnusableSample(GONE)
        return path, samples[sample]


class Fault(NamedTuple):
    """Something of a shard that cannot be used: a kind of `ocrexp.data.checking.kinds`, where it is, and what it is."""

    kind: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass
class Listed:
    """The records of shards in memory: all samples with a usable label, whether they have an image or not.

    Attributes:
        records: in the order of the files.
        indices: of each record, as training has them where a shard is read for the first time in an epoch.
        digest, lines: see ShardSet.
        faults: all that cannot be used.
    """

    records: list[Record]
    digest: str
    lines: list[str]
    faults: list[Fault] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)

    def of(self, kind: str) -> list[Fault]:
        """The faults of a kind."""
        return [fault for fault in self.faults if fault.kind == kind]

    def add(self, shard: int, path: Path, task: str, read_label: ReadLabel) -> None:
        """Add the samples of a shard, by its number and path, that is on this machine."""
        index = shards.index(path)
        for number, sample in enumerate(index.samples):
            try:
                self.records.append(read_record(path, sample, task, read_label))
                self.indices.append(int(index_of(0, shard, np.int64(number))))
            except UnusableSample as reason:
                self.faults.append(Fault("shard-sample", place_of(path, sample.key), str(reason)))
        for what, count in index.faults.items():
            if what not in (NO_IMAGE, NO_LABEL):
                where = place_of(path, index.first[what])
                self.faults.append(Fault("shard-member", where, f"{count} {what}" if count > 1 else what))
        if index.damage is not None:
            what, offset = index.damage
            self.faults.append(Fault("shard-damaged", f"{shards.name(path)}: byte {offset}", what))
