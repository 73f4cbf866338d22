"""The check of the data in a process of its own, which reports each problem as soon as it is found."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ocrexp.data.browsing.found import Found, FoundProblems
from ocrexp.data.checking.kinds import KINDS
from ocrexp.data.checking.plan import DataFindings, DataPlan
from ocrexp.data.checking.problems import Problem
from ocrexp.errors import ConfigError, OcrexpError, printable
from ocrexp.processes import end_with_parent

MOST_PER_KIND = 10_000  # problems of each kind and split with their places; all are counted
_EVERY = 0.3  # seconds between two messages
_MOST_JSON = 1 << 30  # bytes


class CheckProcess:
    """Runs `check_dataset` beside the server. Make it in the main thread, before any other thread.

    Args:
        plan: makes what is checked; called in the process.
        found: gets the problems.
    """

    def __init__(self, plan: Callable[[], DataPlan], found: FoundProblems) -> None:
        self._found = found
        reader, writer = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_check, args=(plan, writer, os.getpid()))
        self._process.start()
        writer.close()
        found.state, found.running = "reads the lists", True
        self._thread = threading.Thread(target=self._listen, args=(reader,), name="check", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def _listen(self, reader: Connection) -> None:
        try:
            while True:
                what, value = reader.recv()
                if what == "problems":
                    self._found.add(value)
                elif what == "counts":
                    self._found.count(value)
                else:
                    self._found.state = value
        except (EOFError, OSError):
            if self._found.state != "done" and not self._found.state.startswith("failed"):
                self._found.state = "failed: the process ended"
        self._found.running = False


def _check(make_plan: Callable[[], DataPlan], writer: Connection, parent: int) -> None:
    """What runs in the process."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(10)
    from ocrexp.data.checking.check import check_dataset

    reporter = _Reporter(writer)
    try:
        plan = make_plan()
        plan.most, plan.heard, plan.progress = MOST_PER_KIND, reporter.hear, reporter.progress
        findings = check_dataset(plan)
        reporter.send(findings)
        writer.send(("state", "done"))
    except OcrexpError as error:
        reporter.flush()
        writer.send(("state", f"failed: {printable(str(error))}"))
    except BrokenPipeError:
        pass


class _Reporter:
    """Collects what is found and sends it a few times per second."""

    def __init__(self, writer: Connection) -> None:
        self._writer = writer
        self._waiting: list[Found] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._sent = time.monotonic()

    def hear(self, problem: Problem) -> None:
        """One problem."""
        place = problem.place
        self._waiting.append(
            Found(problem.kind.name, place.split, place.file, place.line, problem.what, problem.advice)
        )
        self._counts[problem.kind.name, place.split] += 1
        if time.monotonic() - self._sent > _EVERY:
            self.flush()

    def progress(self, total: int, what: str) -> Callable[[str], None]:
        """A progress bar."""
        done = 0
        shown = 0.0

        def advance(name: str) -> None:
            nonlocal done, shown
            done += 1
            if not name:
                self._writer.send(("state", "looks at the labels"))
            elif time.monotonic() - shown > _EVERY:
                shown = time.monotonic()
                self._writer.send(("state", f"opens {what}: {done} of {total}"))

        return advance

    def flush(self) -> None:
        """Send what is waiting."""
        if self._waiting:
            self._writer.send(("problems", self._waiting))
            self._writer.send(("counts", self._counts))
        self._waiting = []
        self._sent = time.monotonic()

    def send(self, findings: DataFindings) -> None:
        """Send the rest, with the numbers of all problems."""
        self.flush()
        self._writer.send(("counts", findings.problems.counts))


def read_report(path: Path, found: FoundProblems, fingerprint: dict[str, str]) -> None:
    """Take the problems from the `check_data.json` of an earlier check.

    Args:
        path: of the file.
        found: gets the problems.
        fingerprint: of the data as it is now.

    Raises ConfigError for a file that cannot be read or is not such a report.
    """
    wrong = f"report={printable(str(path))}: expected the check_data.json of check-data"
    try:
        if path.stat().st_size > _MOST_JSON:
            raise ConfigError(f"{wrong}, got a file of {path.stat().st_size >> 20} MB")
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        problems = [
            Found(str(one["kind"]), str(one["split"]), str(one["file"]), int(one["line"] or 0), str(one["what"]),
                  str(one["advice"]))
            for one in values["problems"] if one["kind"] in KINDS
        ]  # fmt: skip
        counts = Counter({
            (kind, split): int(row[split])
            for kind, row in values["counts"].items() if kind in KINDS for split in ("train", "val") if split in row
        })  # fmt: skip
        checked = {str(key): str(value) for key, value in values["fingerprint"].items()}
    except OSError as error:
        raise ConfigError(
            f"report={printable(str(path))}: cannot be read ({error.strerror}); correct the path"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{wrong}; run check-data, and name the file that it writes") from None
    found.add(problems)
    found.count(counts)
    same = all(fingerprint[key] == value for key, value in checked.items() if key in fingerprint)
    found.state = "done" if same else "done, but the data has changed since this report was written"
