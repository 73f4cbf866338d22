"""Whole sweeps whose jobs train nothing: their processes run a script of the test instead of the worker."""

import json
import subprocess
import sys
import time
from pathlib import Path

import warm

SCRIPT = """
import sys
from pathlib import Path
from ocrexp.__main__ import main
from ocrexp.runs import job
job.worker_command = lambda run_dir, resume: [str(Path(__file__).with_name("worker.py")), str(run_dir), str(resume)]
{more}
sys.exit(main())
"""
# Records when it ran and in which environment; the learning rate is the metric.
WORKER = """
import json, os, signal, sys, time
from pathlib import Path
run_dir, began = Path(sys.argv[1]), time.time()
lr = float((run_dir / "config_resolved.yaml").read_text().split("\\n  lr: ")[1].split()[0])
def write(state, **more):
    (run_dir / "status.json").write_text(json.dumps({"state": state, "best_value": lr, "best_metric": "hmean",
        "step": 3, "total_steps": 3, "seconds": 1.0, **more}))
def stop(number, frame):
    write("interrupted", error="told to stop")
    note(number)
    sys.exit(128 + number)
def note(stopped):
    names = ("CUDA_VISIBLE_DEVICES", "OCREXP_CORES", "OMP_NUM_THREADS", "OCREXP_TRIAL", "MARK")
    line = {"began": began, "ended": time.time(), "stopped": stopped, "resume": sys.argv[2] == "True",
            "environment": {name: os.environ.get(name) for name in names}}
    with (run_dir / "starts.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
signal.signal(signal.SIGTERM, stop)
write("running")
(run_dir / "checkpoints").mkdir(exist_ok=True)
(run_dir / "checkpoints" / "latest.pdstates").touch()
(run_dir / "began").touch()
SLEEP
write("done", val_loss=1 - lr)
note(None)
"""

# A job that is sent elsewhere. It is defined in the launching script, so it is pickled by value, and the process that
# runs it runs the worker of the test, too.
REMOTE = """
from ocrexp.runs.launching import remote
FOLDER = str(Path(__file__).parent)
class Fake(remote.RemoteJob):
    def __call__(self):
        from pathlib import Path
        from ocrexp.runs import job
        job.worker_command = lambda run_dir, resume: [FOLDER + "/worker.py", str(run_dir), str(resume)]
        super().__call__()
"""


class FakeSweep:
    """Sweeps in a folder; `more` is code of the process that launches them."""

    def __init__(self, folder: Path, seconds: float = 0.1, more: str = "") -> None:
        self.folder = folder
        self._script = folder / "sweep.py"
        self._script.write_text(SCRIPT.format(more=more))
        self.work(f"time.sleep({seconds})")

    def work(self, code: str) -> None:
        """What each job does from now on."""
        (self.folder / "worker.py").write_text(WORKER.replace("SLEEP", code))

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """`-m ARGUMENTS` in a folder `sweep`."""
        return warm.run([self._script, "-m", "sweep_dir=sweep", *arguments], cwd=self.folder, env=env)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """The same in a fresh process, which the test can send signals."""
        return subprocess.Popen(
            [sys.executable, self._script, "-m", "sweep_dir=sweep", *arguments], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def starts(self, job: int) -> list[dict]:
        """What each start of a job has recorded at its end."""
        path = self.folder / "sweep" / str(job) / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def status(self, job: int) -> dict:
        """A job's status; empty before its start."""
        path = self.folder / "sweep" / str(job) / "status.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def has_checkpoint(self, job: int) -> bool:
        """Whether the process of a job has begun to work."""
        return (self.folder / "sweep" / str(job) / "checkpoints" / "latest.pdstates").is_file()

    def wait(self, condition, seconds: float = 60) -> None:
        """Until something holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it does not happen"
            time.sleep(0.02)
