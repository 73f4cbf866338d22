"""Opens models by their settings and runs many images through them; shared by `predict` and `eval-system`."""

from __future__ import annotations

import dataclasses
import queue
import time
import typing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2

from ocrexp.annotations import fits
from ocrexp.command_line import command
from ocrexp.deploy.backends.base import chosen, library_message
from ocrexp.deploy.folder import TASK_NAMES, ModelFolder
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
from ocrexp.deploy.uncertainty import FoundRegion
from ocrexp.environment import available_cores
from ocrexp.errors import CheckpointError, ConfigError, DeployError
from ocrexp.types import Image
from ocrexp.weights.registry import DICTIONARY, REGISTRY, fetched

if TYPE_CHECKING:
    from ocrexp.deploy.classifier import TextClassifier
    from ocrexp.deploy.detector import TextDetector
    from ocrexp.deploy.recognizer import TextRecognizer
    from ocrexp.deploy.system import TextSystem

Item = TypeVar("Item")
Result = TypeVar("Result")

# PaddleOCR's names of keys that have another name here.
PADDLEOCR_NAMES = {
    "image_dir": "images",
    "det_model_dir": "det",
    "rec_model_dir": "rec",
    "cls_model_dir": "cls",
    "draw_img_save_dir": "output",
    "vis_font_path": "font",
    "cpu_threads": "threads",
    "use_gpu": "device",
    "use_onnx": "backend",
    "use_mp": "workers",
    "total_process_num": "workers",
    "det_db_use_dilation": "use_dilation",
    "e2e_char_dict_path": "rec_char_dict_path",
    "use_angle_cls": "cls",
}
OF_MODELS: dict[str, type[Any]] = {"det": DetectorOptions, "rec": RecognizerOptions, "cls": ClassifierOptions}
SHARES = ("drop_score", "det_db_thresh", "det_db_box_thresh", "cls_thresh")


@dataclass(frozen=True, kw_only=True)
class RuntimeSettings(PageOptions, DetectorOptions, RecognizerOptions, ClassifierOptions, BackendOptions):
    """The models and how they run: keys of conf/predict.yaml and conf/eval-system.yaml; see `ocrexp.deploy.options`."""

    det: str | None
    rec: str | None
    cls: str | None
    backend: str
    workers: str | int

    @property
    def rec_only(self) -> bool:
        """Whether each image is one line of text."""
        return self.det is None

    def worker_count(self, images: int) -> int:
        """The number of models that run concurrently."""
        if self.workers == "auto":
            folders = [ModelFolder.open(path) for path in (self.det, self.rec, self.cls) if path is not None]
            one = self.device != "cpu" or any(chosen(folder, self.backend) == "paddle" for folder in folders)
            return 1 if one else max(1, min(available_cores(), images))  # paddle runs one at a time
        return min(int(self.workers), max(images, 1))

    def checked(self) -> RuntimeSettings:
        """The settings with the models' folders resolved. Raises ConfigError for invalid settings."""
        if self.det is None and self.rec is None:
            raise ConfigError(
                "det, rec: no model is given; add det=DIR to find text, rec=DIR to read lines, or both for pages"
            )
        if self.cls is not None and self.rec is None:
            raise ConfigError("cls: rotates lines for a recognizer; add rec=DIR")
        for model, kind in OF_MODELS.items():
            given = [field.name for field in dataclasses.fields(kind) if getattr(self, field.name) is not None]
            given = [name for name in given if kind.__dataclass_fields__[name].default is None]
            if getattr(self, model) is None and given:
                raise ConfigError(
                    f"{given[0]}={getattr(self, given[0])}: belongs to {model}, which is not given; add {model}=DIR"
                )
        if self.tile and self.det is None:
            raise ConfigError(
                "tile=true: belongs to det=DIR, which is not given; set tile=false (lines are never cut into tiles)"
            )
        for key in SHARES:
            share = getattr(self, key)
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"{key}: expected a number from 0 to 1, got {share}")
        for key in ("det_mean", "det_std", "rec_mean", "rec_std", "cls_mean", "cls_std"):
            values = getattr(self, key)
            if values is not None and (
                len(values) not in (1, 3) or (key.endswith("std") and any(value <= 0 for value in values))
            ):
                bound = " above 0" if key.endswith("std") else ""
                raise ConfigError(f"{key}: expected one number or three{bound}, got {list(values)}")
        if self.workers != "auto" and (not fits(self.workers, int) or int(self.workers) < 1):
            raise ConfigError(f"workers: expected 1 or more, or auto, got {self.workers}")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads: expected 1 or more, or null, got {self.threads}")
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels: expected 1 or more, got {self.max_pixels}")
        folders = {key: model_folder(key, getattr(self, key)) for key in ("det", "rec", "cls")}
        for key, folder in folders.items():
            _check_model_task(key, folder)
        dictionary = self.rec_char_dict_path
        if dictionary is None and self.rec in REGISTRY and DICTIONARY in REGISTRY[self.rec].files:
            dictionary = str(Path(str(folders["rec"]), DICTIONARY))
        return dataclasses.replace(
            self, det=folders["det"], rec=folders["rec"], cls=folders["cls"], rec_char_dict_path=dictionary
        )


def model_folder(key: str, value: str | None) -> str | None:
    """The folder (or file) of a model; a run folder means its export, a name a model that was fetched.

    Raises ConfigError if it is missing.
    """
    if value is None:
        return None
    path = Path(value).expanduser()
    if not path.exists() and value in REGISTRY:
        try:
            return str(fetched(REGISTRY[value]))
        except CheckpointError as error:
            raise ConfigError(f"{key}={value}: {error}") from None
    if not path.exists():
        raise ConfigError(f"{key}={value}: folder not found; export a run: python -m ocrexp export run_dir=RUN")
    if (path / "inference").is_dir():
        return str(path / "inference")
    if (path / "checkpoints").is_dir():
        raise ConfigError(f"{key}={value}: this run is not exported yet; run: {command('export', {'run_dir': value})}")
    return str(path)


def _check_model_task(key: str, folder: str | None) -> None:
    """Raises ConfigError if the export's task is not that of its key; an export that states no task is accepted."""
    if folder is None:
        return
    description = ModelFolder.open(folder).description
    if description is not None and description.task != key:
        raise ConfigError(
            f"{key}={folder}: expected {TASK_NAMES[key]}, got {TASK_NAMES[description.task]}; "
            f"write {description.task}={folder}"
        )


Settings = TypeVar("Settings")


def settings_from(config: Mapping[Any, Any], kind: type[Settings]) -> Settings:
    """The dataclass `kind` filled from a composed configuration. Raises ConfigError for a wrong type."""
    from omegaconf import OmegaConf

    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every `kind` is a dataclass
        value = config[field.name]
        if OmegaConf.is_config(value):
            value = OmegaConf.to_container(value, resolve=True)
        if not fits(value, hints[field.name]):
            raise ConfigError(f"{field.name}: expected {_named(hints[field.name])}, got {value}")
        values[field.name] = value
    return kind(**values)


def refuse_paddleocr_names(arguments: Sequence[str]) -> None:
    """Raises ConfigError for PaddleOCR's name of a key that has another name here."""
    for argument in arguments:
        key = argument.partition("=")[0].lstrip("+-")
        if key in PADDLEOCR_NAMES:
            raise ConfigError(f"{key}: unknown key (a name of PaddleOCR); use {PADDLEOCR_NAMES[key]}=…")


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


def _named(hint: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null"}
    options = typing.get_args(hint) if not typing.get_origin(hint) or hint not in names else ()
    return " or ".join(names.get(option, "a list") for option in options) or names.get(hint, str(hint))
