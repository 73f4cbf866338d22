"""Data from label lists and a folder of images: what all tasks share, and detection."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ocrexp.data.label_file import LabelFile, LabelProblem
from ocrexp.data.labels import read_label_file
from ocrexp.errors import ConfigError, DataError
from ocrexp.types import Record

_SHOWN_PROBLEMS = 3
ListNames = str | Sequence[str]


class LabelLists(ABC):
    """A data source of label lists; a task says how one is read.

    Training leaves out bad lines and images that do not exist, and says how many and which. The validation list keeps
    an image that does not exist: it counts as nothing predicted. Files are read when records are first asked for.

    Args:
        root: folder that the lists and the image paths in them are relative to.
        train_labels, val_labels: one list or several.
        ratios: one number a training list: the share of it used in an epoch, drawn anew each time.

    Raises:
        DataError: a list is missing, empty, all its lines are bad, or none of its images exists.
    """

    missed: str  # what becomes of a validation image that does not exist

    def __init__(
        self,
        root: str | Path,
        train_labels: ListNames,
        val_labels: ListNames,
        ratios: Sequence[float] | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        self.train_labels = _names(train_labels)
        self.val_labels = _names(val_labels)
        if ratios is not None and len(ratios) != len(self.train_labels):
            raise ConfigError(
                f"dataset.ratios has {len(ratios)} values for {len(self.train_labels)} training lists: give one a list"
            )
        self.ratios = None if ratios is None else list(ratios)
        self._splits: dict[str, _Split] = {}

    @abstractmethod
    def read(self, path: Path) -> LabelFile:
        """Read one list."""

    def train_records(self) -> list[Record]:
        """Records whose label is good and whose image exists, list after list."""
        return self._split("train").records

    def val_records(self) -> list[Record]:
        """Records whose label is good, whether their image exists or not."""
        return self._split("val").records

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 over the bytes of each split's lists, and how many images it has."""
        result = {}
        for name in ("train", "val"):
            split = self._split(name)
            result[f"{name}_sha256"] = split.digest
            result[f"{name}_images"] = str(len(split.records))
        return result

    def report(self) -> list[str]:
        """One line for each kind of thing that was left out, with its count and the first places."""
        return [line for name in ("train", "val") for line in self._split(name).report]

    def problems(self) -> list[LabelProblem]:
        """Every fault of the lists' lines."""
        return [problem for name in ("train", "val") for problem in self._split(name).problems]

    def _split(self, name: str) -> _Split:
        if name not in self._splits:
            labels = self.train_labels if name == "train" else self.val_labels
            files = (self.read(self.root / label) for label in labels)
            self._splits[name] = _Split(self.root, name, files, self.missed)
        return self._splits[name]


class DetLists(LabelLists):
    """A data source of PaddleOCR detection lists; arguments, and what is left out, as LabelLists says."""

    missed = "counted as nothing found"

    def read(self, path: Path) -> LabelFile:
        """Regions with polygons."""
        return read_label_file(path)


class _Split:
    """The lists of one split, read."""

    def __init__(self, root: Path, name: str, files: Iterable[LabelFile], missed: str) -> None:
        self.records: list[Record] = []
        self.problems: list[LabelProblem] = []
        self.report: list[str] = []
        digest = hashlib.sha256()
        missing: list[str] = []
        exists = _Existence()
        for list_index, file in enumerate(files):
            digest.update(file.data)
            self.problems += file.problems
            self._refuse_empty(file)
            records = list(_records(file, root, list_index))
            absent = [record for record in records if not exists(record.image_path)]
            if len(absent) == len(records):
                raise DataError(_all_missing(file.path, absent[0], root))
            missing += [f"{record.image_path} ({record.source})" for record in absent]
            if name == "train":
                gone = {id(record) for record in absent}
                records = [record for record in records if id(record) not in gone]
            self.records += records
        self.digest = digest.hexdigest()
        bad = [str(problem) for problem in self.problems if problem.fatal]
        regions = [str(problem) for problem in self.problems if not problem.fatal]
        fate = "left out" if name == "train" else missed
        self.report += counted(f"{name}: {len(bad)} bad label line(s) left out", bad)
        self.report += counted(f"{name}: {len(regions)} region(s) without area left out", regions)
        self.report += counted(f"{name}: {len(missing)} missing image(s) {fate}", missing)

    @staticmethod
    def _refuse_empty(file: LabelFile) -> None:
        if file.lines:
            return
        if not file.problems:
            raise DataError(f"label file {file.path} is empty: write one line an image, path<TAB>label")
        kinds = Counter(problem.what.split(":")[0] for problem in file.problems)
        raise DataError(
            f"all {len(file.problems)} lines of label file {file.path} are bad, the first: {file.problems[0]}"
            + (f" ({len(kinds)} kinds of fault)" if len(kinds) > 1 else "")
        )


def counted(what: str, places: Sequence[str]) -> list[str]:
    """A report's line, "what: the first places (and n more)"; none where there are no places."""
    if not places:
        return []
    more = f" (and {len(places) - _SHOWN_PROBLEMS} more)" if len(places) > _SHOWN_PROBLEMS else ""
    return [f"{what}: {'; '.join(places[:_SHOWN_PROBLEMS])}{more}"]


def _names(labels: ListNames) -> list[str]:
    names = [labels] if isinstance(labels, str | Path) else list(labels)
    if not names:
        raise ConfigError("dataset.train_labels and dataset.val_labels need one list at least")
    return [str(name) for name in names]


def _records(file: LabelFile, root: Path, list_index: int) -> Iterable[Record]:
    for line in file.lines:
        for name in line.names:
            yield Record(
                image_path=root / name.replace("\\", "/"),
                texts=line.texts,
                polygons=line.polygons,
                ignored=line.ignored,
                source=f"{file.path}:{line.line}",
                list_index=list_index,
            )


class _Existence:
    """Whether files exist, by listing each folder once: a stat for every image is slow on network disks."""

    def __init__(self) -> None:
        self._folders: dict[Path, frozenset[str]] = {}

    def __call__(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._folders:
            try:
                self._folders[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:  # no such folder: nothing in it exists
                self._folders[folder] = frozenset()
        return path.name in self._folders[folder]


def _all_missing(labels: Path, first: Record, root: Path) -> str:
    """What to set when no image of a list exists: the folder below or beside the root in which the first one does."""
    relative = first.image_path.relative_to(root) if first.image_path.is_relative_to(root) else first.image_path
    said = f"none of the images of {labels} exists, the first tried was {first.image_path}"
    if not root.is_dir():
        return f"{said}: dataset.root {root} does not exist, set it to the folder that the paths start from"
    beside = [root.resolve().parent, labels.parent]
    below = sorted(entry for entry in root.iterdir() if entry.is_dir())
    for folder in [*beside, *below]:
        if (folder / relative).exists():
            return f"{said}: did you mean dataset.root={folder} (with the lists' own paths relative to it)?"
    for folder in [root, *below]:
        if (folder / relative.name).exists():
            return f"{said}: there is {folder / relative.name}, correct the paths in the list or set dataset.root"
    return f"{said}: set dataset.root to the folder that the paths start from"
