"""Opens models by their settings and runs many images through them; shared by the verbs that read images."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import cv2

from ocrexp.deploy.backends.base import library_message
from ocrexp.deploy.options import (
    BackendOptions,
    ClassifierOptions,
    DetectorOptions,
    PageOptions,
    RecognizerOptions,
    arguments_of,
)
from ocrexp.deploy.order import reading_order
from ocrexp.deploy.outputs import Reading
from ocrexp.deploy.settings import RuntimeSettings
from ocrexp.deploy.uncertainty import FoundRegion
from ocrexp.environment import available_cores
from ocrexp.errors import DeployError
from ocrexp.types import Image

if TYPE_CHECKING:
    from ocrexp.deploy.classifier import TextClassifier
    from ocrexp.deploy.detector import TextDetector
    from ocrexp.deploy.recognizer import TextRecognizer
    from ocrexp.deploy.system import TextSystem

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine:
    """The requested models behind one call: takes BGR images, returns their readings; one thread at a time.

    Lines are read in batches, also those of several pages.

    Args:
        settings: as `RuntimeSettings.checked` gives them.
        threads: threads of the backend if the settings do not state them.
    """

    def __init__(self, settings: RuntimeSettings, threads: int) -> None:
        common = {**arguments_of(settings, BackendOptions), "backend": settings.backend}
        common["threads"] = settings.threads or threads
        detection = arguments_of(settings, DetectorOptions)
        recognition = arguments_of(settings, RecognizerOptions)
        classification = arguments_of(settings, ClassifierOptions)
        self.system: TextSystem | None = None
        self.detector: TextDetector | None = None
        self.recognizer: TextRecognizer | None = None
        self.classifier: TextClassifier | None = None
        if settings.det is not None and settings.rec is not None:
            from ocrexp.deploy.system import TextSystem

            pages = arguments_of(settings, PageOptions)
            options = {**pages, **detection, **recognition, **classification, **common}
            self.system = TextSystem(settings.det, settings.rec, settings.cls, **options)
            self.detector, self.recognizer = self.system.detector, self.system.recognizer
            self.classifier = self.system.classifier
            return
        if settings.det is not None:
            from ocrexp.deploy.detector import TextDetector

            self.detector = TextDetector(settings.det, **detection, **common)
        if settings.rec is not None:
            from ocrexp.deploy.recognizer import TextRecognizer

            self.recognizer = TextRecognizer(settings.rec, **recognition, **common)
        if settings.cls is not None:
            from ocrexp.deploy.classifier import TextClassifier

            self.classifier = TextClassifier(settings.cls, **classification, **common)

    def __call__(self, images: list[Image]) -> list[Reading]:
        """What the models give for images: pages with a detector, lines without."""
        if self.system is not None:
            return self._read_pages(self.system, images)
        return self.find_regions(images) if self.detector is not None else self.read_lines(images)

    def find_regions(self, images: list[Image]) -> list[Reading]:
        """Regions in reading order, without texts. Needs the detector."""
        assert self.detector is not None
        readings = []
        for image in images:
            started = time.perf_counter()
            found = self.detector.find(image)
            order = reading_order(found.polygons)
            polygons = [found.polygons[index] for index in order]
            seconds = time.perf_counter() - started
            scores = [float(found.scores[index]) for index in order]
            regions = [
                FoundRegion(polygon, box_score=score, box_thresh=self.detector.box_thresh)
                for polygon, score in zip(polygons, scores, strict=True)
            ]
            note = self.detector.shrunk(image, "tile=true")
            readings.append(Reading(polygons, None, scores, {"det": seconds}, note, regions))
        return readings

    def read_lines(self, images: list[Image]) -> list[Reading]:
        """The text of each image, which is one line. Needs the recognizer."""
        assert self.recognizer is not None
        timings: dict[str, float] = {}
        if self.classifier is not None:
            images, _, timings["cls"] = self.classifier(images)
        started = time.perf_counter()
        results = self.recognizer.recognize(images)
        timings["rec"] = time.perf_counter() - started
        shares = {stage: seconds / len(images) for stage, seconds in timings.items()}
        return [
            Reading(
                None,
                [read.text],
                [read.score],
                dict(shares),
                regions=[FoundRegion(None, read.text, read.score, read.char_scores)],
            )
            for read in results
        ]

    @staticmethod
    def _read_pages(system: TextSystem, images: list[Image]) -> list[Reading]:
        pages = system.examine_pages(images)
        shares = {stage: seconds / len(images) for stage, seconds in system.timings.items()}
        readings = []
        for image, found in zip(images, pages, strict=True):
            kept = [region for region in found if region.kept]
            readings.append(
                Reading(
                    [region.polygon for region in kept if region.polygon is not None],
                    [region.text or "" for region in kept],
                    [region.text_score for region in kept],
                    dict(shares),
                    system.detector.shrunk(image, "tile=true"),
                    found,
                )
            )
        return readings


class EnginePool:
    """A pool of engines; each is used by one thread at a time.

    Errors of OpenCV and of memory become a DeployError of the image that caused them.
    """

    def __init__(self, settings: RuntimeSettings, count: int) -> None:
        threads = max(1, available_cores() // count)
        self._free: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(Engine(settings, threads))

    def __call__(self, images: list[Image]) -> list[Reading]:
        engine = self._free.get()
        try:
            return engine(images)
        except (cv2.error, MemoryError) as error:
            raise DeployError(f"cannot be read ({library_message(error) or type(error).__name__})") from error
        finally:
            self._free.put(engine)


def in_order(items: Iterable[Item], work: Callable[[Item], Result], threads: int) -> Generator[Result, None, None]:
    """`work(item)` in several threads; yields results in the order of the items, and works only a few items ahead.

    Leaving the loop cancels the items that have not begun and waits for the others.
    """
    waiting: deque[Future[Result]] = deque()
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting.extend(pool.submit(work, item) for item in islice(rest, 2 * threads))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
