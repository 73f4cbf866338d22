"""Data from label lists and a folder of images: what all tasks share, and detection."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ocrexp.data.label_file import LabelFile, LabelProblem
from ocrexp.data.labels import read_label_file
from ocrexp.data.other_task import refuse_other_task
from ocrexp.data.source import SPLITS, Names, Split, SplitSource, counted
from ocrexp.data.split import BY_IMAGE
from ocrexp.errors import DataError
from ocrexp.types import Record


class LabelLists(SplitSource):
    """A data source of label lists; a task says how one is read.

    Training leaves out bad lines and images that do not exist, and says how many and which. The validation list keeps
    an image that does not exist: it counts as nothing predicted. Files are read when records are first asked for.

    Args:
        root: folder that the lists and the image paths in them are relative to.
        train_labels, val_labels: one list or several.
        ratios: one number a training list: the share of it used in an epoch, drawn anew each time.
        val_split: the share of the training images that is kept for validation, where there is no validation list.
        val_split_by: what stays together: "image", "folder", or a regular expression; see `ocrexp.data.split`.
        val_split_seed: another one takes other images.

    Raises:
        DataError: a list is missing, empty, all its lines are bad, or none of its images exists.
    """

    val_key = "val_labels"
    usual_val = "val_list.txt"
    missed: str  # what becomes of a validation image that does not exist

    def __init__(
        self,
        root: str | Path,
        train_labels: Names,
        val_labels: Names | None = None,
        ratios: Sequence[float] | None = None,
        val_split: float | None = None,
        val_split_by: str = BY_IMAGE,
        val_split_seed: int = 0,
    ) -> None:
        super().__init__(root, train_labels, val_labels, ratios, val_split, val_split_by, val_split_seed)

    @abstractmethod
    def read(self, path: Path) -> LabelFile:
        """Read one list."""

    def problems(self) -> list[LabelProblem]:
        """Every fault of the lists' lines."""
        return [problem for name in SPLITS for problem in self._split(name).problems]

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the lists of a split."""
        records: list[Record] = []
        problems: list[LabelProblem] = []
        missing: list[str] = []
        digest = hashlib.sha256()
        exists = _Existence()
        for list_index, part in enumerate(parts):
            file = self.read(self.root / part)
            digest.update(file.data)
            problems += file.problems
            _refuse_empty(file)
            named = list(_records(file, self.root, list_index))
            absent = [record for record in named if not exists(record.image_path)]
            if len(absent) == len(named):
                raise DataError(_all_missing(file.path, absent[0], self.root))
            missing += [f"{record.image_path} ({record.source})" for record in absent]
            if split == "train":
                gone = {id(record) for record in absent}
                named = [record for record in named if id(record) not in gone]
            records += named
        bad = [str(problem) for problem in problems if problem.fatal]
        regions = [str(problem) for problem in problems if not problem.fatal]
        fate = "left out" if split == "train" else self.missed
        report = [
            *counted(f"{split}: {len(bad)} bad label line(s) left out", bad),
            *counted(f"{split}: {len(regions)} region(s) without area left out", regions),
            *counted(f"{split}: {len(missing)} missing image(s) {fate}", missing),
        ]
        return Split(records, digest.hexdigest(), report, problems)


class DetLists(LabelLists):
    """A data source of PaddleOCR detection lists; arguments, and what is left out, as LabelLists says."""

    task = "det"
    missed = "counted as nothing found"

    def read(self, path: Path) -> LabelFile:
        """Regions with polygons."""
        refuse_other_task(path, "det")
        return read_label_file(path)


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
