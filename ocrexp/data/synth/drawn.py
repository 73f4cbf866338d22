"""What all drawn data sets have in common, and how one is written into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from ocrexp.data.synth import cache
from ocrexp.data.synth.words import Split


@runtime_checkable
class DrawnData(Protocol):
    """A drawn dataset: its task, how many images each split has, in how many processes they are drawn, one of them, and
    all that shapes them, as plain values."""

    task: ClassVar[str | None]

    @property
    def counts(self) -> dict[Split, int]: ...

    @property
    def workers(self) -> int: ...

    def draw(self, split: Split, index: int) -> cache.Drawn: ...

    def description(self) -> dict[str, Any]: ...

    def report(self) -> list[str]: ...

    def write(self, folder: Path) -> None: ...


def write_dataset(out_dir: str | Path, source: DrawnData) -> Path:
    """Draw a dataset's images into a new folder: images/, train_list.txt, val_list.txt; returns the folder.

    Raises DataError if the folder holds something or cannot be written.
    """
    folder = Path(out_dir).expanduser().absolute()
    source.write(folder)
    return folder
