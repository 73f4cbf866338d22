"""A sweep that is killed twice and continued: every job is done once, and what failed is failed everywhere.

    python scripts/sweep_storm.py FOLDER            # FOLDER does not exist yet
    python scripts/sweep_storm.py FOLDER --launcher slurm_local

Twelve tiny jobs and one that fails by design (its learning rate is 1e30) run two at a time. The command is killed with
SIGKILL while jobs run, the same command continues, a job is killed, and the same command continues once more. Then the
exit codes, the starts of each job, the steps in its metrics.csv, the table, `compare`, `report` and the offline files
of Weights & Biases are compared with what they must be. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fault_storm import MARK, TINY, draw_data, marked  # noqa: E402 - of this folder

JOBS = 12
SPLIT = 1e30  # a learning rate with which the weights become infinite in the first steps
STEPS = 4


class Sweep:
    """The command of the sweep, and what is in its folder."""

    def __init__(self, folder: Path, launcher: str) -> None:
        self.folder = folder / "sweep"
        self.log = folder / "log"
        self._place = folder
        rates = [*(f"{1e-3 * (number + 1):.3g}" for number in range(JOBS // 2)), f"{SPLIT:g}"]
        rates += [f"{1e-3 * (number + 1):.3g}" for number in range(JOBS // 2, JOBS)]
        self.rates = rates
        self._command = [
            sys.executable, "-m", "ocrexp", "-m", *TINY, f"dataset.root={draw_data(folder / 'data')}",
            "loader.num_workers=0", "loader.batch_size=3", f"trainer.max_epochs={STEPS // 2}", "logger=wandb",
            "logger.wandb.mode=offline", f"launcher={launcher}", "launcher.n_jobs=2", f"sweep_dir={self.folder}",
            f"optim.lr={','.join(rates)}",
        ]  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command, or continue what an earlier one has left."""
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, MARK: str(self._place), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, env=environment, cwd=self._place)

    def status(self, job: int) -> dict[str, Any]:
        """A job's status.json; empty where there is none."""
        try:
            return json.loads((self.folder / str(job) / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def states(self) -> list[str]:
        """Of all jobs, in order."""
        return [str(self.status(job).get("state", "not run")) for job in range(len(self.rates))]

    def at_work(self) -> int | None:
        """A job that has made a step and can be resumed, and still runs."""
        for job, state in enumerate(self.states()):
            saved = (self.folder / str(job) / "checkpoints" / "latest.pdstates").is_file()
            if state == "running" and saved and self.rates[job] != f"{SPLIT:g}":
                return job
        return None

    def starts(self, job: int) -> list[str]:
        """The starts of a job as the commands have printed them: starts or resumes."""
        return re.findall(rf"ocrexp: job {job} \(.*?\) (?:.*; |attempt .*: )?(starts|resumes) in", self.log.read_text())


def ocrexp(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of another verb."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ocrexp", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    return done.returncode, done.stdout + done.stderr


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 600) -> Any:
    """Wait until something holds while the command runs; returns its value."""
    end = time.monotonic() + seconds
    while (found := condition()) in (None, False):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the command ended too early ({process.poll()}) or nothing happened; see its log")
        time.sleep(0.01)
    return found


def wandb_ends(run_dir: Path) -> list[int]:
    """The exit codes in a job's offline files of Weights & Biases, one per start that came to an end."""
    from wandb.proto import wandb_internal_pb2

    codes = []
    for path in sorted(run_dir.glob("wandb/offline-run-*/*.wandb")):
        for content in log_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "exit":
                codes.append(record.exit.exit_code)
    return codes


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log behind 7 bytes, in blocks of 32 KB: crc (4), length (2), type (1), data.

    Type 1 is a whole record, 2 a first, 3 a middle and 4 a last part.
    """
    parts, position = b"", 7
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


class Checks:
    """Counts what was compared, and keeps what differs."""

    def __init__(self) -> None:
        self.made = 0
        self.faults: list[str] = []

    def __call__(self, what: str, found: Any, expected: Any) -> None:
        """Compare two values."""
        self.made += 1
        if found != expected:
            self.faults.append(f"{what}: {found!r}, expected {expected!r}")


def main() -> int:
    """Run the storm; returns 0 if everything is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for the data, the sweep and the log")
    parser.add_argument("--launcher", default="joblib", help="joblib (default) or another one with n_jobs")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True)
    sweep, check, began = Sweep(folder, options.launcher), Checks(), time.monotonic()
    bad = sweep.rates.index(f"{SPLIT:g}")

    command = sweep.start()
    first = until(lambda: sweep.states().count("done") >= 3 and sweep.at_work(), command)
    command.kill()
    command.wait()
    killed_after, gone = sweep.states(), time.monotonic()
    while left := marked(folder):
        if time.monotonic() - gone > 15:
            break
        time.sleep(0.05)
    check("processes left 15 s after the command was killed", left, [])
    say(f"the command is killed while job {first} runs: {killed_after.count('done')} jobs are done")

    command = sweep.start()
    done_before = killed_after.count("done")
    victim = until(lambda: sweep.states().count("done") >= done_before + 2 and sweep.at_work(), command)
    owner = json.loads((sweep.folder / str(victim) / ".lock").read_text())
    os.kill(owner["pid"], signal.SIGKILL)
    code = command.wait()
    check("exit code of the sweep with a killed job", code, 1)
    check("state of the killed job", sweep.status(victim)["state"], "failed")
    check("its cause", "SIGKILL" in str(sweep.status(victim).get("error")), True)
    say(f"job {victim} is killed: {sweep.states().count('done')} jobs are done")

    code = sweep.start().wait()
    check("exit code at the end", code, 1)
    examine(sweep, check, bad, {victim, *(job for job, state in enumerate(killed_after) if state == "running")})
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.monotonic() - began
    for fault in check.faults:
        print(fault)
    verdict = "FAULTS" if check.faults else "nothing differs"
    say(
        f"{len(sweep.rates)} jobs, 2 kills, {check.made} checks, {seconds:.0f} s, "
        f"{usage.ru_utime + usage.ru_stime:.0f} s of CPU: {verdict}"
    )
    return int(bool(check.faults))


def examine(sweep: Sweep, check: Checks, bad: int, interrupted: set[int]) -> None:
    """Compare the end with what it must be: `bad` is the job that fails by design, `interrupted` were killed."""
    last = sweep.log.read_text()
    cause = str(sweep.status(bad).get("error"))
    check("the cause of the failed job", "not finite" in cause or "infinite" in cause, True)
    for job in range(len(sweep.rates)):
        run_dir, starts = sweep.folder / str(job), sweep.starts(job)
        if job == bad:
            check("state of the failed job", sweep.status(job)["state"], "failed")
            check("exit codes in its W&B files", {code != 0 for code in wandb_ends(run_dir)}, {True})
            continue
        check(f"state of job {job}", sweep.status(job)["state"], "done")
        check(f"starts of job {job}", len(starts), 1 + (job in interrupted))
        with (run_dir / "metrics.csv").open(newline="") as file:
            steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
        check(f"steps of job {job}", steps, list(range(1, STEPS + 1)))
        check(f"exit codes in the W&B files of job {job}", wandb_ends(run_dir)[-1:], [0])
    with (sweep.folder / "sweep.csv").open(newline="") as file:
        rows = {int(row["job"]): row for row in csv.DictReader(file)}
    check("jobs in sweep.csv", sorted(rows), list(range(len(sweep.rates))))
    check("states in sweep.csv", sorted(row["state"] for row in rows.values()), ["done"] * JOBS + ["failed"])
    check("the cause in sweep.csv", rows[bad]["error"], cause)
    check("the cause in the printed table", f"job {bad}: {cause}" in last, True)
    code, printed = ocrexp(sweep.folder.parent, "compare", str(sweep.folder), "format=json", "output=compare.json")
    check("exit code of compare", code, 0)
    check("the failed job in compare", "failed" in (printed + _text(sweep.folder.parent / "compare.json")), True)
    code, printed = ocrexp(sweep.folder.parent, "report", str(sweep.folder), "output=report.html")
    check("exit code of report", code, 0)
    page = _text(sweep.folder.parent / "report.html")
    check("the cause on the page", cause[:40] in page, True)
    check("jobs on the page", all(rate in page for rate in sweep.rates), True)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def say(line: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
