"""Times exported models at work: each stage, and beside PaddleOCR 3.7 and RapidOCR in turn on the same images.

Every tool runs in a process of its own (`bench.worker`), is asked in turn for one pass over the images, and rests
while the others work; figures are medians of the passes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrexp import environment
from ocrexp.errors import DataError, OcrexpError
from ocrexp.types import Image

REST = 0.3  # seconds between two tools: thread pools keep spinning for a while
PAGE_SIZE = (1280, 720)  # width, height
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass
class Figures:
    """What one tool took.

    `seconds` of each pass, `work`: the same as its threads' time on a core, which other processes lengthen less;
    `start`: from its process to its first result.
    """

    start: float = 0.0
    seconds: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    results: list[Any] = field(default_factory=list)
    memory_mb: float = 0.0

    def median(self) -> float:
        return statistics.median(self.seconds)

    def stage(self, name: str) -> float:
        return statistics.median(self.stages[name])


class ToolProcess:
    """A tool's process, up to its first result.

    Args:
        name: for messages.
        command: starts the process.
        request: what it opens.
        first: the image of the first result.

    Raises OcrexpError when it ends early.
    """

    def __init__(self, name: str, command: Sequence[str], request: dict[str, Any], first: Path) -> None:
        self.name = name
        self.figures = Figures()
        began = time.perf_counter()
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment.untouched(),  # what makes our processes faster is not to be lent to the others
        )
        self.settings: dict[str, Any] = self._ask(request)["settings"]
        self.run([first], counted=False)
        self.figures.start = time.perf_counter() - began

    def run(self, images: Sequence[Path], *, counted: bool = True, stages: bool = False) -> None:
        """One pass over the images."""
        answer = self._ask({"images": [str(path) for path in images], "stages": stages})
        figures = self.figures
        figures.results, figures.memory_mb = answer["results"], answer["memory_mb"]
        if counted:
            figures.seconds.append(answer["seconds"])
            figures.work.append(answer["work"])
            for name, seconds in answer["stages"].items():
                figures.stages.setdefault(name, []).append(seconds)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            process.kill()
            last = (process.stderr.read().strip().splitlines() or ["no output"])[-1]
            raise OcrexpError(f"{self.name} ended while it was measured: {last}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def ocrexp_worker(request: dict[str, Any], first: Path) -> ToolProcess:
    """This package's runtime in a process."""
    return ToolProcess("ocrexp", [sys.executable, "-m", "ocrexp.bench.worker"], request, first)


def in_turn(workers: Sequence[ToolProcess], images: Sequence[Path], passes: int) -> None:
    """One pass of each that is not counted, then `passes` of each in turn; of ours with its stages."""
    for turn in range(passes + 1):
        for worker in workers:
            time.sleep(REST)
            worker.run(images, counted=turn > 0, stages=worker.name == "ocrexp" and turn > 0)


def image_files(source: str | Path) -> list[Path]:
    """Images of a folder in order of their names, or a single one. Raises DataError for none."""
    source = Path(source).expanduser()
    if source.is_file():
        return [source]
    found = sorted(path for path in source.glob("*") if path.suffix.lower() in _SUFFIXES) if source.is_dir() else []
    if not found:
        raise DataError(f"images={source}: contains no images; name a folder with images, or one image")
    return found


def draw_pages(sources: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Pages of 1280×720 in a folder, each the upper parts of two photographs side by side, 640 pixels wide."""
    width, height = PAGE_SIZE
    pages = []
    for index in range(count):
        pair = (sources[(2 * index) % len(sources)], sources[(2 * index + 1) % len(sources)])
        page = np.hstack([_column(path, width // 2, height) for path in pair])
        pages.append(folder / f"page_{index}.png")
        cv2.imwrite(str(pages[-1]), page)
    return pages


def _column(path: Path, width: int, height: int) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path}: cannot be decoded")
    scaled = cv2.resize(image, (width, max(1, round(image.shape[0] * width / image.shape[1]))))[:height]
    column: Image = np.full((height, width, 3), 255, dtype=np.uint8)
    column[: len(scaled)] = scaled
    return column


def equal_boxes(ours: Sequence[Any], theirs: Sequence[Any], tolerance: float = 0.0) -> tuple[int, int]:
    """Boxes that both found, corner by corner within `tolerance` pixels, and those that either found.

    Each is a list of boxes for every image, in whatever order.
    """
    same = every = 0
    for a, b in zip(ours, theirs, strict=True):
        left = [np.asarray(box, dtype=np.float64) for box in b]
        matched = 0
        for box in (np.asarray(box, dtype=np.float64) for box in a):
            for index, other in enumerate(left):
                if other.shape == box.shape and np.abs(other - box).max() <= tolerance:
                    del left[index]
                    matched += 1
                    break
        same += matched
        every += len(a) + len(left)
    return same, every
