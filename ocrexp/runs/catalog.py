"""Runs by their folders: found from paths, sweeps and patterns, and read without their configurations.

Of each run only small texts are read: `status.json`, the overrides, and the end of `metrics.csv`. A thousand runs take
a second or two.
"""

from __future__ import annotations

import csv
import glob
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrexp import files
from ocrexp.command_line import key_of
from ocrexp.errors import ConfigError, printable
from ocrexp.runs.grid import OVERRIDES
from ocrexp.runs.state import is_run_folder, read_state
from ocrexp.runs.sweep_table import JOB, job_folders
from ocrexp.yaml_text import read_yaml

log = logging.getLogger(__name__)

CURVES = "metrics.csv"
RATE = "train/images_per_second"
_PLACES = ("run_dir", "sweep_dir", "name", "hydra", "logger", "callbacks", "launcher")  # overrides of no effect
_TAIL = 1 << 14  # bytes of metrics.csv
_PLAIN = re.compile(rb"(?:- [\w./=+~,-]+\n)*", re.ASCII)  # a YAML list of plain texts: no parser is needed


@dataclass(frozen=True)
class RunRecord:
    """A run: its folder, a `name` that is unique among those that were asked for, state, status and overrides.

    `overrides` are what was typed to compose it, by key, without those of places and names.
    """

    path: Path
    name: str
    state: str
    status: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    images_per_second: float | None = None


def find_runs(words: Sequence[str]) -> list[Path]:
    """The run folders that paths, folders of runs (a sweep) and patterns with * name, each once, in order.

    Raises ConfigError, in one line, for a word that names none.
    """
    found: dict[Path, None] = {}
    for word in words:
        path = Path(word).expanduser()
        if len(words) > 1 and path.is_file():  # a pattern that the shell has expanded
            log.warning("%s: is a file and not a run; skipped", printable(word))
            continue
        places = [path]
        if not files.exists(path):
            matches = glob.glob(str(path)) if glob.has_magic(word) else []  # noqa: PTH207 - of any root
            places = [Path(place) for place in sorted(matches, key=_natural)]
            if not places:
                raise ConfigError(f"{printable(word)}: not found; expected a run folder, a sweep or a pattern with *")
        if path.is_file():
            raise ConfigError(f"{printable(word)}: is a file; expected a run folder, a sweep or a pattern with *")
        runs = [run for place in places if place.is_dir() for run in _runs_in(place)]
        if not runs:
            raise ConfigError(
                f"{printable(word)}: contains no run (a folder with status.json or .hydra/job.json); name a run folder "
                "or a sweep, such as outputs/sweeps/NAME/DATE_TIME"
            )
        found |= dict.fromkeys(runs)
    if not found:
        raise ConfigError(f"{printable(words[0])}: is a file, as all others; expected a run folder or a sweep")
    return list(found)


def read_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """Read the runs, in the order given."""
    names = _names(folders)
    return [_read(path, name) for path, name in zip(folders, names, strict=True)]


def _runs_in(place: Path) -> list[Path]:
    if is_run_folder(place):
        return [place]
    return sorted(job_folders(place), key=lambda path: _natural(str(path)))


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Sorts `job 10` behind `job 9`."""
    parts: list[tuple[int, int | str]] = []
    for part in "".join(c if c.isdigit() else f"\0{c}\0" for c in text).replace("\0\0", "\0").split("\0"):
        if part:
            parts.append((0, int(part)) if part.isdecimal() and part.isascii() and len(part) < 16 else (1, part))
    return parts


def _names(folders: Sequence[Path]) -> list[str]:
    """The parts of the paths that tell the runs apart: `3` and `4` of a sweep, `lr_a` and `lr_b`."""
    whole = [Path(os.path.abspath(path)) for path in folders]  # noqa: PTH100 - links stay
    if len(whole) < 2:
        return [path.name for path in whole]
    shared = Path(os.path.commonpath(whole))
    return [path.relative_to(shared).as_posix() if path != shared else path.name for path in whole]


def _read(path: Path, name: str) -> RunRecord:
    state = read_state(path)
    overrides = dict(_split(item) for item in typed_overrides(path))
    kept = {key: value for key, value in overrides.items() if key.split(".")[0].split("/")[0] not in _PLACES}
    return RunRecord(path, name, state.state, state.values, kept, _images_per_second(path / CURVES))


def _split(override: str) -> tuple[str, str]:
    return key_of(override), override.partition("=")[2] if "=" in override else "(deleted)"


def typed_overrides(run_dir: Path) -> list[str]:
    """What was typed: by a sweep's job in job.json, by a single run in Hydra's file; [] if both are unreadable."""
    try:
        typed = json.loads(files.read_file(run_dir / JOB, files.MOST_TEXT)).get("overrides")
    except (OSError, ValueError, AttributeError, RecursionError):
        typed = None
    if not typed:
        try:
            content = files.read_file(run_dir / OVERRIDES, files.MOST_TEXT)
            plain = _PLAIN.fullmatch(content)
            typed = [line[2:].decode("utf-8") for line in content.splitlines()] if plain else read_yaml(content)
        except (OSError, ValueError):
            return []
    return [item for item in typed if isinstance(item, str)] if isinstance(typed, list) else []


def _images_per_second(path: Path) -> float | None:
    """The median of the last values in a metrics.csv."""
    try:
        with path.open("rb") as file:
            columns = next(csv.reader([file.readline(_TAIL).decode("utf-8", "replace")]), [])
            at = columns.index(RATE)
            file.seek(max(file.tell(), file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read(_TAIL).decode("utf-8", "replace").split("\n")[:-1]
    except (OSError, ValueError, csv.Error):
        return None
    values = []
    for line in lines:
        cells = line.split(",")
        if len(cells) == len(columns):
            try:
                values.append(float(cells[at]))
            except ValueError:
                continue
    values = sorted(values[-20:])
    return values[len(values) // 2] if values else None
