"""What data sources with a training and a validation split share: parts, ratios, fingerprint, report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ocrexp.data.label_file import LabelProblem
from ocrexp.errors import ConfigError
from ocrexp.types import DataSource, Record

_SHOWN_PLACES = 3
Names = str | Sequence[str]


@dataclass(slots=True)
class Split:
    """The records of a split, SHA-256 of what they were read from, and one line for each kind of thing left out."""

    records: list[Record]
    digest: str
    report: list[str]
    problems: list[LabelProblem] = field(default_factory=list)


class OfTask:
    """What states the task of its data, `det` or `rec`; None: any."""

    task: ClassVar[str | None] = None


class SplitSource(OfTask, ABC):
    """A DataSource of two splits, each of one part or several (lists, databases); read when first asked for.

    Args:
        root: folder that the parts are relative to.
        train, val: the parts' names.
        ratios: one number a training part: the share of it used in an epoch, drawn anew each time.
    """

    def __init__(self, root: str | Path, train: Names, val: Names, ratios: Sequence[float] | None) -> None:
        self.root = Path(root).expanduser()
        self.parts = {"train": _names(train), "val": _names(val)}
        if ratios is not None and len(ratios) != len(self.parts["train"]):
            raise ConfigError(
                f"dataset.ratios has {len(ratios)} values for {len(self.parts['train'])} training lists: give one a "
                "list"
            )
        self.ratios = None if ratios is None else list(ratios)
        self._splits: dict[str, Split] = {}

    @abstractmethod
    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the parts of a split, "train" or "val"."""

    def train_records(self) -> list[Record]:
        """Records whose label is good and whose image exists, part after part."""
        return self._split("train").records

    def val_records(self) -> list[Record]:
        """Records whose label is good, whether their image exists or not."""
        return self._split("val").records

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 over what each split's labels were read from, and how many images it has."""
        return {key: value for name in self.parts for key, value in self.split_fingerprint(name).items()}

    def split_fingerprint(self, name: str) -> dict[str, str]:
        """That of one split, "train" or "val"; the other one is not read and need not exist."""
        split = self._split(name)
        return {f"{name}_sha256": split.digest, f"{name}_images": str(len(split.records))}

    def report(self) -> list[str]:
        """One line for each kind of thing that was left out, with its count and the first places."""
        return [line for name in self.parts for line in self._split(name).report]

    def _split(self, name: str) -> Split:
        if name not in self._splits:
            self._splits[name] = self.load(name, self.parts[name])
        return self._splits[name]


def validation_fingerprint(source: DataSource) -> dict[str, str]:
    """The fingerprint of what is evaluated. Of lists and databases the training split is not read; other sources state
    one of the whole."""
    return source.split_fingerprint("val") if isinstance(source, SplitSource) else source.fingerprint()


def counted(what: str, places: Sequence[str]) -> list[str]:
    """A report's line, "what: the first places (and n more)"; none where there are no places."""
    if not places:
        return []
    more = f" (and {len(places) - _SHOWN_PLACES} more)" if len(places) > _SHOWN_PLACES else ""
    return [f"{what}: {'; '.join(places[:_SHOWN_PLACES])}{more}"]


def _names(parts: Names) -> list[str]:
    names = [parts] if isinstance(parts, str | Path) else list(parts)
    if not names:
        raise ConfigError("dataset: training and validation need one list at least, each")
    return [str(name) for name in names]
