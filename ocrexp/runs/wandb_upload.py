"""Sends a run's files of W&B with W&B's own command, and asks W&B afterwards whether it has all of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrexp.files import read_text, write_json
from ocrexp.folders import scratch
from ocrexp.loggers.base import one_line
from ocrexp.loggers.wandb_ids import ask
from ocrexp.loggers.wandb_log import join, write_records
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

    def kept(self) -> list[int]:
        """Numbers of the parts before which no row may be dropped: W&B has got what is before them as it was.

        That is so behind an online part, and behind one that was sent without the following one.
        """
        found = []
        for number, part in enumerate(self.parts[:-1], start=1):
            mark = _read_mark(part)
            if mark is None:
                as_it_was = not part.parent.name.startswith("offline-")
            else:
                as_it_was = mark.parts <= number or number in mark.kept
            if as_it_was:
                found.append(number)
        return found


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

    W&B appends the rows that it gets to those that it has. It is asked how many these are, and a copy of the run is
    sent in which the parts are joined and these rows are missing: sending it again changes nothing.
    """
    try:
        kept = one.kept()
        joined = join(one.parts, kept)
        whose = entity or joined.entity, project or joined.project, one.run_id
        has = _rows(*whose)
        with scratch("wandb") as folder:
            problem = _sync(_copy(one, joined.after(has), folder), entity, project, timeout)
        if problem is not None:
            return problem
        has = _rows(*whose)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return one_line(error)
    if has < len(joined.rows):
        where = "/".join(filter(None, whose))
        return f"{where} has {has} of {len(joined.rows)} rows at W&B; the same command sends the others"
    for part in one.parts:
        write_json(_mark(part), {"parts": len(one.parts), "kept": kept}, indent=None)
    return None


def _copy(one: Upload, records: list[bytes], folder: Path) -> Path:
    """A folder as W&B's command takes it, with the files of all parts, those of the last one winning."""
    place = folder / one.parts[0].parent.name
    for part in one.parts:
        if (part.parent / "files").is_dir():
            shutil.copytree(part.parent / "files", place / "files", dirs_exist_ok=True)
    place.mkdir(exist_ok=True)
    file = place / one.parts[0].name
    write_records(file, records)
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


def _rows(entity: str, project: str, run_id: str) -> int:
    """How many rows of values W&B has of a run; 0 for one that it does not know. W&B's own command does not report a
    run that has not arrived. Raises as `ask` does, LookupError and TypeError for an answer of another kind."""
    answer = ask(_ASK, {"entity": entity or None, "project": project, "name": run_id})
    bucket = (answer["model"] or {}).get("bucket")
    return 0 if bucket is None else int(bucket["historyLineCount"] or 0)


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


@dataclass(frozen=True)
class _Mark:
    """How many parts were sent together, and the numbers of those before which no row was dropped."""

    parts: int
    kept: list[int]


def _read_mark(part: Path) -> _Mark | None:
    """The mark of a part that was sent, by W&B's own command (an empty file) or by `upload`; None for another part."""
    path = _mark(part)
    if not path.exists():
        return None
    try:
        content = json.loads(read_text(path))
        return _Mark(int(content["parts"]), [int(number) for number in content["kept"]])
    except (OSError, ValueError, LookupError, TypeError):
        return _Mark(0, [])


def _mark(part: Path) -> Path:
    return part.with_name(part.name + _SENT)
