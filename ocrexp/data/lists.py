"""Data from label lists and a folder of images: what all tasks share, and detection."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from ocrexp.data.image_names import ImageNames, moved_advice
from ocrexp.data.label_file import LabelFile
from ocrexp.data.label_format import LabelProblem, Notes
from ocrexp.data.labels import read_label_file
from ocrexp.data.list_advice import all_missing, missing_list
from ocrexp.data.other_task import refuse_other_task
from ocrexp.data.records import ListPart, ListRecords
from ocrexp.data.source import SPLITS, Names, Split, SplitSource, counted
from ocrexp.data.split import BY_IMAGE
from ocrexp.errors import DataError
from ocrexp.files import exists
from ocrexp.located import option
from ocrexp.types import Record

_PORTION = 8192  # images that are looked up together


class LabelLists(SplitSource):
    """A data source of label lists; a task defines how one is read.

    Training skips bad lines and images that do not exist, and reports how many and which. The validation list keeps
    an image that does not exist: it counts as nothing predicted. Files are read when records are first asked for.

    Args:
        root: folder that the lists and the image paths in them are relative to; the images of one of several
            lists may be relative to the list's own folder.
        train_labels, val_labels: one list or several.
        ratios: one number per training list: the share of it used in an epoch, drawn again for each epoch.
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
        self._files: dict[Path, LabelFile] = {}
        self._images = ImageNames(self.root)

    @abstractmethod
    def read(self, path: Path) -> LabelFile:
        """Read one list."""

    def problems(self) -> list[LabelProblem]:
        """The faults of the lists' lines, up to a thousand of each list."""
        return [problem for name in SPLITS for problem in self._split(name).problems]

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the lists of a split."""
        found: list[ListPart] = []
        problems: list[LabelProblem] = []
        notes = Notes()
        missing: list[str] = []
        bad = dropped = absent = 0
        digest = hashlib.sha256()
        for list_index, part in enumerate(parts):
            file = self._file(self.root / part)
            digest.update(file.packed.data)  # as runs of earlier versions have it: they resume
            problems += file.problems
            bad += file.bad
            dropped += file.dropped
            notes.merge(file.notes)
            _refuse_empty(file)
            listed = list_part(file, self.root, list_index)
            named, exists = find_images(listed, self._images, alone=len(parts) == 1)
            absent += int((~exists).sum())
            for i in np.flatnonzero(~exists)[:3].tolist():
                record = named.record(i)
                if not exists.any():
                    raise DataError(all_missing(file, record, self.root, self._list_keys(), partial(option, self)))
                missing.append(_missing(named, record, i))
            found.append(named.keep(exists) if split == "train" else named)
        fatal = [str(problem) for problem in problems if problem.fatal]
        regions = [str(problem) for problem in problems if not problem.fatal]
        fate = "skipped" if split == "train" else self.missed
        report = [
            *counted(f"{split}: {bad} bad label line(s) skipped", fatal, bad),
            *counted(f"{split}: {dropped} region(s) without area dropped", regions, dropped),
            *counted(f"{split}: {absent} missing image(s) {fate}", missing, absent),
            *(f"{split}: {line}" for line in notes.lines()),
        ]
        return Split(ListRecords(found), digest.hexdigest(), report, problems)

    def _file(self, path: Path) -> LabelFile:
        """A list; one that is in both splits is kept once."""
        if path not in self._files:
            if not exists(path):
                raise DataError(missing_list(path, self.root, self._list_keys(), self.usual_val, partial(option, self)))
            self._files[path] = self.read(path)
        return self._files[path]

    def _list_keys(self) -> dict[str, list[str]]:
        """The lists as the configuration has them, by key."""
        keys = {"train": "train_labels", "val": self.val_key}
        return {keys[split]: parts for split, parts in self.parts.items()}


class DetLists(LabelLists):
    """A data source of PaddleOCR detection lists; arguments, and what is skipped, as in LabelLists."""

    task = "det"
    missed = "counted as images in which nothing was found"

    def read(self, path: Path) -> LabelFile:
        """Regions with polygons."""
        refuse_other_task(path, "det")
        return read_label_file(path)


def _refuse_empty(file: LabelFile) -> None:
    if len(file):
        return
    if not file.problems:
        raise DataError(f"label file {file.path} is empty; write one line per image, path<TAB>label")
    raise DataError(
        f"all {file.bad} lines of label file {file.path} are invalid, the first: {file.problems[0]}"
        + (f" ({len(file.kinds)} kinds of faults)" if len(file.kinds) > 1 else "")
    )


def find_images(part: ListPart, images: ImageNames, alone: bool) -> tuple[ListPart, np.ndarray]:
    """The records of a list and which of their images exist, bool [n]; where they are is put into the part.

    Args:
        part: the records with paths relative to the root.
        images: of the root.
        alone: whether it is the only list; one of several may have images relative to its own folder, if none of them
            is below the root.
    """
    exists = _which_exist(part, images)
    folder = part.file.path.parent
    if alone or exists.any() or folder == part.root:
        return part, exists
    own = list_part(part.file, folder, part.list_index)
    found = _which_exist(own, ImageNames(folder))
    return (own, found) if found.any() else (part, exists)


def _which_exist(part: ListPart, images: ImageNames) -> np.ndarray:
    exists = np.zeros(len(part), bool)
    names = part.image_names()
    for start in range(0, len(part), _PORTION):
        found, others = images.find(list(islice(names, _PORTION)))
        exists[start : start + len(found)] = found
        part.paths.update((start + i, path) for i, path in others.items())
    return exists


def list_part(file: LabelFile, root: Path, list_index: int) -> ListPart:
    """All records of a list: an image each."""
    if not file.plural:
        return ListPart(file, root, list_index, file.kept, None, {})
    images = np.ones(len(file.packed), np.int64)
    for index in file.plural:
        images[index] = len(file.line(index).names)
    counts = images[file.kept]
    which = np.concatenate([np.arange(count) for count in counts.tolist()])
    return ListPart(file, root, list_index, np.repeat(file.kept, counts), which, {})


def _missing(part: ListPart, record: Record, i: int) -> str:
    """A place of a missing image, with the advice for absolute paths."""
    raw = part.file.line(int(part.lines[i])).names[0 if part.which is None else int(part.which[i])]
    advice = moved_advice(raw, part.root, part.file.path)
    return f"{record.image_path} ({record.source})" + (f": {advice}" if advice else "")
