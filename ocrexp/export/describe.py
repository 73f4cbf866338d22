"""Makes the `inference.yml` of a run: preprocessing, postprocessing and characters of its evaluation."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from ocrexp.deploy.description import Description, TaskName
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.export.trained import Trained
    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task

log = logging.getLogger(__name__)

_RESIZES = ("DetResize", "RecResize", "SARResize")


def describe_export(trained: Trained, model: OCRModel, model_name: str | None = None) -> Description:
    """The description of an export, without the checksums of the files.

    Args:
        source: the run that is exported.
        model: the network that is exported.
        model_name: the name for PaddleOCR's client; None: see `Task.client_name`.

    Raises ConfigError if the description cannot express something that the evaluation does.
    """
    config, outputs, kind = trained.config, model.outputs, model.output
    resize = _resize(config)
    mean, std = (tuple(map(float, config.model.normalize[key])) for key in ("mean", "std"))
    charset, task = trained.charset, trained.task
    return Description(
        task=cast(TaskName, task.name),
        model_name=model_name or task.client_name(resize, kind, str(config.model.name)),
        resize=resize,
        mean=mean,
        std=std,
        postprocess=_postprocess(config, task, kind),
        characters=None if charset is None else charset.characters,
        ocrexp={**_facts(trained, model), **({"outputs": list(outputs)} if len(outputs) > 1 else {})},
    )


def metadata(characters: Sequence[str] | None) -> dict[str, str]:
    """The properties that RapidOCR reads from an .onnx file: the characters, one per line.

    It splits them with Python's `splitlines`, which also splits at characters such as U+2028. That would shift all
    classes after such a character. In this case the list is omitted, so that RapidOCR needs a dictionary
    (`inference.yml` can contain any character).
    """
    if characters is None:
        return {}
    ends = [character for character in characters if character and character.splitlines() != [character]]
    if not ends:
        last = "" if characters[-1] else "\n"  # an empty character is an empty line, even if it is the last one
        return {"character": "\n".join(characters) + last}
    log.warning(
        "inference.onnx does not contain its characters, because RapidOCR would read %s as the end of a line; set "
        "RapidOCR's rec_keys_path to the dictionary",
        ", ".join("".join(f"U+{ord(code):04X}" for code in character) for character in ends),
    )
    return {}


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of the model's files in a folder, by their names."""
    files = (path for path in sorted(folder.glob("inference.*")) if path.suffix != ".yml")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _resize(config: Any) -> dict[str, Any]:
    steps = {name: node for name, node in (config.get("preprocess") or {}).items() if node is not None}
    if set(steps) != {"resize"}:
        raise ConfigError(f"preprocess: export supports one step, `resize`, got {', '.join(steps) or 'none'}")
    plain: dict[str, Any] = OmegaConf.to_container(steps["resize"], resolve=True)  # type: ignore[assignment]
    kind = str(plain.pop("_target_")).rpartition(".")[2]
    if kind not in _RESIZES:
        raise ConfigError(f"preprocess.resize: export supports {', '.join(_RESIZES)}, got {kind}")
    return {"kind": kind, **plain}


def _postprocess(config: Any, task: Task, output: str) -> dict[str, Any]:
    plain: dict[str, Any] = OmegaConf.to_container(config.postprocess, resolve=True)  # type: ignore[assignment]
    name = str(plain.pop("_target_")).rpartition(".")[2]
    arguments = {key: value for key, value in plain.items() if not key.startswith("_")}
    return task.describe_postprocess(name, arguments, output)


def _facts(trained: Trained, model: OCRModel) -> dict[str, Any]:
    import paddle

    from ocrexp import __version__
    from ocrexp.models.summary import summarize

    shape = trained.config.model.get("image_shape")

    facts: dict[str, Any] = {
        "versions": {"ocrexp": __version__, "paddle": paddle.__version__},
        "model": str(trained.config.model.name),
        "checkpoint": trained.checkpoint(),
        "macs": summarize(model, None if shape is None else (int(shape[0]), int(shape[1]))).macs,
    }
    if trained.charset is not None:
        facts["charset"] = charset_facts(trained.charset)
    return facts


def charset_facts(charset: Charset) -> dict[str, Any]:
    """Properties of a charset, besides its characters, that the deployed decoder needs."""
    return {
        "fingerprint": charset.fingerprint,
        "characters": len(charset),
        "lower": charset.lower,
        "direction": charset.direction,
        **charset.normalization.facts,
    }
