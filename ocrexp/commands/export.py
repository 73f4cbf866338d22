"""`ocrexp export`: write a trained run as a folder for deployment, compared with the trained model."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ocrexp.command_line import key_of
from ocrexp.commands.eval import frozen_or_composed, report_unfinished, weights_of
from ocrexp.compress.settings import parse_compression, without_effect
from ocrexp.config.changes import split_overrides
from ocrexp.config.check import check_early, check_parts
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import trusted_of
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.export.folder import PARITY, ExportFolder, write_finite_json
from ocrexp.export.formats import ExportError, folder_of, parse_formats
from ocrexp.folders import scratch
from ocrexp.logs import show_notices
from ocrexp.runs.hooks import prepare_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.compress.settings import Compression
    from ocrexp.deploy.description import Description
    from ocrexp.export.parity import ParityResult
    from ocrexp.export.trained import Trained

SUMMARY = "Write a run as files for deployment (Paddle, ONNX), compared with the trained model"
USAGE = """
Usage
  python -m ocrexp export run_dir=outputs/NAME/DATE_TIME [checkpoint=best|latest|FILE.pdparams] [key=value ...]
  python -m ocrexp export run_dir=... export.format=[paddle,legacy,onnx] export.dir=DIR
  python -m ocrexp export model=db_mbv3 checkpoint=FILE.pdparams export.dir=DIR dataset=det_list dataset.root=DIR

Writes the network without the parts that only training needs, as files of Paddle 3, of Paddle 2 (legacy) and ONNX, and
inference.yml, which describes how images are prepared and what the output means, as PaddleOCR's clients read it.
Overrides change the configuration of the run first (postprocess.box_thresh=0.5 becomes the default of the deployed
model). The export succeeds only if it gives the boxes or texts of the trained model on validation images (parity.json);
otherwise the exit code is 1 and the files are in DIR.failed."""


log = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Export; returns 0, or 1 if the export does not give the results of the trained model."""
    setup_hydra()
    show_notices()
    verb_keys = [str(key) for key in compose("export", [])]
    nested = [key_of(item) for item in arguments if key_of(item).startswith("export.")]
    own, changes = split_overrides([*verb_keys, *nested], arguments)
    verb = compose("export", own)
    formats = parse_formats(_plain(verb.export.format))
    _check_parity(verb.export.parity)
    config = frozen_or_composed(verb, changes, "export", trusted_of(verb, own))
    asked = parse_compression(verb.export, formats, str(config.task))
    for line in without_effect(nested, asked):
        log.warning("%s", line)
    OmegaConf.update(config, "overfit", False, force_add=True)  # the validation list belongs to other data
    target = ExportFolder(_folder(verb))
    check_early(config)
    prepare_process(config)
    check_parts(config)
    weights = weights_of(verb)
    report_unfinished(verb)
    outcome = export(config, weights, target, formats, verb.export, asked)
    for line in outcome.lines:
        print(printable(line))
    if outcome.failures:
        raise ExportError(f"the export is refused: {outcome.failures[0]}; see {target.failed / PARITY}")
    print(f"written: {printable(str(target.path))}")
    _store(verb, config, weights, target.path, list(formats))
    return 0


def _store(verb: DictConfig, config: DictConfig, weights: Path, folder: Path, formats: list[str]) -> None:
    """Store the export in W&B where the run has its model there; the export itself is done, whatever W&B does."""
    node = (config.get("logger") or {}).get("wandb")
    if not verb.run_dir or node is None or not node.get("log_model") or os.environ.get("WANDB_MODE") == "disabled":
        return
    from ocrexp.loggers.base import one_line

    options = {str(key): value for key, value in OmegaConf.to_container(node, resolve=True).items()}  # type: ignore[union-attr]
    try:
        from ocrexp.loggers.wandb_export import log_export

        about = {"formats": formats, "checkpoint": weights.name}
        print(f"ocrexp: {printable(log_export(Path(verb.run_dir), weights, folder, options, about))}", file=sys.stderr)
    except Exception as error:  # whatever W&B's client raises
        log.warning("the export is not stored in W&B: %s", one_line(error))


def export(
    config: DictConfig,
    weights: Path,
    target: ExportFolder,
    formats: Sequence[str],
    settings: DictConfig,
    asked: Compression,
) -> ParityResult:
    """Write the formats and their description, check them with the parity gate, and move them to their place.

    Args:
        config: the configuration of the run.
        weights: a .pdparams file.
        target: the folder of the export; a failed export is kept beside it.
        formats: see `parse_formats`.
        settings: the node `export` of the configuration.
        asked: what of it is about compression.
    """
    import paddle

    from ocrexp.assemble import assemble
    from ocrexp.export.describe import checksums, describe_export
    from ocrexp.export.trained import Trained

    paddle.device.set_device("cpu")
    with nothing_done():
        trained = Trained(assemble(config, weights=weights))
    facts = trained.checkpoint()
    log.info(
        "exporting %s%s%s",
        weights,
        f", step {facts['global_step']}" if "global_step" in facts else "",
        ": the averaged weights, by which the run was evaluated" if facts["weights"] == "average" else "",
    )
    description = describe_export(trained, trained.model(), settings.model_name)
    with target.writing() as folder:
        folders = {name: folder_of(folder, name, formats) for name in formats}
        write_formats(trained, description, folders)
        for place in {*folders.values()}:
            replace(description, ocrexp={**(description.ocrexp or {}), "files": checksums(place)}).write(
                place / "inference.yml"
            )
        outcome = compare(trained, folders, settings)
        if asked.judges and not outcome.failures:
            from ocrexp.compress.judged_export import compress_and_judge

            verdict = compress_and_judge(trained, description, folder, folders, asked)
            outcome.failures += verdict.failures
            outcome.lines += verdict.lines
            outcome.report |= {"holds": not outcome.failures, "failures": outcome.failures, "judged": verdict.report}
        state = "failed" if outcome.failures else "holds"
        for place in {*folders.values()}:
            own = {**(description.ocrexp or {}), "parity": state, "files": checksums(place)}
            replace(description, ocrexp=own).write(place / "inference.yml")
        write_finite_json(folder / PARITY, outcome.report)
        (target.set_aside if outcome.failures else target.publish)(folder)
    return outcome


def write_formats(trained: Trained, description: Description, folders: dict[str, Path]) -> None:
    """Write the files of each format into its folder."""
    from ocrexp.export.describe import metadata
    from ocrexp.export.formats import OPSET, write_legacy, write_onnx, write_paddle
    from ocrexp.export.network import InferenceNetwork, input_shape, onnx_opset, trace

    with scratch("export") as traced:
        model = trained.model()
        shape = input_shape(model, trained.config, trained.task)
        paddle_folder = folders.get("paddle", traced)
        if "paddle" in folders or "onnx" in folders:
            began = time.perf_counter()
            write_paddle(trace(InferenceNetwork(model), shape), paddle_folder)
            log.info("paddle format written in %.1f s", time.perf_counter() - began)
        if "legacy" in folders:
            began = time.perf_counter()
            write_legacy(trained, folders["legacy"])
            log.info("legacy format written in %.1f s", time.perf_counter() - began)
        if "onnx" in folders:
            began = time.perf_counter()
            axes = [side or name for side, name in zip(shape, ("batch", "channels", "height", "width"), strict=True)]
            opset = onnx_opset(model, OPSET)
            write_onnx(paddle_folder, folders["onnx"], metadata(description.characters), axes, opset)
            log.info("onnx format written in %.1f s", time.perf_counter() - began)


def compare(trained: Trained, folders: dict[str, Path], settings: DictConfig) -> ParityResult:
    """Run the parity gate on the formats in their folders."""
    from ocrexp.export.parity import Gate
    from ocrexp.export.samples import validation_samples
    from ocrexp.tasks.gate import Rules

    parity = settings.parity
    rules = Rules(
        tolerance=float(parity.tolerance),
        box_iou=float(parity.box_iou),
        metric=float(parity.metric),
        box_thresh=float(trained.config.postprocess.get("box_thresh", 0.0)),
    )
    with scratch("parity") as drawn:
        samples = validation_samples(trained.parts, parity.images, drawn)
        if samples.drawn:
            log.warning("parity is checked on drawn images, without a metric: %s", samples.why)
        return Gate(trained, folders, samples, rules).run()


def _check_parity(parity: DictConfig) -> None:
    images = parity.images
    if images is not None and (not isinstance(images, int) or isinstance(images, bool) or images < 1):
        raise ConfigError(f"export.parity.images: expected 1 or more, or null for all, got {images}")
    for name in ("tolerance", "box_iou", "metric"):
        value = parity[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ConfigError(f"export.parity.{name}: expected a number from 0 to below 1, got {value}")


def _folder(verb: DictConfig) -> Path:
    if verb.export.dir:
        return Path(verb.export.dir)
    return (Path(verb.run_dir) if verb.run_dir else Path.cwd()) / "inference"


def _plain(value: object) -> str | list[str]:
    return value if isinstance(value, str) else [str(item) for item in value]  # type: ignore[attr-defined]
