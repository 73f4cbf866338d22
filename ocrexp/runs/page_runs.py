"""What a page shows of each run, beside its row in the table: curves, configuration, log, origin, and pictures."""

from __future__ import annotations

import csv
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp import files
from ocrexp.command_line import command
from ocrexp.config.frozen import RESOLVED
from ocrexp.report.curves import Series, read_series
from ocrexp.runs.catalog import CURVES, RunRecord, typed_overrides
from ocrexp.runs.provenance import read_provenance
from ocrexp.yaml_text import read_config

_IMAGES = re.compile(r"\d+ training images; .*")
_WARNING = re.compile(r"WARNING (.*)")
_LOG_LINES = 30  # warnings of a log that are shown
_CONFUSIONS = 24
PLACES = ("run_dir", "sweep_dir", "hydra", "name")


@dataclass(frozen=True)
class PageRun:
    """A run with what its folder has; what cannot be read is empty.

    `config` is flat, dotted key to text; `images` the log's line about the training images; `confusions` rows of label,
    predicted, count.
    """

    record: RunRecord
    series: dict[str, Series] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    config_text: str = ""
    images: str = ""
    warnings: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    again: str = ""
    confusions: list[list[str]] = field(default_factory=list)


def read_page_run(record: RunRecord) -> PageRun:
    """Read a run folder; never raises for what is missing or damaged in it."""
    folder = record.path
    text = _text(folder / RESOLVED)
    try:
        nested = read_config(text.encode("utf-8", "replace"))
    except ValueError:
        nested = {}
    log = _text(folder / "train.log")
    found = _IMAGES.search(log)
    return PageRun(
        record=record,
        series=_series(folder / CURVES),
        config=flat(nested) if isinstance(nested, dict) else {},
        config_text=text,
        images=found[0] if found else "",
        warnings=list(dict.fromkeys(_WARNING.findall(log)))[:_LOG_LINES],
        provenance=read_provenance(folder) or {},
        again=repeat(folder),
        confusions=_confusions(folder / "plots" / "confusions.csv"),
    )


def flat(values: dict[Any, Any], prefix: str = "") -> dict[str, str]:
    """Nested values by their dotted keys; lists and texts as JSON has them, without the quotes of a text."""
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return found


def differing_config(runs: list[PageRun]) -> list[str]:
    """Keys of the configuration whose value is not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    return [
        key
        for key in keys
        if key.split(".")[0] not in PLACES and len({run.config.get(key) for run in runs}) > 1
    ]  # fmt: skip


def repeat(run_dir: Path) -> str:
    """The command that trains the run again, into a new folder."""
    words = [
        shlex.quote(item)
        for item in typed_overrides(run_dir)
        if item.lstrip("+~").partition("=")[0].split(".")[0] not in ("run_dir", "sweep_dir", "hydra")
    ]
    return " ".join([command("train", {}), *words])


def pictures(run_dir: Path, step: int | None) -> list[Path]:
    """Pictures of predictions beside ground truth: of the best evaluation where they are kept, else the latest."""
    folder = run_dir / "plots" / "predictions"
    try:
        found = sorted(folder.glob("step_*_*.jpg"))
    except OSError:
        return []
    best = [path for path in found if step is not None and path.name.startswith(f"step_{step:07d}_")]
    latest = found[-1].name.rsplit("_", 1)[0] if found else ""
    return best or [path for path in found if path.name.startswith(f"{latest}_")]


def _series(path: Path) -> dict[str, Series]:
    try:
        return read_series(path)
    except (OSError, ValueError):
        return {}


def _text(path: Path) -> str:
    try:
        return files.read_file(path, files.MOST_TEXT).decode("utf-8", "replace")
    except OSError:
        return ""


def _confusions(path: Path) -> list[list[str]]:
    """The most frequent ones: label, predicted, count."""
    try:
        rows = list(csv.reader(_text(path).splitlines()))[1 : _CONFUSIONS + 1]
    except csv.Error:
        return []
    return [row[:3] for row in rows if len(row) >= 3]
