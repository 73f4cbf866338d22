"""`status.json`: what has become of a run, for people, sweeps and schedulers. Imports no paddle."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ocrexp.files import read_text, write_json

FILENAME = "status.json"
_WHOLE = ("step", "total_steps", "epoch", "best_step", "parameters", "batch_size")
_NUMBERS = ("best_value", "zero_shot", "val_loss", "seconds", "peak_memory_mb", "peak_gpu_memory_mb", "gmacs")
_TEXTS = ("state", "best_metric", "error", "reason", "updated")
RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
PRUNED = "pruned"  # a search has ended the run early, because others do better
FINISHED = (DONE, PRUNED)  # as intended; a sweep does not run these again


def write_status(run_dir: Path, *, state: str, **values: Any) -> None:
    """Replace the file atomically; values that are not given stay as they were.

    `state` is running, done, pruned, failed or interrupted; others are `step`, `total_steps`, `epoch`, `best_metric`,
    `best_value`, `best_step`, `metrics`, `zero_shot` (the value before the first step), `zero_shot_metrics`, `val_loss`
    (of the last evaluation), `batch_size` (that loader.batch_size=auto has found), `parameters` and `gmacs` (of one
    image) of the model, `notes` (lines about the curves), `seconds`, `peak_memory_mb`, `peak_gpu_memory_mb`, `reason`
    (why a run is done before its last step) and `error` (one line; it is cleared unless given).
    """
    content: dict[str, Any] = {**(read_status(run_dir) or {}), "error": None, **values, "state": state}
    if content["error"] is not None:
        content["error"] = " ".join(str(content["error"]).split())
    content["updated"] = time.strftime("%Y-%m-%d %H:%M:%S")
    write_json(run_dir / FILENAME, content)


def read_status(run_dir: Path) -> dict[str, Any] | None:
    """The content without values of other types than are written, or None if there is none that can be read."""
    try:
        content = json.loads(read_text(run_dir / FILENAME))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return {key: value for key, value in content.items() if _fits(key, value)}


def _fits(key: str, value: Any) -> bool:
    """Whether a value can be of its key; others come from a damaged file or another program."""
    if value is None:
        return key != "state"
    if key in _WHOLE:
        return type(value) is int and abs(value) < 2**53
    if key in _NUMBERS:
        return type(value) in (int, float) and abs(value) < 1e300  # not NaN
    if key in _TEXTS:
        return isinstance(value, str)
    if key == "notes":
        return isinstance(value, list) and all(isinstance(line, str) for line in value)
    return key not in ("metrics", "zero_shot_metrics") or isinstance(value, dict)
