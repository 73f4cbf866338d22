"""paddle's launcher in a process that ends with the command, and that keeps a record of how each rank ended.

python -m ocrexp.engine.launcher RECORD paddle.distributed.launch [its arguments]

paddle's launcher itself lives on when the command that started it is killed, and names the lowest of the ranks that
have failed when it looks, which is every two seconds: mostly a rank that lost its connection, not the one that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ocrexp.processes import end_with_command, owned

_SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True)
class RankEnd:
    """How a rank ended: `code` is its exit code, or minus the number of the signal that killed it."""

    rank: int
    log: str  # name of its log file
    code: int


def read_ends(record: Path) -> list[RankEnd]:
    """The ranks that have ended, in the order in which they did; of those that ended at once, killed ones first."""
    if not record.is_file():
        return []
    return [RankEnd(**json.loads(line)) for line in record.read_text().splitlines()]


class _Recorder:
    def __init__(self, record: Path) -> None:
        self._record = record
        self._running: list[tuple[int, str, subprocess.Popen[Any]]] = []
        self._started = 0
        self._lock = threading.Lock()

    def add(self, rank: int, process: subprocess.Popen[Any]) -> None:
        self._running.append((rank, f"workerlog.{self._started}", process))  # paddle numbers them on each machine
        self._started += 1

    def look(self) -> None:
        with self._lock:
            ended = [RankEnd(rank, log, code) for rank, log, one in self._running if (code := one.poll()) is not None]
            if not ended:
                return
            self._running = [entry for entry in self._running if entry[2].returncode is None]
            with self._record.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(end)) + "\n" for end in sorted(ended, key=lambda end: end.code))

    def keep_looking(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # a full disk: the launcher's own word has to do
                self.look()
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def main() -> None:
    """Run paddle's launcher; ends with its exit code."""
    end_with_command()
    os.environ.update(owned({}))  # the ranks inherit it: they end with this process
    recorder = _Recorder(Path(sys.argv[1]))

    class Recorded(subprocess.Popen):  # paddle starts ranks in two places, both of them so
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            rank = (more.get("env") or {}).get("PADDLE_TRAINER_ID", "")
            if rank.isdigit():
                recorder.add(int(rank), self)

    subprocess.Popen = Recorded  # type: ignore[misc]
    threading.Thread(target=recorder.keep_looking, daemon=True).start()
    sys.argv = sys.argv[2:]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__")
    finally:
        with contextlib.suppress(OSError):
            recorder.look()


if __name__ == "__main__":
    main()
