"""A validation share of the training data, if there is no validation list, and images that are in both splits."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.records import Images, image_hashes, select
from ocrexp.errors import DataError
from ocrexp.types import Record

BY_IMAGE, BY_FOLDER = "image", "folder"


@dataclass(frozen=True, slots=True)
class ValSplit:
    """How a share of the images is kept for validation.

    Groups of images are ordered by a hash of their name (the path below `root`) and the seed; the first ones, up to the
    share, are for validation. The order of the list, its lines' number and the place of the data do not matter, and
    images that are added later move few others.

    Args:
        share: of the images, above 0 and below 1.
        by: "image": each one for itself; "folder": those of a folder stay together; anything else is a regular
            expression that is searched in the path below `root`: what its first group matches (without a group, the
            whole match) is the name of the image's group.
        seed: another one takes other groups.

    Raises:
        ValueError: an invalid share or expression.
    """

    share: float
    by: str = BY_IMAGE
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"val_split: expected a share above 0 and below 1, got {self.share}")
        if self.by not in (BY_IMAGE, BY_FOLDER):
            try:
                re.compile(self.by)
            except re.error as error:
                raise ValueError(
                    f"val_split_by: expected image, folder or a regular expression, got {self.by!r} ({error})"
                ) from None

    def __call__(self, records: Sequence[Record], root: Path) -> tuple[Sequence[Record], Sequence[Record], str]:
        """Training records, validation records, and a line about them.

        Raises DataError if there are not two groups, or images that the expression does not match.
        """
        names = [below(path, root) for path in Images(records)]
        held, chosen, groups = self.hold_out(names)
        train, val = select(records, np.flatnonzero(~held)), select(records, np.flatnonzero(held))
        of = "" if self.by == BY_IMAGE else f" ({chosen} of {groups} groups)"
        return train, val, f"val_split={self.share}: {len(train)} for training, {len(val)} for validation{of}"

    def hold_out(self, names: Sequence[str], what: str = "images") -> tuple[npt.NDArray[np.bool_], int, int]:
        """Which images are for validation, bool [n], and how many of how many groups that is.

        `names` are paths, with slashes, of `what`. Raises DataError as the call does.
        """
        groups = self._groups(names, what)
        sizes = Counter(groups)
        if len(sizes) < 2:
            raise DataError(
                f"val_split={self.share}: all {len(groups)} {what} are in one group "
                f"(val_split_by={self.by}); split by {what[:-1]}, or give a validation list"
            )
        wanted = max(round(self.share * len(groups)), 1)
        chosen: set[str] = set()
        taken = 0
        for name in sorted(sizes, key=self._rank)[:-1]:  # one at least is for training
            if taken >= wanted:
                break
            chosen.add(name)
            taken += sizes[name]
        return np.fromiter((name in chosen for name in groups), bool, len(groups)), len(chosen), len(sizes)

    def _groups(self, names: Sequence[str], what: str) -> list[str]:
        """The name of each image's group."""
        if self.by == BY_IMAGE:
            return list(names)
        if self.by == BY_FOLDER:
            return [name.rpartition("/")[0] for name in names]
        matches = [re.search(self.by, name) for name in names]
        unmatched = [index for index, match in enumerate(matches) if match is None]
        if unmatched:
            raise DataError(
                f"val_split_by={self.by!r}: {len(unmatched)} of {len(names)} {what[:-1]} paths do not match, the "
                f"first {names[unmatched[0]]}; correct the expression, or use {what[:-1]} or folder"
            )
        return [(match[1] or "") if match.re.groups else match[0] for match in matches if match is not None]

    def _rank(self, name: str) -> bytes:
        return hashlib.blake2b(f"{self.seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def below(path: Path, root: Path) -> str:
    """A path as it is below a folder, with slashes; as it is where it lies elsewhere."""
    text, folder = path.as_posix(), root.as_posix().rstrip("/") + "/"
    return text.removeprefix(folder)


def split_digest(digest: str, records: Sequence[Record], root: Path) -> str:
    """SHA-256 of the labels' digest and of which images a split has."""
    result = hashlib.sha256(digest.encode())
    for path in Images(records):
        result.update(below(path, root).encode("utf-8", "surrogateescape") + b"\0")
    return result.hexdigest()


def common_line(train: Sequence[Record], val: Sequence[Record], val_key: str) -> list[str]:
    """A line where images are in both splits: how many, and the first one; `val_key` names the validation parts."""
    common = np.flatnonzero(np.isin(image_hashes(val), image_hashes(train))).tolist()
    if not common:
        return []
    first = val[common[0]]
    return [
        f"train and val: {len(common)} of {len(val)} validation images are training images too, the first at "
        f"{first.source or first.image_path}; so the metric does not measure new images; give other "
        f"validation data, or set {val_key}=null and val_split=0.1"
    ]
