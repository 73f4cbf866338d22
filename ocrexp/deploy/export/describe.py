"""What `inference.yml` says of a run: preprocessing, postprocessing and characters as its evaluation has them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from omegaconf import OmegaConf

from ocrexp.deploy.description import Description
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from ocrexp.deploy.export.source import Source

log = logging.getLogger(__name__)

_RESIZES = ("DetResize", "RecResize", "SARResize")
# PaddleOCR's names of the decoders, by the kind of tokens.
_DECODERS = {
    "ctc": "CTCLabelDecode",
    "attention": "AttnLabelDecode",
    "nrtr": "NRTRLabelDecode",
    "sar": "SARLabelDecode",
    "parseq": "ParseQLabelDecode",
    "vitstr": "ViTSTRLabelDecode",
}


def describe(source: Source, kind: str, model_name: str | None = None) -> Description:
    """The description of an export, without the files' sums.

    Args:
        source: what is exported.
        kind: the network's output, see `network.output_name`.
        model_name: for PaddleOCR's client; None: see `default_model_name`.

    Raises ConfigError where the evaluation does something that a description cannot say.
    """
    config = source.config
    resize = _resize(config)
    mean, std = (tuple(map(float, config.model.normalize[key])) for key in ("mean", "std"))
    charset = source.charset
    return Description(
        task=cast(Literal["det", "rec"], config.task),
        model_name=model_name or default_model_name(config.task, resize, kind, str(config.model.name)),
        resize=resize,
        mean=mean,
        std=std,
        postprocess=_postprocess(config, kind),
        characters=None if charset is None else charset.characters,
        ocrexp=_facts(source),
    )


def default_model_name(task: str, resize: Mapping[str, Any], kind: str, own_name: str) -> str:
    """A name under which PaddleOCR's 3.x client (PaddleX) does what the evaluation does.

    It has a fixed list of names, and goes by them: for most detectors `resize_long` bounds the longer side, for others,
    those of seals, it is what the shorter side is enlarged to. It has no rule that brings the longer side to a length
    either way; that of a bound is nearest. Recognisers are all treated alike, and only CTC's can be run by it: another
    kind keeps its own name, which the client refuses.
    """
    if task == "det":
        other = resize.get("image_shape") is not None or resize.get("resize_long") is not None
        grows = not other and resize.get("limit_type") == "min"
        return "PP-OCRv4_mobile_seal_det" if grows else "PP-OCRv5_mobile_det"
    return "PP-OCRv5_mobile_rec" if kind == "ctc" else own_name


def metadata(characters: Sequence[str] | None) -> dict[str, str]:
    """What RapidOCR looks for in an .onnx file: the characters, one a line.

    It splits them where Python's `splitlines` does, which is at U+2028 and its like too: such a list would move all
    classes behind it, and is left out, so that RapidOCR can be given a dictionary (`inference.yml` holds any).
    """
    if characters is None:
        return {}
    ends = [character for character in characters if character.splitlines() != [character]]
    if not ends:
        return {"character": "\n".join(characters)}
    log.warning(
        "inference.onnx does not hold its characters, as RapidOCR would take %s for the end of a line: give it the "
        "dictionary by rec_keys_path",
        ", ".join("".join(f"U+{ord(code):04X}" for code in character) for character in ends),
    )
    return {}


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of the model's files in a folder, by their names."""
    files = (path for path in sorted(folder.glob("inference.*")) if path.suffix != ".yml")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _resize(config: Any) -> dict[str, Any]:
    steps = {name: node for name, node in (config.get("preprocess") or {}).items() if node is not None}
    if set(steps) != {"resize"}:
        raise ConfigError(f"export knows one step of preprocessing, `resize`; the run has {', '.join(steps) or 'none'}")
    plain: dict[str, Any] = OmegaConf.to_container(steps["resize"], resolve=True)  # type: ignore[assignment]
    kind = str(plain.pop("_target_")).rpartition(".")[2]
    if kind not in _RESIZES:
        raise ConfigError(f"preprocess.resize is {kind}: a description can say {', '.join(_RESIZES)}")
    return {"kind": kind, **plain}


def _postprocess(config: Any, kind: str) -> dict[str, Any]:
    plain: dict[str, Any] = OmegaConf.to_container(config.postprocess, resolve=True)  # type: ignore[assignment]
    name = str(plain.pop("_target_")).rpartition(".")[2]
    plain = {key: value for key, value in plain.items() if not key.startswith("_")}
    if config.task == "det":
        return {"name": name, **plain}
    if name == "CTCBeamDecoder":
        log.warning("postprocess=ctc_beam is not deployed: exported recognisers take the likeliest class of each step")
    plain.pop("kind", None)
    return {"name": _DECODERS[kind], **plain}


def _facts(source: Source) -> dict[str, Any]:
    import paddle

    from ocrexp import __version__

    facts: dict[str, Any] = {
        "versions": {"ocrexp": __version__, "paddle": paddle.__version__},
        "model": str(source.config.model.name),
        "checkpoint": source.checkpoint(),
    }
    if source.charset is not None:
        facts["charset"] = {
            "fingerprint": source.charset.fingerprint,
            "characters": len(source.charset),
            "lower": source.charset.lower,
        }
    return facts
