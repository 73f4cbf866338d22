"""Sends a run's files of W&B with W&B's own command, and asks W&B afterwards whether it has all of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrexp.files import scratch
from ocrexp.loggers.base import one_line
from ocrexp.loggers.wandb_ids import ask
from ocrexp.loggers.wandb_log import JoinedRun, join, write_records
from ocrexp.processes import owned
from ocrexp.runs.state import read_state

_FOLDER = re.compile(r"(?:offline-)?run-(\d{8}_\d{6})-(.+)")
_SENT = ".synced"  # W&B's own mark, beside the file
_ASK = """
query RunRows($entity: String, $project: String, $name: String!) {
    model(name: $project, entityName: $entity) { bucket(name: $name, missingOk: true) { historyLineCount } }
}
"""


@dataclass(frozen=True)
class Upload:
    """One W&B run of a run folder: its files in the order of time, and the `reason` why it is not sent, if any."""

    name: str
    run_id: str
    parts: tuple[Path, ...]
    reason: str | None = None


def uploads_of(run_dir: Path, name: str, again: bool) -> list[Upload]:
    """The W&B runs of a run folder; more than one only where a resume could not read the id of the earlier part."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in run_dir.glob("wandb/*run-*/run-*.wandb"):
        if match := _FOLDER.fullmatch(path.parent.name):
            found.setdefault(match[2], []).append((match[1], path))
    uploads = []
    for run_id, dated in sorted(found.items()):
        parts = tuple(path for _, path in sorted(dated))
        offline = [part for part in parts if part.parent.name.startswith("offline-")]
        reason = None
        if read_state(run_dir).state == "running":
            reason = "it still trains"
        elif not again and not offline:
            reason = "it was online (all=true sends it again)"
        elif not again and all(_mark(part).exists() for part in offline):
            reason = "it was sent before (all=true sends it again)"
        uploads.append(Upload(name, run_id, parts, reason))
    return uploads


def upload(one: Upload, entity: str | None, project: str | None, timeout: float) -> str | None:
    """Send a run; returns None, or in one line why it is not complete at W&B.

    What is sent is a copy in which the parts are joined, so that sending it again changes nothing.
    """
    try:
        joined = join(one.parts)
        with scratch("wandb") as folder:
            file = _copy(one, joined, folder)
            problem = _sync(file, entity, project, timeout)
    except (OSError, ValueError) as error:
        return f"{one.parts[0]}: {getattr(error, 'strerror', None) or error}"
    if problem is not None:
        return problem
    problem = _incomplete(entity or joined.entity, project or joined.project, one.run_id, joined.rows)
    if problem is not None:
        return problem
    for part in one.parts:
        _mark(part).touch()
    return None


def _copy(one: Upload, joined: JoinedRun, folder: Path) -> Path:
    """A folder as W&B's command takes it, with the files of all parts, those of the last one winning."""
    place = folder / one.parts[0].parent.name
    for part in one.parts:
        if (part.parent / "files").is_dir():
            shutil.copytree(part.parent / "files", place / "files", dirs_exist_ok=True)
    place.mkdir(exist_ok=True)
    file = place / one.parts[0].name
    write_records(file, joined.records)
    return file


def _sync(file: Path, entity: str | None, project: str | None, timeout: float) -> str | None:
    command = [sys.executable, "-m", "wandb", "sync", "--include-online"]
    for flag, value in (("--entity", entity), ("--project", project)):
        command += [flag, value] if value else []
    try:
        done = _run([*command, str(file)], timeout)
    except subprocess.TimeoutExpired:
        return f"W&B has not taken it within {timeout:g} s; the same command sends it again (timeout=…)"
    lines = [line.strip() for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()]
    errors = [line for line in lines if "ERROR" in line] or (lines[-1:] if done.returncode else [])
    return _plain(errors[0]) if errors else None


def _incomplete(entity: str, project: str, run_id: str, rows: int) -> str | None:
    """Why W&B does not have all rows of a run; None if it has. W&B's command marks a run as sent in either case."""
    where = "/".join(filter(None, (entity, project, run_id)))
    try:
        answer = ask(_ASK, {"entity": entity or None, "project": project, "name": run_id})
        bucket = answer["model"]["bucket"]
        count = 0 if bucket is None else int(bucket["historyLineCount"] or 0)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"W&B does not say whether {where} is complete ({one_line(error)}); the same command sends it again"
    return f"{where} has {count} of {rows} rows; the same command sends it again" if count < rows else None


def _run(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[bytes]:
    environment = owned(dict(os.environ))
    for name in ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SWEEP_ID", "WANDB_SERVICE", "WANDB_DIR"):
        environment.pop(name, None)  # they are of a run that is logged, not of one that is sent
    with scratch("wandblog") as folder:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, cwd=folder,
            env={**environment, "WANDB_DIR": str(folder)},
        )  # fmt: skip


def _plain(line: str) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", line).removeprefix("wandb:").strip().removeprefix("ERROR").strip()
    return text[:300]


def _mark(part: Path) -> Path:
    return part.with_name(part.name + _SENT)
