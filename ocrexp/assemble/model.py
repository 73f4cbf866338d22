"""The model of a configuration and the characters that its head is made for."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble.comparison import check_calibrated, evaluated_picture
from ocrexp.assemble.deployed import MODES, deployed_folder, start_from, warn_of_other_normalization
from ocrexp.assemble.distill import build_distilled, has_roles
from ocrexp.config.build import build, keyed
from ocrexp.config.check import BUILDER_KEYS
from ocrexp.data.records import all_texts
from ocrexp.errors import CheckpointError, ConfigError, DataError
from ocrexp.located import located

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.deploy.folder import ModelFolder
    from ocrexp.models.calibration import Folded
    from ocrexp.models.model import OCRModel
    from ocrexp.models.pretrained import Arrays, Coverage
    from ocrexp.types import DataSource

log = logging.getLogger(__name__)


def build_charset(config: DictConfig, source: Callable[[], DataSource] | None = None) -> Charset | None:
    """The characters that the configuration states; None for a task without characters.

    `charset=from_labels` reads them off the training labels of `source()`. Raises ConfigError if it needs them and
    has no source.
    """
    node = OmegaConf.select(config, "charset")
    if node is None:
        return None
    charset = build(node)
    if isinstance(charset, functools.partial):
        if source is None:
            raise ConfigError(
                "charset=from_labels: needs the training labels; set charset=dictionary and charset.path=FILE instead"
            )
        charset = keyed("charset", charset, texts=all_texts(source().train_records()))
    return charset


def saved_charset(weights: Path) -> Charset | None:
    """The characters that a checkpoint's states carry; None if it has no states or belongs to no recognizer."""
    from ocrexp.charset.saved import from_saved
    from ocrexp.engine.weights import states_beside

    saved = states_beside(weights).get("extras", {}).get("charset")
    return None if saved is None else from_saved(saved, str(weights))


def charset_of(weights: Path, config: DictConfig, source: Callable[[], DataSource]) -> Charset | None:
    """The characters that a checkpoint carries, else those of the configuration; warns where both are known and differ.

    Raises CheckpointError if neither states them.
    """
    saved = saved_charset(weights)
    try:
        configured = build_charset(config)
    except ConfigError:  # the dictionary is gone, or they are read off the training labels
        if saved is not None:
            return saved
        try:
            return build_charset(config, source)
        except DataError as error:
            raise CheckpointError(
                f"{weights}: contains no characters, and the labels that they were read from are missing ({error}); "
                "set charset=dictionary charset.path=FILE"
            ) from error
    if saved is None:
        return configured
    if configured is not None and configured != saved:
        log.warning(
            "charset: %s has %d characters, which differ from the %d of the configuration; the checkpoint's are used",
            weights, len(saved), len(configured),
        )  # fmt: skip
    return saved


Calibrate = Callable[["OCRModel", "list[Folded]"], None]


def build_model(config: DictConfig, charset: Charset | None = None, calibrate: Calibrate | None = None) -> OCRModel:
    """The model with pretrained weights loaded and parts frozen as `model.pretrained` and `model.freeze` ask.

    A recognition head states the kind of its tokens (`token_kind`) and is given `out_channels`, the number of classes
    that the charset has for this kind; a head of several kinds (`multi`) is given the numbers of all.

    Args:
        config: a checked training configuration.
        charset: the characters of a recognizer.
        calibrate: measures the statistics of batch norms that a deployed model does not have. Without it such a model
            is a ConfigError where it lacks some.
    """
    from ocrexp.models.freezing import freeze
    from ocrexp.models.network import Network
    from ocrexp.models.pretrained import load_pretrained

    if has_roles(config):
        several: Any = build_distilled(config, charset, lambda one: build_model(one, charset, calibrate))
        several.fix_the_rest()
        several.frozen = several.student.frozen
        return several
    node = config.model
    model = build_network(config, charset)
    learns: Any = model
    if isinstance(model, Network):
        model.fix_the_rest()
        learns = model.trainable()
    if node.pretrained and (folder := deployed_folder(node.pretrained)) is not None:
        for key, unset in (("pretrained_rgb", "false"), ("pretrained_prefix", "null")):
            if node.get(key):
                raise ConfigError(f"model.{key}: is for files of weights, not for deployed models; set it to {unset}")
        model.coverage = _load_deployed(config, folder, learns, charset, calibrate)
    elif node.pretrained:
        rearrange = None if charset is None else functools.partial(_rearranged, config, learns, charset)
        with located("model", node, ConfigError):
            model.coverage = load_pretrained(
                learns,
                node.pretrained,
                node.pretrained_min_coverage,
                rearrange,
                prefix=node.get("pretrained_prefix"),
                rgb=bool(node.get("pretrained_rgb")),
            )
    if node.freeze:
        with located("model", node, ConfigError):
            model.frozen = freeze(learns, [node.freeze] if isinstance(node.freeze, str) else list(node.freeze))
    return model


def build_network(config: DictConfig, charset: Charset | None) -> OCRModel:
    """The network alone, with random weights."""
    from ocrexp.models.fake_int8 import round_layers
    from ocrexp.models.widths import apply_widths

    node = config.model
    own = (*BUILDER_KEYS["model"], "head", "auxiliary", "of_task")
    resolved: Any = OmegaConf.to_container(node, resolve=True)  # a copy of a part finds no other keys
    _choose_fused(resolved)
    whole = OmegaConf.create({"model": resolved})
    heads = {name: _with_classes(build(whole.model[name]), charset) for name in ("head", "auxiliary") if node.get(name)}
    parts = OmegaConf.create({"model": {key: resolved[key] for key in resolved if key not in own}})
    model: OCRModel = build(parts.model, **heads)
    if resolved.get("widths"):
        with located("model", node, ConfigError):
            apply_widths(model, resolved["widths"])
    if resolved.get("quantize_aware"):
        if config.trainer.cpu_tuning:
            raise ConfigError(
                "model.quantize_aware=true: needs every layer to be called, which the kernels for training on a CPU do "
                "not; set trainer.cpu_tuning=false (a GPU run is not affected)"
            )
        round_layers(model)
    return model


def _choose_fused(model: dict[str, Any]) -> None:
    """Sets the option `fused` of backbone and neck as `model.pretrained_mode` asks.

    A head keeps its batch norms: of some versions they are in the file, of others their statistics are measured.
    """
    mode = model.get("pretrained_mode", "auto")
    if mode not in MODES:
        raise ConfigError(f"model.pretrained_mode: expected one of {', '.join(MODES)}, got {mode!r}")
    if mode == "auto":
        return
    parts = [part for part in map(model.get, ("backbone", "neck")) if isinstance(part, dict) and "fused" in part]
    if mode == "fused" and not parts:
        raise ConfigError(
            "model.pretrained_mode=fused: backbone and neck of this model have no option `fused`; set it to auto"
        )
    for part in parts:
        part["fused"] = mode == "fused"


def _load_deployed(
    config: DictConfig, folder: ModelFolder, model: OCRModel, charset: Charset | None, calibrate: Calibrate | None
) -> Coverage:
    """Puts a deployed model's layers into the model, the classes in the order of the charset."""
    from ocrexp.models.charset_transfer import transfer_classes
    from ocrexp.models.pretrained import load_pretrained

    start = start_from(config, folder, charset, functools.partial(build_network, config))
    warn_of_other_normalization(config, folder)
    arrays = start.taken.arrays
    if charset is not None and start.charset is not None:
        transfer = transfer_classes(arrays, model, start.charset, charset)
        log.info("pretrained: %s", transfer.describe())
        arrays, model.new_characters = transfer.arrays, transfer.new
    coverage = load_pretrained(model, folder.path, 0.0, arrays=arrays)
    if start.taken.folded:
        if calibrate is None:
            raise ConfigError(
                f"model.pretrained={folder.path}: batch norms of the model are folded into convolutions there, and "
                "there are no training images to measure their statistics on; start a training, or give .pdparams"
            )
        before = evaluated_picture(config, model)
        calibrate(model, start.taken.folded)
        moved = check_calibrated(str(folder.path), before, evaluated_picture(config, model))
        log.info("pretrained: measured statistics move the outputs by %.1e", moved)
    return coverage


def _with_classes(head: Any, charset: Charset | None) -> Any:
    """A head of characters with its number of classes; any other one as it is."""
    from ocrexp.models.hooks import token_kind

    kind = token_kind(head)
    if kind is None:
        return head
    if charset is None:
        raise ConfigError(
            "charset: is missing, but a recognition head needs its characters; choose one, for example charset=en94"
        )
    classes = charset.class_counts()
    return functools.partial(head, out_channels=classes if kind == "multi" else classes[kind])


def _rearranged(config: DictConfig, model: OCRModel, charset: Charset, arrays: Arrays) -> Arrays:
    """A pretrained file's arrays with the head's classes in the order of the charset."""
    from ocrexp.charset.sources import from_dictionary
    from ocrexp.models.charset_transfer import transfer_from_any
    from ocrexp.models.pretrained import find_pretrained

    node = config.model
    if node.pretrained_charset:
        # PaddleOCR's `use_space_char` is not in the file either: it follows from the number of classes.
        form, invisible = charset.normalization.form, charset.normalization.invisible
        known = [
            from_dictionary(node.pretrained_charset, space, normalize=form, invisible=invisible)
            for space in (False, True)
        ]
    else:
        saved = saved_charset(find_pretrained(node.pretrained))
        known = [] if saved is None else [saved]
    if not known:
        log.info(
            "pretrained: %s contains no characters; if the number of classes is equal, the characters are assumed to "
            "be equal, otherwise model.pretrained_charset=DICTIONARY keeps the rows of common characters",
            node.pretrained,
        )
        return arrays
    transfer = transfer_from_any(arrays, model, known, charset)
    log.info("pretrained: %s", transfer.describe())
    model.new_characters = transfer.new
    return transfer.arrays
