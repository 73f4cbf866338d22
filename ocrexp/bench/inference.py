"""The part `inference` of `ocrexp bench`: exported models at work, beside PaddleOCR 3.7 and RapidOCR."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp.bench import peers
from ocrexp.bench.peers import ToolProcess, equal_boxes, image_files, in_turn, ocrexp_worker
from ocrexp.errors import ConfigError, OcrexpError

if TYPE_CHECKING:
    from omegaconf import DictConfig

Row = dict[str, Any]
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PEERS = {"paddleocr3": "bench_paddleocr_inference.py", "rapidocr": "bench_rapidocr_inference.py"}


def measure_inference(config: DictConfig, data: Callable[[str, str], Path]) -> list[Row]:
    """Milliseconds of the detector, the recognizer and both together, by stage, backend, threads and batch size.

    Args:
        config: of the bench.
        data: the folder that a key names, or else one of $OCREXP_DATA.

    Raises ConfigError if no model is named, OcrexpError when a model cannot run.
    """
    if not (config.det or config.rec):
        raise ConfigError("what=[inference]: needs exported models; add det=FOLDER, rec=FOLDER or both")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if config.det:
            pages = _pages(config, data, Path(folder))
            rows += _measure(config, "det", pages, None)
        if config.rec:
            lines = image_files(data("lines_root", "sroie_rec/val"))[: config.line_count]
            for size in config.batch_sizes:
                rows += _measure(config, "rec", lines, int(size))
        if config.det and config.rec:
            rows += _measure(config, "system", pages, None)
    return rows


def _pages(config: DictConfig, data: Callable[[str, str], Path], folder: Path) -> list[Path]:
    if config.images:
        return image_files(config.images)[: config.page_count]
    return peers.draw_pages(image_files(data("images", "sroie_det/val_images")), config.page_count, folder)


def _measure(config: DictConfig, task: str, images: Sequence[Path], batch: int | None) -> list[Row]:
    request = {
        "task": task,
        "det": config.det,
        "rec": config.rec,
        "batch": batch or config.batch_sizes[0],
        "drop_score": config.drop_score,
        "det_args": _arguments(config.det_args),
        "rec_args": _arguments(config.rec_args),
    }
    ours: dict[str, ToolProcess] = {}
    peers: dict[str, ToolProcess] = {}
    try:
        for backend in config.backends:
            for threads in config.threads:
                label = f"{backend}, {'all' if threads is None else threads} threads"
                ours[label] = ocrexp_worker({**request, "backend": backend, "threads": threads}, images[0])
        settings = next(iter(ours.values())).settings
        for name, key, extra in (
            ("paddleocr3", "paddleocr3", {}),
            ("paddleocr3 without oneDNN", "paddleocr3", {"onednn": False}),
            ("rapidocr", "rapidocr", {}),
        ):
            if config[key]:
                worker = _peer(key, name, str(config[key]), {**request, **settings, **extra}, images[0])
                if worker is not None:
                    peers[name] = worker
        in_turn([*ours.values(), *peers.values()], images, config.repeats)
        return _rows(task, len(images), batch, ours, peers)
    finally:
        for worker in (*ours.values(), *peers.values()):
            worker.close()


def _arguments(node: DictConfig | None) -> Any:
    return {} if node is None else OmegaConf.to_container(node)


def _peer(key: str, name: str, python: str, request: dict[str, Any], first: Path) -> ToolProcess | None:
    script = SCRIPTS / PEERS[key]
    if not script.is_file():
        raise ConfigError(
            f"{key}: needs scripts/{script.name} of a checkout, which the installed package does not contain"
        )
    try:
        return ToolProcess(name, [python, "-W", "ignore", str(script)], request, first)
    except OcrexpError as error:
        print(f"ocrexp: measured without {name}: {error}", file=sys.stderr)
        return None


def _rows(
    task: str, images: int, batch: int | None, ours: dict[str, ToolProcess], peers: dict[str, ToolProcess]
) -> list[Row]:
    what = {
        "det": "detection, per image",
        "rec": f"recognition, per line, batches of {batch}",
        "system": "detection and recognition, per image",
    }[task]
    plain = peers.get("paddleocr3 without oneDNN")
    beside = {name: peer.figures for name, peer in peers.items() if peer is not plain}
    each = 1000 / images
    rows: list[Row] = []
    for label, worker in ours.items():
        own = worker.figures
        times = {name: figures.median() * each for name, figures in beside.items()}
        rows.append(_row(f"{what}, {label}", "ms", own.median() * each, times))
        rows += [_row(f"  {stage}", "ms", own.stage(stage) * each, {}) for stage in own.stages]
        work = {name: statistics.median(figures.work) * each for name, figures in beside.items()}
        rows.append(_row("  time on a core, of all threads", "ms", statistics.median(own.work) * each, work))
        starts = {name: figures.start for name, figures in beside.items()}
        rows.append(_row("  start to first result", "s", own.start, starts))
        memory = {name: figures.memory_mb for name, figures in beside.items()}
        rows.append(_row("  memory", "MB", own.memory_mb, memory))
        if beside:
            equal = {name: _equal(task, own.results, figures.results) for name, figures in beside.items()}
            rows.append(_row("  equal to ours within a pixel", "%", None, equal))
    if plain is not None:
        rows.append(_row(f"{what}, without oneDNN", "ms", None, {"paddleocr3": plain.figures.median() * each}))
    return rows


def _equal(task: str, ours: list[Any], theirs: list[Any]) -> float:
    """Per cent of boxes (within a pixel), texts, or both together, that are the same."""
    if task == "rec":
        same, every = sum(a[0] == b[0] for a, b in zip(ours, theirs, strict=True)), len(ours)
    elif task == "det":
        same, every = equal_boxes(ours, theirs, tolerance=1.0)
    else:
        same = every = 0
        for a, b in zip(ours, theirs, strict=True):
            found = len(a) + len(b)
            for text in {line[1] for line in a}:
                here, there = ([line[0] for line in lines if line[1] == text] for lines in (a, b))
                both = equal_boxes([here], [there], tolerance=1.0)[0]
                same, found = same + both, found - both
            every += found
    return 100 * same / every if every else 100.0


def _row(what: str, unit: str, ours: float | None, peers: dict[str, float]) -> Row:
    return {"what": what, "ocrexp": ours, "paddleocr": None, "unit": unit, **peers}
