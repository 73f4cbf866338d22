"""Data sets that are trained as they are, without converting them: a format's reader makes the list in memory."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from ocrexp.data.formats.entries import Account, Entry, ReadOptions
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.formats.shapes import as_pairs, fault
from ocrexp.data.formats.tidying import tidied
from ocrexp.data.label_file import LabelFile, check_lines
from ocrexp.data.label_format import LabelFormat
from ocrexp.data.labels import RegionFormat
from ocrexp.data.lists import LabelLists
from ocrexp.data.lmdb_file import is_entry
from ocrexp.data.packed import PackedLines
from ocrexp.data.rec_labels import TextFormat
from ocrexp.data.source import Names, Split
from ocrexp.data.split import BY_IMAGE
from ocrexp.errors import DataError
from ocrexp.files import exists
from ocrexp.located import option
from ocrexp.nearest import expected_one_of

_WHOLE = "."
_PLACEHOLDER = "text"  # of regions without a text: `###` would mark them to be ignored


class FormatLists(LabelLists):
    """A data source of annotations in a format of `ocrexp.data.formats`; a task defines which entries it takes.

    The labels become a list in memory, so what is skipped, counted and resumed is the same as for lists. Messages name
    the annotation file and the number of the image in it.

    Args:
        root: folder of the data set.
        format: name of the format.
        train_labels, val_labels: folders or annotation files below `root`; `.` is all of it. Of a format with parts,
            training takes `train`, and validation `val`, or `test` if there is no `val`.
        level, text_key: see ocrexp.data.formats.entries.ReadOptions.
        image_root: folder of the images, if it is another one.
        ratios, val_split, val_split_by, val_split_seed: see LabelLists. With `val_split`, all parts but `test` are
            divided, and `test` where there is nothing else.

    Raises:
        ValueError: an unknown format, or an option that it does not use.
        DataError: (later) an annotation file is damaged, or a part has no usable image.
    """

    usual_val = _WHOLE
    form: ClassVar[LabelFormat]

    def __init__(
        self,
        root: str | Path,
        format: str,
        train_labels: Names = _WHOLE,
        val_labels: Names | None = _WHOLE,
        level: str | None = None,
        text_key: str | None = None,
        image_root: str | Path | None = None,
        ratios: Sequence[float] | None = None,
        val_split: float | None = None,
        val_split_by: str = BY_IMAGE,
        val_split_seed: int = 0,
    ) -> None:
        super().__init__(root, train_labels, val_labels, ratios, val_split, val_split_by, val_split_seed)
        names = [name for name, found in FORMATS.items() if self.task in found.kinds]
        if format not in names:
            raise ValueError(f"format: {expected_one_of(format, names)}")
        if level not in (None, "line", "word"):
            raise ValueError(f"level: expected line, word or null, got {level!r}")
        for name, value in (("level", level), ("text_key", text_key)):
            if value is not None and name not in FORMATS[format].options:
                raise ValueError(f"{name}: {format} does not use it; remove it")
        self._format = FORMATS[format]
        self._options = ReadOptions(level, text_key)
        self._image_root = None if image_root is None else Path(image_root).expanduser()
        self._loading = "train"
        self._accounts: list[Account] = []

    def load(self, split: str, parts: Sequence[str]) -> Split:
        """Read the annotations of a split."""
        self._loading = split
        self._files.clear()  # a file may be in both splits, which take other images of it
        self._accounts = []
        found = super().load(split, parts)
        found.report += [f"{split}: {line}" for account in self._accounts for line in account.lines()]
        return found

    def read(self, path: Path) -> LabelFile:
        """The list that the annotations below a path make."""
        account = Account()
        folder = Folder(path, self._image_root or self.root)
        entries = [entry for entry in self._format.read(folder, self._options, account) if self._takes(entry, account)]
        lines = []
        for entry in self._of_split(entries, path):
            if (line := self._line(tidied(entry, folder, account), account)) is not None:
                lines.append(line)
        self._accounts.append(account)
        if not lines:
            why = next(account.lines(), "no annotation was found")
            raise DataError(f"{path}: has no usable image in the format {self._format.name}; {why}")
        return check_lines(PackedLines(path, "\n".join(lines).encode("utf-8", "replace")), self.form)

    @abstractmethod
    def label(self, entry: Entry, account: Account) -> str | None:
        """The label of an entry as a list has it; None if it was dropped."""

    def _file(self, path: Path) -> LabelFile:
        if path not in self._files:
            if not exists(path):
                key = option(self, "train_labels" if self._loading == "train" else self.val_key)
                raise DataError(f"{key}: {path} does not exist; name a folder or an annotation file below {self.root}")
            self._files[path] = self.read(path)
        return self._files[path]

    def _refuse_val(self, val: Sequence[str]) -> None:
        if list(val) != [_WHOLE]:
            super()._refuse_val(val)

    def _takes(self, entry: Entry, account: Account) -> bool:
        if entry.kind != self.task:
            account.drop(f"image with {'regions' if entry.kind == 'det' else 'one text'}", entry.source)
            return False
        if isinstance(entry.image, bytes) or (entry.image is not None and is_entry(entry.image)):
            name = "shards" if isinstance(entry.image, bytes) else "lmdb"
            raise DataError(
                f"{entry.source}: images within {name} are not read by their format; use dataset={self.task}_{name} "
                f"dataset.root={self.root}"
            )
        return True

    def _of_split(self, entries: Sequence[Entry], path: Path) -> Iterator[Entry]:
        """The entries of the split that is loaded."""
        parts = {entry.split for entry in entries}
        if self.val_split is not None:
            return (entry for entry in entries if entry.split != "test" or parts == {"test"})
        both = path in [self.root / part for part in self.parts["train"]] and self._loading == "val"
        if parts <= {""} or (not both and len(parts) == 1):  # a part of its own was named
            if both:
                raise DataError(
                    f"{path}: has no parts, and is named for training and validation; set "
                    f"{option(self, 'val_split')}=0.1"
                )
            return iter(entries)
        wanted = {"", "train"} if self._loading == "train" else {"val"} if "val" in parts else {"test"}
        if not parts & wanted:
            raise DataError(
                f"{path}: has no part for {self._loading} (only {', '.join(sorted(parts))}); name one with "
                f"{option(self, 'train_labels' if self._loading == 'train' else self.val_key)}"
            )
        return (entry for entry in entries if entry.split in wanted)

    def _line(self, entry: Entry, account: Account) -> str | None:
        name = entry.name
        if isinstance(entry.image, Path):
            path = entry.image
            name = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path.absolute())
        if any(character in name for character in "\t\r\n\0") or not name.strip():
            account.drop("image whose name has a tab or a line end", entry.source)
            return None
        label = self.label(entry, account)
        return None if label is None else f"{name}\t{label}"


class DetFormat(FormatLists):
    """Regions of annotations in any format; arguments, and what is skipped, as in FormatLists."""

    task = "det"
    missed = "counted as images in which nothing was found"
    form = RegionFormat()

    def label(self, entry: Entry, account: Account) -> str | None:
        """The regions in JSON."""
        values = []
        for region in entry.regions or ():
            if what := fault(region.points):
                account.drop(f"region {what}", entry.source)
                continue
            text = "###" if region.ignored else region.text if region.text is not None else _PLACEHOLDER
            values.append({"transcription": text, "points": as_pairs(region.points)})
        return json.dumps(values, ensure_ascii=False)


class RecFormat(FormatLists):
    """Texts of words and lines in any format; arguments, and what is skipped, as in FormatLists."""

    task = "rec"
    missed = "counted as images in which nothing was read"
    form = TextFormat()

    def label(self, entry: Entry, account: Account) -> str | None:
        """The text in one line."""
        text = " ".join((entry.text or "").splitlines()).replace("\t", " ")
        if not text.strip():
            account.drop("image without a text", entry.source)
            return None
        return text
