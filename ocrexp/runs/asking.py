"""A process of its own that answers one question: a JSON object on its standard input, one on its output.

What it does to memory, random numbers, threads and devices ends with it, and so does running out of memory. The process
is started from a file of this package, whose `main` calls `answer`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ERROR = "ocrexp: "


def ask(script: Path, question: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Start the process; it ends with this one."""
    from ocrexp.environment import untouched, with_package
    from ocrexp.processes import owned

    environment = with_package(untouched())
    if threading.current_thread() is threading.main_thread():  # the kernel would end it with the thread that started it
        environment = owned(environment)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(question))
    process.stdin.close()
    process.stdin = None  # communicate() would flush it
    return process


def answer_of(process: subprocess.Popen[str], out: str, err: str, failed: str, killed: str) -> dict[str, Any]:
    """The answer of a process that has ended, from its output.

    Args:
        process: it.
        out, err: what it has printed.
        failed: what failed, for a process that says nothing itself, and what to do: `WHERE: …: {}; …` of its last line.
        killed: the same for one that was killed, of the signal.

    Raises ConfigError or TrainingError with its own line.
    """
    from ocrexp.errors import ConfigError, TrainingError
    from ocrexp.processes import describe_signal

    if process.returncode == 0:
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        return answer
    if process.returncode < 0:
        raise TrainingError(killed.format(describe_signal(-process.returncode)))
    lines = [line for line in err.splitlines() if line.strip()] or [f"exit code {process.returncode}"]
    told = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    if told:
        raise (ConfigError if process.returncode == ConfigError.exit_code else TrainingError)(told[-1])
    raise TrainingError(failed.format(lines[-1]))


def answer(find: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Read the question, print what `find` gives; returns the exit code. For the main function of the process."""
    from ocrexp.processes import StoppedBySignal, end_with_command, stopping

    end_with_command()
    from ocrexp.environment import find_own_modules

    find_own_modules()
    from ocrexp.config.compose import register_resolvers
    from ocrexp.errors import OcrexpError, report_error
    from ocrexp.logs import ignore_paddle_warnings

    ignore_paddle_warnings()
    register_resolvers()
    question = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w")  # libraries that print must not touch the answer
    os.dup2(2, 1)
    try:
        with stopping():
            found = find(question)
    except OcrexpError as error:
        report_error(error)
        return error.exit_code
    except StoppedBySignal as stop:
        return 128 + stop.number
    print(json.dumps(found), file=output, flush=True)
    return 0
