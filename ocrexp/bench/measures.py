"""One function a measure of `ocrexp bench`; each gives rows of the table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp import environment
from ocrexp.errors import ConfigError, OcrexpError

if TYPE_CHECKING:
    from omegaconf import DictConfig

Row = dict[str, Any]  # what, ocrexp, paddleocr (None where not measured), unit; of inference paddleocr3, rapidocr too
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
REC_BATCH = 64  # images per step of a recognizer, as in conf/task/rec.yaml
TINY = (
    "debug=fast", "dataset.train_pages=8", "dataset.val_pages=2", "dataset.size=160", "augment.warp.size=[96,96]",
    "model.neck.out_channels=24", "callbacks=none", "preprocess.resize.limit_side_len=96",
    "preprocess.resize.limit_type=max",
)  # fmt: skip


def measure_pipeline(config: DictConfig) -> list[Row]:
    """Images per second of one worker: PaddleOCR's det_mv3_db recipe (flip, rotation, scale, crop 640², all maps)."""
    from ocrexp.bench.pipeline import det_mv3_db_pipeline, time_pipeline
    from ocrexp.tasks.find import find_task

    root = _lists(config)
    timing = time_pipeline(
        det_mv3_db_pipeline(root, config.labels), find_task("det").collate_train, config.repeats
    ).as_dict()
    peer = _paddleocr(config, "bench_paddleocr_pipeline.py", "--root", str(root), "--labels", str(config.labels))
    theirs = peer.get("images_per_second")
    return [_row("data pipeline, one worker", timing["images_per_second"], theirs, "images/s")]


def measure_rec_pipeline(config: DictConfig) -> list[Row]:
    """Images per second of one worker: RecAug with PaddleOCR's probabilities, resize and labels, of the same images."""
    from ocrexp.bench.pipeline import rec_pipeline, time_pipeline
    from ocrexp.tasks.find import find_task

    root = _lists(config, "rec_root", "sroie_rec")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "list.txt"
        lines = (root / config.rec_labels).read_bytes().splitlines(keepends=True)
        labels.write_bytes(b"".join(lines[: config.rec_images]))
        for height, width in ((32, 320), (48, 320)):
            pipeline = rec_pipeline(root, str(labels), (height, width))
            timing = time_pipeline(pipeline, find_task("rec").collate_train, config.repeats, 64).as_dict()
            peer = _paddleocr(
                config, "bench_paddleocr_rec_pipeline.py", "--root", str(root), "--labels", str(labels),
                "--shape", str(height), str(width), "--passes", str(config.repeats),
            )  # fmt: skip
            what = f"text pipeline with RecAug, {height}×{width}, one worker"
            rows.append(_row(what, timing["images_per_second"], peer.get("images_per_second"), "images/s"))
    return rows


def measure_shards(config: DictConfig) -> list[Row]:
    """Images per second of one worker without augmentation, and seconds of the start: a list, and shards of its
    images."""
    from ocrexp.bench.shards import time_shards
    from ocrexp.tasks.find import find_task

    root = _lists(config, "rec_root", "sroie_rec")
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "list.txt"
        lines = (root / config.rec_labels).read_bytes().splitlines(keepends=True)
        labels.write_bytes(b"".join(lines[: config.rec_images]))
        place = Path(folder) / "shards"
        place.mkdir()
        collate = find_task("rec").collate_train
        timings = time_shards(root, str(labels), (32, 320), place, collate, config.repeats)
    return [
        *(_row(f"{name}, one worker", one.images_per_second, None, "images/s") for name, one in timings.items()),
        *(_row(f"{name}, start", one.start_seconds, None, "s") for name, one in timings.items()),
    ]


def _lists(config: DictConfig, key: str = "root", usual: str = "icdar2015_det") -> Path:
    if config[key]:
        return Path(config[key])
    if data := os.environ.get("OCREXP_DATA"):
        return Path(data) / usual
    raise ConfigError(f"it is timed on real images; add {key}=FOLDER, or set OCREXP_DATA to a folder with {usual}")


def measure_step(config: DictConfig) -> list[Row]:
    """Seconds of a training step of det_mv3_db, batch 8 at 640²: tuned, and as paddle comes."""
    from ocrexp.bench.step import time_training_step

    tuned = time_training_step(steps=config.repeats)
    plain = time_training_step(steps=1, tuned=False)
    return [
        _row("training step, db_mbv3, batch 8 at 640²", tuned.seconds, None, "s"),
        _row("the same without cpu_tuning", plain.seconds, None, "s"),
        _row("memory of the step, tuned", tuned.peak_memory / 1e6, None, "MB"),
    ]


def measure_rec_step(config: DictConfig) -> list[Row]:
    """Images per second of training steps of rec_mv3_none_bilstm_ctc, batch 64: tuned, as paddle comes, and
    PaddleOCR's.

    Each figure is the median over `repeats` rounds, in which all three are measured in turn.
    """
    from ocrexp.bench.step import time_training_step

    if config.paddleocr and not config.paddleocr_source:
        print(
            "ocrexp: rec_step is measured without PaddleOCR, because its wheel does not contain the networks; "
            "add paddleocr_source=FOLDER, a checkout of its release 2.10.0",
            file=sys.stderr,
        )
    rows = []
    for height, width in ((32, 100), (32, 320)):
        figures: dict[str, list[float]] = {"tuned": [], "plain": [], "paddleocr": []}
        for _ in range(config.repeats):
            for name in ("tuned", "plain"):
                timing = time_training_step(
                    task="rec", batch_size=REC_BATCH, image_size=(height, width), steps=3, tuned=name == "tuned"
                )
                figures[name].append(timing.images_per_second)
            if config.paddleocr and config.paddleocr_source:
                peer = _paddleocr(
                    config, "bench_paddleocr_rec_step.py", "--source", str(config.paddleocr_source),
                    "--batch", str(REC_BATCH), "--shape", str(height), str(width), "--steps", "3",
                )  # fmt: skip
                figures["paddleocr"].append(peer["images_per_second"])
        middle = {name: statistics.median(values) for name, values in figures.items() if values}
        what = f"training, crnn_mbv3, batch {REC_BATCH} at {height}×{width}"
        rows.append(_row(what, middle["tuned"], middle.get("paddleocr"), "images/s"))
        rows.append(_row("the same without cpu_tuning", middle["plain"], None, "images/s"))
    return rows


def measure_metric(config: DictConfig) -> list[Row]:
    """Milliseconds an image of 50 × 50 boxes."""
    from ocrexp.bench.metric import time_metric

    del config
    return [_row("metric, 50 × 50 boxes", time_metric()["metric_ms"], None, "ms")]


def measure_postprocess(config: DictConfig) -> list[Row]:
    """Milliseconds an image of 50 boxes at 736×1280."""
    from ocrexp.bench.postprocess import time_postprocess

    ours = time_postprocess()
    peer = _paddleocr(config, "bench_paddleocr_postprocess.py").get("paddleocr", {})
    return [
        _row("DB postprocess, 50 quads", ours["quad_fast_ms"], peer.get("quad_fast_ms"), "ms"),
        _row("DB postprocess, 50 polygons", ours["poly_fast_ms"], peer.get("poly_fast_ms"), "ms"),
    ]


def measure_start(config: DictConfig) -> list[Row]:
    """Seconds from the start of the process to its first step, to the help page, and to a config error."""
    with tempfile.TemporaryDirectory() as folder:
        _process(folder, *TINY)  # draws the pages
        first = _median(config.repeats, lambda: _until_first_step(folder))
        help_page = _median(config.repeats, lambda: _process(folder, "--help"))
        error = _median(config.repeats, lambda: _process(folder, "optim.lrr=1", code=2))
    return [
        _row("process start to first step", first, None, "s"),
        _row("--help", help_page, None, "s"),
        _row("a config error", error, None, "s"),
    ]


def measure_memory(config: DictConfig) -> list[Row]:
    """Peak memory of a run with two workers, batch 8 at 640² (main process and workers together)."""
    del config
    with tempfile.TemporaryDirectory() as folder:
        _process(
            folder, "run_dir=run", "dataset.train_pages=32", "dataset.val_pages=2", "loader.num_workers=2",
            "trainer.max_epochs=1", "trainer.limit_train_batches=4", "callbacks=none",
        )  # fmt: skip
        status = json.loads((Path(folder) / "run" / "status.json").read_text())
    return [_row("memory of a run, 2 workers, batch 8 at 640²", status["peak_memory_mb"], None, "MB")]


def measure_inference(config: DictConfig) -> list[Row]:
    """Exported models at work: see `bench.inference`."""
    from ocrexp.bench import inference

    return inference.measure_inference(config, lambda key, usual: _lists(config, key, usual))


MEASURES: dict[str, Callable[[Any], list[Row]]] = {
    "pipeline": measure_pipeline,
    "rec_pipeline": measure_rec_pipeline,
    "shards": measure_shards,
    "step": measure_step,
    "rec_step": measure_rec_step,
    "metric": measure_metric,
    "postprocess": measure_postprocess,
    "start": measure_start,
    "memory": measure_memory,
    "inference": measure_inference,
}


def _row(what: str, ours: float, paddleocr: float | None, unit: str) -> Row:
    return {"what": what, "ocrexp": ours, "paddleocr": paddleocr, "unit": unit}


def _median(repeats: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(repeats))


def _process(folder: str, *arguments: str, code: int = 0) -> float:
    """Run ocrexp in a folder; returns its seconds. Raises OcrexpError with its last line where it ends otherwise."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "ocrexp", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != code:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise OcrexpError(f"the measured run ended with exit code {done.returncode}: {lines[-1]}")
    return time.perf_counter() - started


def _until_first_step(folder: str) -> float:
    command = [sys.executable, "-m", "ocrexp", *TINY]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 1/"):
                seconds = time.perf_counter() - started
                process.stderr.read()
                return seconds
    raise OcrexpError("the measured run ended before its first step")


def _paddleocr(config: DictConfig, script: str, *arguments: str) -> dict[str, Any]:
    """What a script of `scripts/` measures with the Python of an environment that has PaddleOCR; {} without one."""
    if not config.paddleocr:
        return {}
    path = SCRIPTS / script
    if not path.is_file():
        raise ConfigError(
            f"paddleocr: needs scripts/{script} of a checkout, which the installed package does not contain"
        )
    done = subprocess.run(
        [str(config.paddleocr), "-W", "ignore", str(path), *arguments],
        env=environment.untouched(),  # what makes our processes faster is not to be lent to it
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise OcrexpError(f"{script} with {config.paddleocr} failed: {last}")
    return dict(json.loads(done.stdout[done.stdout.index("{") :]))
