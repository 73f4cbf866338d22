"""Names of shards: `train-{000000..000099}.tar`, `train-*.tar`, a folder of them, or URLs that fsspec reads."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ocrexp.data.shards.remote import RemoteShard, file_system, is_url, matching
from ocrexp.data.shards.shard_files import SUFFIX, refuse_compressed, shards
from ocrexp.errors import DataError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST_NAMES = 1_000_000


def find_shards(root: str, parts: Sequence[str], cache: Path, cache_bytes: int) -> list[Path]:
    """The shards that names and patterns below a root stand for, in their order; of a remote one the path of its copy.

    Raises DataError for a pattern that finds nothing, ValueError for more than a million names.
    """
    found: list[Path] = []
    for part in parts:
        own: list[Path] = []
        for pattern in expand_braces(part):
            place = pattern if is_url(pattern) or not is_url(root) else f"{root.rstrip('/')}/{pattern}"
            if place.startswith("file://"):
                place = place.removeprefix("file://")
            own += _remote(place, cache, cache_bytes) if is_url(place) else _local(Path(root).expanduser() / place)
        if not own:
            raise DataError(
                f"{Path(root) / part if not is_url(root) and not is_url(part) else part}: there is no shard of this "
                f"name; give files, a folder or a pattern, such as 'train-*{SUFFIX}'"
            )
        found += own
    for path in found:
        refuse_compressed(path.name)
    return found


def expand_braces(pattern: str) -> list[str]:
    """The names of a pattern with `{000..099}` and `{a,b}`; numbers keep the zeros in front of the first one."""
    names = [pattern]
    while any(_BRACES.search(name) for name in names):
        names = [one for name in names for one in _first_brace(name)]
        if len(names) > _MOST_NAMES:
            raise ValueError(f"{pattern}: stands for more than {_MOST_NAMES} names; use fewer shards")
    return names


def _first_brace(name: str) -> Iterator[str]:
    brace = _BRACES.search(name)
    if brace is None:
        yield name
        return
    numbers = _RANGE.fullmatch(brace[1])
    if numbers is None:
        choices: Iterator[str] = iter(brace[1].split(","))
    else:
        first, last = int(numbers[1]), int(numbers[2])
        if last - first >= _MOST_NAMES:
            raise ValueError(f"{name}: stands for more than {_MOST_NAMES} names; use fewer shards")
        choices = (f"{number:0{len(numbers[1])}d}" for number in range(first, last + 1))
    for choice in choices:
        yield f"{name[: brace.start()]}{choice}{name[brace.end() :]}"


def _local(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix == SUFFIX)
    if glob.has_magic(str(place)):
        return [Path(name) for name in sorted(glob.glob(str(place), recursive=True))]  # noqa: PTH207  # of any part
    return [place] if place.is_file() else []


def _remote(url: str, cache: Path, cache_bytes: int) -> list[Path]:
    _, path = file_system(url)
    copies = []
    for one in matching(url) if glob.has_magic(path) else [url]:
        shard = RemoteShard(one, cache, cache_bytes)
        shards.know(shard)
        copies.append(shard.copy)
    return copies
