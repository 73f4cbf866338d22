"""Lists beside shards of the same images: how fast one worker reads them, and how soon the first batch can be read."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ocrexp.charset.sources import from_labels
from ocrexp.data.collate import Collate
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.formats.entries import Account, Entry
from ocrexp.data.formats.shard_writer import ShardWriter
from ocrexp.data.formats.writer import WriteOptions
from ocrexp.data.formats.writing import PartWriters
from ocrexp.data.loader import Loader
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.records import StreamedRecords
from ocrexp.data.sampler import EpochSampler, Sampler
from ocrexp.data.shards.sources import RecShards
from ocrexp.data.source import SplitSource
from ocrexp.data.targets.text import TextTargets
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.types import Transform

_BATCH = 64
_SHARD_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """`images_per_second` of one worker (read, decode, resize, label), and `start_seconds` until the records are known:
    medians."""

    images_per_second: float
    start_seconds: float


def time_shards(
    root: Path, labels: str, image_shape: tuple[int, int], folder: Path, collate: Collate, passes: int = 5
) -> dict[str, StreamTiming]:
    """Time a recognition list, and shards of its images with counted samples and with `samples`; in turn.

    Args:
        root, labels: folder and list.
        image_shape: height and width.
        folder: an empty one, for the shards.
        collate: of a recognizer.
        passes: of each; the first pass, which warms up, is not counted.
    """
    records = RecLists(root, labels, labels).train_records()
    words = (("train", Entry(r.image_path.name, r.image_path, None, r.texts[0], source=r.source)) for r in records)
    options = WriteOptions(shard_bytes=_SHARD_BYTES)
    PartWriters(ShardWriter, folder, folder, ["train"], options, Account()).write(words, lambda _: None)
    texts = [record.texts[0] for record in records]
    transforms: list[Transform] = [
        RecResize(image_shape),
        TextTargets(from_labels(texts), max_text_length=max(map(len, texts))),
    ]
    number = iter(range(1_000_000))

    def shards(samples: int | None) -> RecShards:
        cache = folder / f"cache{next(number)}"  # nothing is known from an earlier start
        return RecShards(str(folder), "train-*.tar", "train-000000.tar", samples=samples, cache_dir=cache)

    makers: dict[str, Callable[[], SplitSource]] = {
        "list": lambda: RecLists(root, labels, labels),
        "shards": lambda: shards(None),
        "shards, samples=N": lambda: shards(len(records)),
    }
    rates: dict[str, list[float]] = {name: [] for name in makers}
    starts: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(passes + 1):
        for name, make in makers.items():
            began = time.perf_counter()
            found = make().train_records()
            start = time.perf_counter() - began
            sampler: Sampler
            if isinstance(found, StreamedRecords):
                sampler = found.sampler([(None, _BATCH)], 0, True, False, 0, 1)
            else:
                sampler = EpochSampler([len(found)], None, _BATCH, seed=0)
            rate = _rate(Loader(TrainPipeline(found, transforms, 0), sampler, 1, collate))
            if turn:
                rates[name].append(rate)
                starts[name].append(start)
    return {name: StreamTiming(statistics.median(rates[name]), statistics.median(starts[name])) for name in makers}


def _rate(loader: Loader) -> float:
    try:
        batches = loader.epoch(0)
        next(batches)  # the worker is under way
        began = time.perf_counter()
        images = sum(len(batch["index"]) for batch in batches if batch)
        return images / (time.perf_counter() - began)
    finally:
        loader.close()
