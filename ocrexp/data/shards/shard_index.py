"""Which members of a shard make which sample, from its headers.

Members with the same name up to the first dot of the base name, one after the other, are a sample (WebDataset): the
first image among them, and a label. A key that comes back later is another sample.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ocrexp.data.image_header import IMAGES
from ocrexp.data.shards.tar_headers import Read, TarDamaged, members

LABELS = ("txt", "gt.txt", "gt", "json")
_IMAGES = frozenset(suffix.removeprefix(".") for suffix in IMAGES)
_MOST_LABEL = 1 << 26  # bytes
_MOST_IMAGE = 1 << 31


class Span(NamedTuple):
    """Where a member's data is, and its suffix without the first dot."""

    offset: int
    size: int
    suffix: str


class ShardSample(NamedTuple):
    """A sample: the name of its image below the shard (of its key without an image), and where its parts are."""

    name: str
    key: str
    image: Span | None
    labels: tuple[Span, ...]


@dataclass
class ShardIndex:
    """The samples of a shard in their order.

    Attributes:
        samples: with an image, a label or both.
        images: name -> number of the sample; names are relative paths without `..`, and different.
        faults: what was found that cannot be used -> how many; `first` is the first of each.
        damage: why the shard was not read to its end, and the byte where; None if it was.
    """

    samples: list[ShardSample] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    damage: tuple[str, int] | None = None

    def fault(self, what: str, where: str) -> None:
        """Count something that cannot be used."""
        self.faults[what] += 1
        self.first.setdefault(what, where)


def index_shard(read: Read, length: int) -> ShardIndex:
    """The samples of a shard of `length` bytes; what follows damage is not read."""
    index = ShardIndex()
    key, parts = "", dict[str, Span]()
    try:
        for member in members(read, length):
            folder, slash, base = member.name.rpartition("/")
            if member.kind != "file":
                if member.kind != "folder":
                    index.fault("member that is not a file", member.name)
                continue
            if base.startswith("._"):
                continue  # macOS
            stem, _, suffix = base.partition(".")
            own = f"{folder}{slash}{stem}"
            if own != key or suffix in parts:
                _add(index, key, parts)
                key, parts = own, {}
            if member.size > (_MOST_IMAGE if _is_image(suffix) else _MOST_LABEL):
                index.fault("member that is too large", f"{member.name} ({member.size} bytes)")
                continue
            parts[suffix] = Span(member.offset, member.size, suffix)
    except TarDamaged as error:
        index.damage = (str(error), error.offset)
    _add(index, key, parts)
    return index


def _is_image(suffix: str) -> bool:
    return suffix.rpartition(".")[2].lower() in _IMAGES


def _add(index: ShardIndex, key: str, parts: dict[str, Span]) -> None:
    """Add the sample of these members, if they are one."""
    if not parts:
        return
    image = next((span for suffix, span in parts.items() if _is_image(suffix)), None)
    labels = tuple(parts[suffix] for suffix in LABELS if suffix in parts)
    if image is None and not labels:
        index.fault("sample without image and label", f"{key}.{next(iter(parts))}")
        return
    if image is None:
        index.fault("sample without an image", key)
    elif not labels:
        index.fault("sample without a label", key)
    safe = key
    if "/" in key or not key or "\0" in key:
        safe = "/".join(part for part in key.replace("\0", "").split("/") if part not in ("", ".", "..")) or "_"
    suffix = f".{image.suffix}" if image else ""
    name, turn = f"{safe}{suffix}", 1
    while name in index.images:
        turn += 1
        name = f"{safe}#{turn}{suffix}"
    index.images[name] = len(index.samples)
    index.samples.append(ShardSample(name, key, image, labels))
