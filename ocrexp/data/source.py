"""What data sources with a training and a validation split share: parts, ratios, fingerprint, report."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ocrexp.data.label_format import LabelProblem
from ocrexp.data.split import BY_IMAGE, ValSplit, common_line, split_digest
from ocrexp.types import DataSource, Record

log = logging.getLogger(__name__)

SPLITS = ("train", "val")
_SHOWN_PLACES = 3
_LONGEST_PLACE = 600  # characters
Names = str | Sequence[str]


@dataclass(slots=True)
class Split:
    """The records of a split, SHA-256 of what they were read from, and one line for each kind of skipped thing."""

    records: Sequence[Record]
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
        ratios: one number per training part: the share of it used in an epoch, drawn again for each epoch.
        val_split: the share of the training images that is kept for validation, in place of `val`.
        val_split_by, val_split_seed: see `ocrexp.data.split.ValSplit`.

    Raises ValueError for invalid values.
    """

    val_key: ClassVar[str] = "val"  # name of the argument with the validation parts
    usual_val: ClassVar[str] = ""  # its shipped value: with `val_split` it need not exist

    def __init__(
        self,
        root: str | Path,
        train: Names,
        val: Names | None,
        ratios: Sequence[float] | None,
        val_split: float | None = None,
        val_split_by: str = BY_IMAGE,
        val_split_seed: int = 0,
    ) -> None:
        self.root = Path(root).expanduser()
        self.val_split = None if val_split is None else ValSplit(val_split, val_split_by, val_split_seed)
        self.parts = {"train": _names(train)} | ({} if self.val_split else {"val": self._val_parts(val)})
        if self.val_split and val is not None:
            self._refuse_val(_names(val))
        if ratios is not None and len(ratios) != len(self.parts["train"]):
            raise ValueError(
                f"ratios: expected one value for each of the {len(self.parts['train'])} training lists, got "
                f"{len(ratios)}"
            )
        if ratios is not None and min(ratios) < 0:
            raise ValueError(f"ratios: expected shares of 0 or more, got {list(ratios)}")
        self.ratios = None if ratios is None else list(ratios)
        self._splits: dict[str, Split] = {}

    @abstractmethod
    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the parts of a split, "train" or "val"."""

    def train_records(self) -> Sequence[Record]:
        """Records whose label is good and whose image exists, part after part."""
        return self._split("train").records

    def val_records(self) -> Sequence[Record]:
        """Records whose label is good, whether their image exists or not."""
        return self._split("val").records

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 over what each split's labels were read from, and how many images it has."""
        return {key: value for name in SPLITS for key, value in self.split_fingerprint(name).items()}

    def split_fingerprint(self, name: str) -> dict[str, str]:
        """That of one split, "train" or "val"; the other one is not read and need not exist."""
        split = self._split(name)
        return {f"{name}_sha256": split.digest, f"{name}_images": str(len(split.records))}

    def report(self) -> list[str]:
        """One line for each kind of thing that was skipped, with its count and the first places."""
        lines = [line for name in SPLITS for line in self._split(name).report]
        return [*lines, *common_line(self.train_records(), self.val_records(), self.val_key)]

    def split_report(self, name: str) -> list[str]:
        """That of one split; the other one is not read and need not exist."""
        return self._split(name).report

    def _split(self, name: str) -> Split:
        if name not in self._splits:
            if self.val_split is None:
                self._splits[name] = self.load(name, self.parts[name])
            else:
                self._divide(self.val_split)
        return self._splits[name]

    def _divide(self, val_split: ValSplit) -> None:
        """Read the training parts and make both splits of them."""
        whole = self.load("train", self.parts["train"])
        train, val, line = val_split(whole.records, self.root)
        log.info("%s", line)
        self._splits = {
            "train": Split(train, split_digest(whole.digest, train, self.root), whole.report, whole.problems),
            "val": Split(val, split_digest(whole.digest, val, self.root), []),
        }

    def _val_parts(self, val: Names | None) -> list[str]:
        if val is None:
            raise ValueError(
                f"{self.val_key}: is null; give a validation list, or set val_split=0.1 to keep a tenth of the "
                "training images for validation"
            )
        return _names(val)

    def _has_usual_val(self) -> bool:
        return (self.root / self.usual_val).exists()

    def _refuse_val(self, val: Sequence[str]) -> None:
        """Raises ValueError if there is validation data beside `val_split`."""
        if list(val) == [self.usual_val] and not self._has_usual_val():
            return
        raise ValueError(
            f"val_split and {self.val_key}={', '.join(val)} are both given; set {self.val_key}=null to split the "
            "training images, or val_split=null"
        )


def validation_fingerprint(source: DataSource) -> dict[str, str]:
    """The fingerprint of what is evaluated. Of lists and databases the training split is not read; other sources state
    one of the whole."""
    return source.split_fingerprint("val") if isinstance(source, SplitSource) else source.fingerprint()


def validation_report(source: DataSource) -> list[str]:
    """What is reported of the data that is evaluated; see `validation_fingerprint`."""
    if isinstance(source, SplitSource):
        return source.split_report("val")
    return [line for line in source.report() if line.startswith("val: ")]


def counted(what: str, places: Sequence[str], count: int | None = None) -> list[str]:
    """A report's line, "what: the first places (and n more)"; no line if there are no places. `count`: how many there
    are, where `places` are the first of them."""
    if not places:
        return []
    count = len(places) if count is None else count
    more = f" (and {count - _SHOWN_PLACES} more)" if count > _SHOWN_PLACES else ""
    return [f"{what}: {'; '.join(map(_cut, places[:_SHOWN_PLACES]))}{more}"]


def _cut(place: str) -> str:
    """A place without the middle of a very long name or text."""
    return place if len(place) <= _LONGEST_PLACE else f"{place[: _LONGEST_PLACE // 2]}…{place[-_LONGEST_PLACE // 2 :]}"


def _names(parts: Names) -> list[str]:
    names = [parts] if isinstance(parts, str | Path) else list(parts)
    if not names:
        raise ValueError("expected at least one list each for training and validation")
    return [str(name) for name in names]
