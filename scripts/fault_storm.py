"""Kills commands at random instants and cuts saves off at each file operation; reports what was lost.

    python scripts/fault_storm.py                                     # 200 kills, 800 crash points
    python scripts/fault_storm.py --kills 6 --crash-points 60 --kinds single drawing

Tiny runs of each kind are killed with SIGKILL and taken up again until they are done: `single` (a run), `ranks` (two
processes; the command, its launcher or a rank is killed), `sweep` (the command of a sweep), `job` (a job of a sweep),
`export` and `drawing`. After each kill nothing of the command may still run; each end must equal that of a run that
was never killed, bit for bit. crash_points.py tries every file operation of a save. Exit code 1 if anything failed: the
folders of the kinds that failed are kept then, and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ocrexp.errors import OcrexpError  # noqa: E402 - of this checkout
from ocrexp.weights.reader import read_optimizer, read_parameters  # noqa: E402 - of this checkout

MARK = "OCREXP_FAULT_STORM"  # in the environment of everything that a command starts
TINY = [
    "model=db_mbv3", "model.backbone.scale=0.35", "model.neck.out_channels=16", "dataset=det_list",
    "preprocess.resize.limit_side_len=64", "preprocess.resize.limit_type=max", "augment.warp.size=[64,64]",
    "trainer.device=cpu", "loader.eval_batch_size=2", "loader.num_workers=1", "trainer.max_epochs=3",
    "trainer.save_every_steps=1", "trainer.log_every_steps=1", "callbacks=none",
]  # fmt: skip
SECONDS_TO_END = 15.0


class Kind(ABC):
    """A kind of command: how it starts, how it is taken up again, and what its end is."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.data = data
        self.out = folder / "out"

    @abstractmethod
    def command(self) -> list[str]:
        """The arguments that start it, or take it up where a kill left it."""

    @abstractmethod
    def end(self) -> str:
        """What it made, as a digest."""

    def victims(self, command: int) -> list[int]:
        """Processes that may be killed."""
        return [command]

    def clean(self) -> list[str]:
        """What is left behind at the end and should not be."""
        return [str(path) for path in self.folder.rglob(".*") if path.name.endswith((".tmp", ".part", ".old"))]

    def is_whole(self) -> bool:
        """Whether a command that was killed had made everything, so that it is not to be started again."""
        return False

    def again(self) -> None:
        """Forget all, for the next round."""
        shutil.rmtree(self.out, ignore_errors=True)


class Single(Kind):
    """A run in one process."""

    overrides: Sequence[str] = ("loader.batch_size=2",)

    def command(self) -> list[str]:
        if any((self.out / "checkpoints").glob("*.pdstates")):
            return ["resume", f"run_dir={self.out}"]
        shutil.rmtree(self.out, ignore_errors=True)
        return [*TINY, *self.overrides, f"dataset.root={self.data}", f"run_dir={self.out}"]

    def end(self) -> str:
        return digest_of_run(self.out)


class Ranks(Single):
    """A run in two processes."""

    overrides = ("loader.batch_size=1", "trainer.devices=2")

    def victims(self, command: int) -> list[int]:  # noqa: ARG002 - any of them
        return [pid for pid in marked(self.folder) if b"multiprocessing" not in command_line(pid)]


class Sweep(Kind):
    """A sweep of two jobs; the command is killed."""

    def command(self) -> list[str]:
        return ["-m", *TINY, "loader.batch_size=2", f"dataset.root={self.data}", "seed=0,1", f"sweep_dir={self.out}"]

    def end(self) -> str:
        return " ".join(digest_of_run(self.out / number) for number in ("0", "1"))


class Job(Sweep):
    """A sweep of two jobs; one of them is killed, and the command then goes on and reports it."""

    def victims(self, command: int) -> list[int]:
        """The processes that hold the lock of a job's folder; a forked one has the command line of the warm process."""
        owners = {owner_of(path) for path in self.out.glob("*/.lock")}
        return [pid for pid in marked(self.folder) if pid != command and pid in owners]


class Export(Kind):
    """An export of a finished run over an earlier one."""

    def command(self) -> list[str]:
        run_dir = self.folder / "run"
        if not (run_dir / "checkpoints" / "best_accuracy.pdstates").exists():
            shutil.rmtree(run_dir, ignore_errors=True)
            arguments = [*TINY, "loader.batch_size=2", f"dataset.root={self.data}", f"run_dir={run_dir}"]
            start(arguments, self.folder).wait()
        return ["export", f"run_dir={run_dir}", f"export.dir={self.out}", "export.parity.images=1"]

    def end(self) -> str:
        files = sorted(path for path in self.out.iterdir() if path.suffix in (".json", ".pdiparams"))
        return digest([path for path in files if path.name != "parity.json"])

    def again(self) -> None:
        """The earlier export stays: it must be there after each kill."""


class Drawing(Kind):
    """A drawn data set."""

    def command(self) -> list[str]:
        return ["synth", f"out={self.out}", "dataset.train_pages=12", "dataset.val_pages=4", "dataset.workers=2"]

    def is_whole(self) -> bool:
        """The folder appears at once, and a second drawing does not write into it."""
        return self.out.exists()

    def end(self) -> str:
        return digest(sorted(self.out.rglob("*.jpg")) + sorted(self.out.glob("*.txt")))


KINDS: dict[str, type[Kind]] = {
    "single": Single, "ranks": Ranks, "sweep": Sweep, "job": Job, "export": Export, "drawing": Drawing,
}  # fmt: skip


def digest(paths: list[Path]) -> str:
    """Of the files' contents, in order."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def digest_of_run(run_dir: Path) -> str:
    """Of the weights, the optimizer and the loss of each step; fails where the run is not done."""
    status = json.loads((run_dir / "status.json").read_text())
    if status["state"] != "done":
        raise RuntimeError(f"{run_dir} is {status['state']}: {status.get('error')}")
    header, *rows = (run_dir / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("train/loss")
    losses = ",".join(row.split(",")[column] for row in rows)
    whole = hashlib.sha256(losses.encode())
    for name in ("latest", "best_accuracy"):
        _add(whole, read_parameters(run_dir / "checkpoints" / f"{name}.pdparams"))
    _add(whole, read_optimizer(run_dir / "checkpoints" / "latest.pdopt"))
    return whole.hexdigest()[:16]


def _add(whole: hashlib._Hash, values: dict[str, Any]) -> None:
    """Names and arrays; the files' bytes also tell in which order they were written."""
    for name in sorted(values):
        whole.update(name.encode())
        if isinstance(values[name], dict):
            _add(whole, values[name])
        else:
            whole.update(np.ascontiguousarray(values[name]).tobytes())


def start(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Run ocrexp with the mark of `folder` in its environment; its output is added to `folder/log`."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, MARK: str(folder), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment |= {"FLAGS_paddle_num_threads": "1", "TMPDIR": str(folder / "temporary")}
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-m", "ocrexp", *arguments]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)


def marked(folder: Path) -> list[int]:
    """Processes that a command has started, itself included, and that have not ended."""
    wanted = f"{MARK}={folder}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes() + b"\0":
                    found.append(int(entry.name))
            except OSError:  # it has ended, or is somebody else's
                continue
    return found


def owner_of(lock: Path) -> int:
    """The process that holds a lock; 0 where the file is gone."""
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError, LookupError):
        return 0


def command_line(pid: int) -> bytes:
    """As the system has it; empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Storm:
    """Counts kills and collects what went wrong."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kills = 0
        self.ends = 0
        self.failures: list[str] = []

    def run(self, name: str, kind: Kind, kills: int) -> None:
        """Kill and resume until the number of kills is reached, and once more to the end."""
        command = kind.command()
        began = time.monotonic()
        if code := start(command, kind.folder).wait():
            self.failures.append(f"{name}: exit code {code} without any kill")
            return
        seconds = time.monotonic() - began
        expected = kind.end()
        kind.again()
        until, most = self.kills + kills, len(self.failures) + 20
        while kills and len(self.failures) < most:
            done = self.kills < until and self._is_done(name, kind, seconds)
            if not done and self.kills < until:
                continue
            if not done and (code := start(kind.command(), kind.folder).wait()):
                self.failures.append(f"{name}: exit code {code} after kills")
            self._check_end(name, kind, expected)
            if self.kills >= until:
                return
            kind.again()

    def _check_end(self, name: str, kind: Kind, expected: str) -> None:
        self.ends += 1
        try:
            end = kind.end()
        except (OSError, RuntimeError, ValueError, OcrexpError) as error:
            end = f"{type(error).__name__}: {error}"
        if end != expected:
            self.failures.append(f"{name}: the end is {end}, without kills {expected}")
        self.failures += [f"{name}: left behind: {path}" for path in kind.clean()]

    def _is_done(self, name: str, kind: Kind, seconds: float) -> bool:
        """Start it and kill it at a random instant; whether it had ended before, or reports what it may not."""
        process = start(kind.command(), kind.folder)
        deadline = time.monotonic() + self.random.uniform(0.1, 1.0) * seconds
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        victims = [] if process.poll() is not None else kind.victims(process.pid)
        if victims:
            victim = self.random.choice(victims)
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:  # it ended in this moment
                victims = []
        code = process.wait()
        if not victims:
            if code:
                self.failures.append(f"{name}: exit code {code} on its own")
            return True
        self.kills += 1
        if self.kills % 10 == 0:
            say(f"{name}: {self.kills} kills, {self.ends} ends, {len(self.failures)} failures so far")
        self._orphans(name, kind)
        if name == "export" and not (kind.out / "inference.yml").is_file():
            self.failures.append("export: the earlier export is gone after a kill")
        return code == 0 or kind.is_whole()

    def _orphans(self, name: str, kind: Kind) -> None:
        end = time.monotonic() + SECONDS_TO_END
        while (left := marked(kind.folder)) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in left:
            self.failures.append(f"{name}: an orphan is left: {command_line(pid).decode(errors='replace')}")
            os.kill(pid, signal.SIGKILL)


def draw_data(folder: Path) -> Path:
    """A list of a few images with a word each."""
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        lines = []
        for number in range(count):
            image = rng.integers(180, 255, (96, 128, 3), dtype=np.uint8)
            cv2.putText(image, "WORD", (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 3)
            cv2.imwrite(str(folder / f"{split}_{number}.png"), image)
            label = json.dumps([{"transcription": "WORD", "points": [[6, 14], [100, 14], [100, 46], [6, 46]]}])
            lines.append(f"{split}_{number}.png\t{label}\n")
        (folder / f"{split}_list.txt").write_text("".join(lines))
    return folder


def main() -> int:
    """Run the storm; returns 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs over all kinds (200)")
    parser.add_argument("--crash-points", type=int, default=800, help="cut-off saves (800)")
    parser.add_argument(
        "--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="which commands are killed"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the instants (0)")
    options = parser.parse_args()
    storm, began = Storm(options.seed), time.monotonic()
    points, lost = 0, []
    place = Path(tempfile.mkdtemp(prefix="fault-storm-"))
    if options.crash_points:
        from crash_points import crash

        logging.disable(logging.WARNING)  # what a load passes over is what is tried here
        points, lost = crash(place / "saves", options.crash_points)
        say(f"{points} crash points of saves: {len(lost)} lost, {time.monotonic() - began:.0f} s")
    if options.kills:
        data = draw_data(place / "data")
        for number, name in enumerate(options.kinds):
            share = options.kills // len(options.kinds) + (number < options.kills % len(options.kinds))
            kind = KINDS[name](place / name, data)
            kind.folder.mkdir()
            kills, failures, ends, seconds = storm.kills, len(storm.failures), storm.ends, time.monotonic()
            storm.run(name, kind, share)
            kills, failures, ends = storm.kills - kills, len(storm.failures) - failures, storm.ends - ends
            say(f"{name}: {kills} kills, {ends} ends, {failures} failures, {time.monotonic() - seconds:.0f} s")
            if not failures:
                shutil.rmtree(kind.folder)
    found = [*lost, *storm.failures]
    for failure in found:
        print(failure)
    if found:
        print(f"The folders and logs of what failed are kept in {place}")
    else:
        shutil.rmtree(place)
    verdict = "FAULTS" if found else "nothing lost, no orphan left, bit-equal ends"
    seconds = time.monotonic() - began
    say(f"{storm.kills} kills, {points} crash points, {storm.ends} ends in {seconds:.0f} s: {verdict}")
    return int(bool(found))


def say(line: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
