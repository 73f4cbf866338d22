"""`samples.jsonl` of a run folder: what became of each validation image in the best evaluation. Imports no paddle.

The first line has `step`, `images` (of the evaluation; fewer lines follow where `trainer.keep_outcomes` is smaller).
Each further line is one image in the order of the list: `path`, and the values of the metric (see `HasOutcomes`), as

    {"path": "/data/crops/7.jpg", "hits": 0, "of": 1, "label": "TOTAL", "read": "T0TAL", "score": 0.91}
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp.files import read_file, write_text
from ocrexp.results import EvalResult

FILENAME = "samples.jsonl"
_MOST = 1 << 30  # bytes


@dataclass(frozen=True)
class RunSamples:
    """The images of a run's best evaluation, made at `step`, which had `images` of them."""

    step: int
    images: int
    rows: list[dict[str, Any]] = field(default_factory=list)


def write_samples(run_dir: Path, step: int, result: EvalResult) -> None:
    """Replace the file atomically. Raises OSError."""
    lines: list[dict[str, Any]] = [{"step": step, "images": result.images}]
    lines += [{"path": os.path.abspath(one.path), **one.values} for one in result.outcomes]  # noqa: PTH100 - links stay
    write_text(run_dir / FILENAME, "".join(f"{_as_line(line)}\n" for line in lines))


def read_samples(run_dir: Path) -> RunSamples | None:
    """What `write_samples` wrote, without lines that are damaged; None where there is nothing that can be read."""
    try:
        lines = read_file(run_dir / FILENAME, _MOST).decode("utf-8", "replace").split("\n")
        head = json.loads(lines[0])
        step, images = int(head["step"]), int(head["images"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    rows = []
    for line in lines[1:]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("path"), str) and _is_number(row, "hits", "of"):
            rows.append(row)
    return RunSamples(step, images, rows)


def _as_line(values: dict[str, Any]) -> str:
    """Characters as they are; as escapes where one has no UTF-8, as in file names of other systems."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(values, separators=(",", ":"))
    return text


def _is_number(row: dict[str, Any], *names: str) -> bool:
    return all(type(row.get(name)) in (int, float) and math.isfinite(row[name]) for name in names)
