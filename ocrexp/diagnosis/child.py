"""What a program says that this Python runs in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_IMPORT_SECONDS = 120


def ask(code: str) -> dict[str, Any]:
    """The JSON object that a program prints last, or {"error": why}."""
    output, why = python_says(code, [])
    lines = output.strip().splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {"error": why}
    return found


def python_says(code: str, arguments: list[str]) -> tuple[str, str]:
    """Output of a program run by this Python in a process of its own, and the last line of its errors."""
    paths = os.pathsep.join(path for path in sys.path if path)
    flags = ["-S"] if sys.flags.no_site else []
    try:
        told = subprocess.run(
            [sys.executable, *flags, "-c", code, *arguments], capture_output=True, text=True, errors="replace",
            timeout=_IMPORT_SECONDS, check=False, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", one_line(error)
    lines = [line.strip() for line in told.stderr.splitlines() if line.strip()]
    return told.stdout, lines[-1] if lines else f"exit code {told.returncode}"


def one_line(error: BaseException) -> str:
    """The text of an error; its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
