"""Reading shards for a check: all labels, and every member that cannot be used."""

from __future__ import annotations

from ocrexp.data.checking.entries import RecordEntries
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.shards.sources import ShardSource


def read_shards(source: ShardSource, split: str, problems: Problems) -> tuple[RecordEntries, dict[str, str]]:
    """The samples of a split with good labels, and its fingerprint; reports the others with shard and member.

    Raises DataError if there is no shard, or no usable sample.
    """
    found = source.listed(split)
    for fault in found.faults:
        problems.add(fault.kind, Place(split, fault.place), fault.what)
    entries = RecordEntries(split, source.root, found.records)
    for i in range(len(entries)):
        if not entries.exists[i]:
            problems.add("image-missing", entries.place(i), "the sample has no image", "")
    return entries, {f"{split}_sha256": found.digest, f"{split}_images": str(len(found.records))}
