"""`ocrexp eval`: evaluate a run, or a checkpoint file, on a dataset; one line of figures and `eval.json`."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp import files
from ocrexp.annotations import fits
from ocrexp.command_line import key_of
from ocrexp.config.build import build
from ocrexp.config.changes import apply_overrides, split_overrides
from ocrexp.config.check import check_early, check_parts
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import read_frozen, trusted_of
from ocrexp.config.paths import options_of
from ocrexp.config.places import file_to_write, writable
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.files import shortened
from ocrexp.located import located
from ocrexp.logs import show_notices
from ocrexp.report.figures import figures, space_figures
from ocrexp.report.title import data_name
from ocrexp.runs.hooks import prepare_process
from ocrexp.runs.state import not_finished

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.assemble import Parts
    from ocrexp.results import EvalResult
    from ocrexp.tasks.base import Task

SUMMARY = "Evaluate a run or a checkpoint on a data set"
USAGE = """
Usage
  python -m ocrexp eval run_dir=outputs/NAME/DATE_TIME [checkpoint=best|latest|FILE.pdparams] [key=value ...]
  python -m ocrexp eval model=db_mbv3 checkpoint=FILE.pdparams dataset=det_list dataset.root=DIR

Evaluates with the frozen configuration of the run. Overrides change it: another data set (dataset=icdar2015
dataset.root=DIR), other thresholds (postprocess.box_thresh=0.5). Prints one line of figures and writes eval.json."""


log = logging.getLogger(__name__)

REPLACEABLE = ("dataset", "metric", "postprocess", "preprocess", "loader", "callbacks")


def run(arguments: Sequence[str]) -> int:
    """Evaluate; returns 0."""
    setup_hydra()
    show_notices()
    verb_keys = [str(key) for key in compose("eval", [])]
    own, changes = split_overrides(verb_keys, arguments)
    verb = compose("eval", own)
    config = frozen_or_composed(verb, changes, trusted=trusted_of(verb, own))
    if any(key_of(item).partition(".")[0] == "dataset" for item in changes):
        OmegaConf.update(config, "overfit", False, force_add=True)  # other data is evaluated completely, not one batch
    check_early(config)
    prepare_process(config)
    check_parts(config)
    from ocrexp.assemble import assemble
    from ocrexp.data.source import validation_fingerprint
    from ocrexp.engine.distributed import set_device

    pictures = pictures_of(verb)
    weights = weights_of(verb)
    report_unfinished(verb)
    output = file_to_write(Path(verb.output) if verb.output else _folder(verb) / "eval.json", "output")
    folder = _folder(verb) if writable(_folder(verb)) else output.parent  # the run folder may be read-only
    started = time.perf_counter()
    with located("trainer", config.trainer, ConfigError):
        set_device(str(config.trainer.device))
    with nothing_done():
        parts = assemble(config, weights=weights)
        data = validation_fingerprint(parts.source)  # before the evaluation, so that problems of the list come at once
    result = evaluate(parts, pictures=pictures)
    if line := result.noted.line(result.images):
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
    print(printable(f"evaluated {weights} on {data_name(config.dataset)}: {result.images} images"))
    print(figures(result.metrics, str(OmegaConf.select(config, "metric.main", default="accuracy"))))
    if line := space_figures(result.metrics):
        print(line)
    report = {
        "checkpoint": str(weights),
        "metrics": result.metrics,
        "images": result.images,
        "unreadable": result.unreadable,
        "data": data,
        "overrides": changes,
        "postprocess": OmegaConf.to_container(config.postprocess, resolve=True),
        "seconds": round(time.perf_counter() - started, 2),
    }
    if verb.output is None:
        output = put_report(output, report)
    else:
        write_report(output, report)
    if pictures:
        node = OmegaConf.select(config, "callbacks.pictures")
        draw = build(node).draw if node else None
        write_pictures(parts.task, result, pictures, folder / "plots" / output.stem, draw)
    print(f"written: {printable(str(output))}")
    return 0


def pictures_of(verb: DictConfig) -> int:
    """The number of images that `pictures` asks for; false and null: none. Raises ConfigError for other values."""
    value = verb.pictures
    if value is None or value is False:
        return 0
    if not fits(value, int) or value < 0:
        raise ConfigError(f"pictures: expected a whole number, 0 or more, got {value!r}")
    return int(value)


def report_unfinished(verb: DictConfig) -> None:
    """Print the state of a run that is not finished: its checkpoint is not the final one."""
    if verb.run_dir is not None and (line := not_finished(Path(verb.run_dir))) is not None:
        print(f"ocrexp: {printable(line)}", file=sys.stderr)


def put_report(path: Path, report: dict[str, Any]) -> Path:
    """Write the report to `path`, or, if that contains another evaluation, to `eval_2.json`, `eval_3.json`, …

    The same evaluation (weights, data, overrides, metrics) overwrites its own file. Evaluations that end at the same
    time write one file each. Returns the file.
    """
    number, candidate = 1, path
    while not files.write_new(candidate, files.as_json(report)):
        if _same_evaluation(candidate, report):
            files.write_json(candidate, report)
            break
        number += 1
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return candidate


def _same_evaluation(path: Path, report: dict[str, Any]) -> bool:
    try:
        found = json.loads(files.read_file(path))
    except (OSError, ValueError):
        return False
    same = ("checkpoint", "data", "overrides", "postprocess", "metrics", "images")
    plain = json.loads(json.dumps(report))
    return isinstance(found, dict) and all(found.get(key) == plain[key] for key in same)


def frozen_or_composed(
    verb: DictConfig, changes: list[str], name: str = "eval", trusted: Sequence[str] = ()
) -> DictConfig:
    """The run's frozen configuration with the changes, or a new one if there is no run."""
    if verb.run_dir is not None:
        config = read_frozen(Path(verb.run_dir), trusted)
        given = dict(item.partition("=")[::2] for item in changes)
        lists = {given.get("dataset.val_labels", "null"), given.get("dataset.val", "null")}
        if lists != {"null"} and "dataset.val_split" not in given and config.dataset.get("val_split") is not None:
            changes = [
                "dataset.val_split=null",
                *changes,
            ]  # other data, instead of the run's split of its training data
        return apply_overrides(config, changes, replaceable=REPLACEABLE)
    if verb.checkpoint in ("best", "latest"):
        raise ConfigError(
            f"{name}: expected a run or a file; add run_dir=outputs/NAME/DATE_TIME, or checkpoint=FILE and model=…"
        )
    if not any(item.startswith(("model=", "experiment=")) for item in changes):
        raise ConfigError(f"{name}: missing the model of the file; add model={'|'.join(options_of('model'))}")
    return compose("train", changes)


def weights_of(verb: DictConfig) -> Path:
    """The .pdparams file that `checkpoint` names; raises CheckpointError if it does not exist."""
    from ocrexp.engine.find_weights import find_weights

    return find_weights(Path(verb.run_dir) if verb.run_dir else None, str(verb.checkpoint))


def evaluate(parts: Parts, *, pictures: int = 0) -> EvalResult:
    """Evaluate the weights of the parts on their validation lists, and keep images for `pictures` pictures."""
    from ocrexp.data.source import validation_report
    from ocrexp.report.evaluation import SHEET

    for line in [
        *validation_report(parts.source),
        *parts.task.record_lines("val", parts.source.val_records()),
    ]:
        log.warning("%s", line)
    try:
        result = parts.evaluator_with(keep_samples=max(pictures, SHEET) if pictures else 0).run(parts.model)
    finally:
        parts.eval_loader.close()
    for line in parts.task.count_lines("val", result.counts):
        log.warning("%s", line)
    return result


def write_pictures(task: Task, result: EvalResult, limit: int, folder: Path, draw: Any = None) -> None:
    """Draw kept samples, ground truth beside prediction, and the other pictures of the evaluation.

    `draw(sample)` is that of `callbacks.pictures`; None draws as the task does.
    """
    from ocrexp.drawing import write_picture
    from ocrexp.report.evaluation import Captioned

    folder.mkdir(parents=True, exist_ok=True)
    pictures = (
        task.draw_samples(result, limit)
        if draw is None
        else [Captioned(draw(sample), "", Path(sample.path).stem) for sample in result.samples[:limit]]
    )
    for number, drawn in enumerate(pictures):
        write_picture(folder / f"{number:02d}_{shortened(drawn.name)}.jpg", drawn.picture)
    task.write_report(result, folder)
    log.info("pictures: %s", folder)


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically; creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, content)


def _folder(verb: DictConfig) -> Path:
    return Path(verb.run_dir) if verb.run_dir else Path.cwd()
