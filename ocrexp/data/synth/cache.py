"""Drawn images on disk: written by several processes, and visible under their name only when whole.

A folder holds `images/`, `train_list.txt`, `val_list.txt` (PaddleOCR's lists) and `synth.json`. It is drawn
beside its final place and renamed at the end, so a killed drawing leaves nothing that looks finished, and a lock keeps
two processes from drawing the same images twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.parallel import in_order
from ocrexp.data.synth.words import SPLITS, Split
from ocrexp.errors import DataError
from ocrexp.folders import cache_folder, new_folder, remove_leftovers
from ocrexp.lock import beside, holding
from ocrexp.types import Image


class Drawn(Protocol):
    """A drawn image: (height, width, 3) uint8 BGR, the JPEG quality to store it with, and its label: what stands
    behind the tab in a list."""

    @property
    def image(self) -> Image: ...

    @property
    def quality(self) -> int: ...

    @property
    def label(self) -> str: ...


Draw = Callable[[Split, int], Drawn]
Job = tuple[Split, int]
META = "synth.json"
_LOOK = 0.2  # seconds between two looks at another process's drawing


def image_name(split: Split, index: int) -> str:
    """An image's path relative to its folder."""
    return f"images/{split}_{index + 1:06d}.jpg"


def list_name(split: Split) -> str:
    """A split's label list."""
    return f"{split}_list.txt"


def default_cache_dir() -> Path:
    """$OCREXP_CACHE/synth, else $XDG_CACHE_HOME/ocrexp/synth, else ~/.cache/ocrexp/synth."""
    return cache_folder() / "synth"


def is_whole(folder: Path) -> bool:
    """Whether the folder contains all that its `synth.json` lists: both lists unchanged and every image."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        present = {entry.name for entry in os.scandir(folder / "images") if entry.stat().st_size}
        return all(
            hashlib.sha256((folder / list_name(split)).read_bytes()).hexdigest() == meta["sha256"][split]
            and all(Path(image_name(split, index)).name in present for index in range(meta["pages"][split]))
            for split in SPLITS
        )
    except (OSError, ValueError, KeyError):
        return False


def obtain(cache: Path, name: str, pages: dict[Split, int], settings: dict[str, Any], draw: Draw, workers: int) -> Path:
    """The folder `cache/name`, drawn first where it is missing or damaged.

    Raises DataError in one line where the cache cannot be written.
    """
    folder = cache / name
    if is_whole(folder):
        return folder
    with _told(cache, "set cache_dir or OCREXP_CACHE to a writable folder"):
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f".{name}.lock", _DrawingProgress(sum(pages.values()), folder)):
            if is_whole(folder):  # another process has drawn it in the meantime
                return folder
            remove_leftovers(cache)
            if folder.exists():
                logging.getLogger(__name__).warning("%s is damaged; its images are drawn again", folder)
                shutil.rmtree(folder)
            try:
                with new_folder(folder, "part") as part:
                    _draw(part, folder, pages, settings, draw, workers)
                    part.rename(folder)
            except OSError:
                if not is_whole(folder):  # another machine was faster, where the file system has no locks
                    raise
    return folder


def write(folder: Path, pages: dict[Split, int], settings: dict[str, Any], draw: Draw, workers: int) -> None:
    """Draw into a new folder of the user's. Raises DataError if it holds something or cannot be written."""
    with filled(folder) as part:
        _draw(part, folder, pages, settings, draw, workers)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """A folder to write a data set into, which gets the name `folder` if all goes well.

    Raises DataError if `folder` holds something or cannot be written.
    """
    with _told(folder, "name another folder"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with holding(beside(folder), f"out={folder}"):
            if folder.exists():
                if not folder.is_dir() or any(folder.iterdir()):
                    raise DataError(f"{folder}: exists and is not overwritten; choose a new folder")
                folder.rmdir()
            with new_folder(folder, "part") as part:
                yield part
                part.rename(folder)


@contextlib.contextmanager
def _told(place: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write synthetic images to {place} ({error.strerror or error}); free some space, or {advice}"
        ) from error


@contextlib.contextmanager
def _locked(path: Path, progress: _DrawingProgress) -> Iterator[None]:
    """Hold an exclusive lock, which the system frees if this process dies.

    Ranks of one run meet here: whoever waits shows how far the drawing process is.
    """
    with path.open("w") as handle:
        waited = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    logging.getLogger(__name__).info("another process is drawing these images; waiting for it")
                waited = True
            progress.show(sum(1 for _ in path.parent.glob(f"{path.stem}.*.part/images/*")))
            time.sleep(_LOOK)
        if waited:
            progress.clear()
        yield


def _draw(
    part: Path, folder: Path, pages: dict[Split, int], settings: dict[str, Any], draw: Draw, workers: int
) -> None:
    """Draw every image into `part`, which will be `folder`, with its lists and its description."""
    (part / "images").mkdir()
    jobs: list[Job] = [(split, index) for split in SPLITS for index in range(pages[split])]

    def work(job: Job) -> str:
        image = draw(*job)
        name = image_name(*job)
        (part / name).write_bytes(encode(image, name).tobytes())
        return f"{name}\t{image.label}\n"

    progress = _DrawingProgress(len(jobs), folder)
    lines: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for count, ((split, _), line) in enumerate(zip(jobs, in_order(jobs, work, workers), strict=True), 1):
        lines[split].append(line)
        progress.show(count)
    progress.end(len(jobs))
    digests = {}
    for split in SPLITS:
        text = "".join(lines[split]).encode()
        (part / list_name(split)).write_bytes(text)
        digests[split] = hashlib.sha256(text).hexdigest()
    meta = {"pages": pages, "sha256": digests, "settings": settings}
    (part / META).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def encode(drawn: Drawn, name: str) -> npt.NDArray[np.uint8]:
    """A drawn image as the bytes of a JPEG file; `name` is for the message. Raises DataError if OpenCV cannot."""
    encoded, data = cv2.imencode(".jpg", drawn.image, [cv2.IMWRITE_JPEG_QUALITY, drawn.quality])
    if not encoded:
        raise DataError(f"{name} could not be encoded as JPEG: the installed OpenCV does not support it")
    return data


class _DrawingProgress:
    """One line that counts up on a terminal; elsewhere a line at the end (and each 15 s)."""

    def __init__(self, total: int, folder: Path) -> None:
        self._total, self._folder = total, folder
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._log = logging.getLogger(__name__)

    def show(self, count: int) -> None:
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else 15.0):
            return
        self._last = now
        rate = max(count, 1) / (now - self._start)
        line = (
            f"drawing images: {count}/{self._total}, {rate:.0f} per second, {(self._total - count) / rate:.0f} s left"
        )
        if self._terminal:
            print(f"\r{line} ", end="", file=sys.stderr, flush=True)
        else:
            self._log.info(line)

    def clear(self) -> None:
        if self._terminal:
            print("\r" + " " * 70 + "\r", end="", file=sys.stderr, flush=True)

    def end(self, count: int) -> None:
        self.clear()
        seconds = time.monotonic() - self._start
        self._log.info("drew %d images in %.1f s (%.0f per second): %s", count, seconds, count / seconds, self._folder)
