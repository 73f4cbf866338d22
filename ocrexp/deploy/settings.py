"""The models of `predict`, `eval-system`, `cut-lines` and `serve` and how they run, as keys of the command line."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ocrexp.annotations import fits
from ocrexp.command_line import command
from ocrexp.deploy.backends.base import chosen
from ocrexp.deploy.folder import TASK_NAMES, ModelFolder
from ocrexp.deploy.options import BackendOptions, ClassifierOptions, DetectorOptions, PageOptions, RecognizerOptions
from ocrexp.environment import available_cores
from ocrexp.errors import CheckpointError, ConfigError
from ocrexp.weights.registry import DICTIONARY, REGISTRY, fetched

Settings = TypeVar("Settings")

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


def _named(hint: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null"}
    options = typing.get_args(hint) if not typing.get_origin(hint) or hint not in names else ()
    return " or ".join(names.get(option, "a list") for option in options) or names.get(hint, str(hint))
