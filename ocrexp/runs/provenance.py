"""Where a run comes from: `environment.json`, written once when it starts. Versions, machine, state of the code.

The code is that of the start folder if it is in a git repository, else that of this package. Nothing of it is executed
when it is read.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrexp import __version__, files
from ocrexp.environment import START_FOLDER, available_cores

FILENAME = "environment.json"
PACKAGES = ("paddlepaddle", "paddlepaddle-gpu", "numpy", "opencv-python", "hydra-core", "shapely", "rapidfuzz")
MOST_DIFF = 100_000  # characters
_PATIENCE = 10  # seconds for git


def write_provenance(run_dir: Path, device: str, data: Mapping[str, str] | None = None) -> None:
    """Write the file, unless the run has one from its first start; `data` is the fingerprint of the data, which
    `check_data.json` has too. Raises OSError."""
    if (run_dir / FILENAME).exists():
        return
    content = {
        "ocrexp": __version__,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "system": platform.platform(),
        "processor": _processor(),
        "cores": available_cores(),
        "device": device,
        "data": dict(data or {}),
        "git": git_state(Path(os.environ.get(START_FOLDER) or Path.cwd()))
        or git_state(Path(__file__).resolve().parent),
    }
    files.write_json(run_dir / FILENAME, content)


def read_provenance(run_dir: Path) -> dict[str, Any] | None:
    """What `write_provenance` wrote; None where it cannot be read."""
    try:
        content = json.loads(files.read_text(run_dir / FILENAME))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def git_state(folder: Path) -> dict[str, Any] | None:
    """`commit`, `branch`, `changed` files and their `diff` of the repository that holds a folder; None without one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD") or ""
    status = _git(folder, "status", "--porcelain", "--untracked-files=normal") or ""
    if len(diff) > MOST_DIFF:
        diff = f"{diff[:MOST_DIFF]}\n… ({len(diff)} characters in all)"
    return {
        "commit": commit.strip(),
        "branch": (_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "changed": status.splitlines()[:200],
        "diff": diff,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git; None where it fails or is missing. A repository of others may not start programs."""
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks")
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *safe, *arguments], capture_output=True, timeout=_PATIENCE, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
