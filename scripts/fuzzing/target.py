"""What a fuzzing target is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml

from fuzzing.changes import STRANGE, YAML_TEXTS, Raw, as_yaml, changed_bytes, changed_tree


@dataclass(frozen=True)
class Input:
    """A file: its name, which may choose how it is read, and its content."""

    name: str
    content: bytes


class Target(ABC):
    """Files of a kind and those who read them. `folder` is the target's own; it is made."""

    name: str
    silent = False  # whether nothing may be printed, by libraries neither

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder

    @abstractmethod
    def example(self, rng: Random) -> Input:
        """A damaged file."""

    @abstractmethod
    def run(self, given: Input) -> None:
        """Read it in all ways. Raises ocrexp's errors, and whatever else is a finding."""

    def write(self, given: Input) -> Path:
        """The file, in the target's folder."""
        path = self.folder / given.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(given.content)
        return path


def changed_yaml(rng: Random, seeds: Sequence[bytes]) -> bytes:
    """One of some YAML files, with changed values, bytes, or both."""
    content = rng.choice(seeds)
    if rng.random() < 0.8:
        tree = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        strange = [*STRANGE, *map(Raw, YAML_TEXTS)]
        content = as_yaml(rng, changed_tree(rng, tree, strange) if rng.random() < 0.98 else rng.choice(strange))
    if rng.random() < 0.3:
        content = changed_bytes(rng, content, [text.encode() for text in YAML_TEXTS[:20]], seeds)
    return content


def check_lines(lines: Sequence[str]) -> None:
    """What commands print about data that they continue to use."""
    for line in lines:
        if "\n" in line or len(line) > 3000:
            raise ValueError(f"a line of {len(line)} characters in a report: {line[:200]!r}")
