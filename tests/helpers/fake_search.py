"""Jobs of a search that train nothing: their metric is a curve of the learning rate, and their folders are real."""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from ocrexp.config.frozen import JOB, JobInfo
from ocrexp.engine.status import DONE, PRUNED, RUNNING, read_status, write_status
from ocrexp.files import write_json
from ocrexp.runs.plan import Budget
from ocrexp.runs.search.options import SearchOptions, storage_of, study_name_of
from ocrexp.runs.search.request import SearchRequest
from ocrexp.runs.search.space import Axis, Space
from ocrexp.runs.search.sweeper import Search
from ocrexp.runs.search.trial import ReportToStudy, TrialOfJob

LR = Axis("lr", low=1e-5, high=1e-1, log=True)
EVALUATIONS = 10


def metric(lr, evaluation):
    """Best at 1e-3, where it comes close to 1; the order of two rates is the same at each evaluation."""
    from math import exp, log10

    return (1 - exp(-evaluation / 4)) * exp(-((log10(lr) + 3) ** 2))


class FakeJobs:
    """`launch` of a search: runs the jobs one after another in this process."""

    def __init__(self, options, folder, seconds=0.0, fails=()):
        self.options = options
        self.folder = folder
        self.seconds = seconds  # per evaluation
        self.fails = fails
        self.ran = []

    def __call__(self, jobs):
        for overrides in jobs:
            values = dict(item.split("=") for item in overrides)
            self.run(int(values.pop("hydra.sweep.subdir")), values)

    def run(self, number, values):
        run_dir = self.folder / str(number)
        self.ran.append(number)
        trial = TrialOfJob(
            storage_of(self.options, self.folder), study_name_of(self.options, self.folder), number, self.options
        )
        if not trial.is_open():
            return
        (run_dir / ".hydra").mkdir(parents=True, exist_ok=True)
        overrides = [f"{key}={value}" for key, value in values.items()]
        write_json(run_dir / JOB, vars(JobInfo("job", "sweep", number, overrides)))
        if number in self.fails:
            write_status(run_dir, state="failed", error="the disk is full")
            trial.tell(read_status(run_dir))
            return
        earlier = read_status(run_dir) or {}
        state, requests = DONE, []
        run = SimpleNamespace(
            main_metric="hmean", step=0, total_steps=EVALUATIONS, request_stop=lambda *stop: requests.append(stop)
        )
        callback = ReportToStudy(trial)
        callback.load_state_dict({"evaluations": earlier.get("step", 0)})
        for evaluation in range(earlier.get("step", 0) + 1, EVALUATIONS + 1):
            time.sleep(self.seconds)
            run.step = evaluation
            value = metric(float(values["lr"]), evaluation)
            callback.on_evaluation_end(run, SimpleNamespace(metrics={"hmean": value}, losses={"loss": -value}), True)
            outcome = {"best_value": value, "best_metric": "hmean", "val_loss": -value, "seconds": 1.0}
            size = int(values.get("size", 1))
            write_status(run_dir, state=RUNNING, step=evaluation, total_steps=EVALUATIONS, parameters=size, **outcome)
            if requests:
                assert requests[0][1] == PRUNED
                state = PRUNED
                break
        write_status(run_dir, state=state)
        trial.tell(read_status(run_dir))


def search(folder, axes=(LR,), fixed=("seed=1",), seconds=0.0, fails=(), budget=None, **options):
    """Run a search in `folder`; returns its jobs and its study."""
    chosen = SearchOptions(**options)
    jobs = FakeJobs(chosen, Path(folder), seconds, fails)
    request = SearchRequest(chosen, Space({axis.name: axis for axis in axes}, list(fixed)), "det")
    Path(folder).mkdir(parents=True, exist_ok=True)
    one = Search(request, Path(folder), jobs, 1)
    one.run(budget or Budget())
    return jobs, one._study


if __name__ == "__main__":  # FOLDER SECONDS PRUNER
    os.fsync = lambda descriptor: None  # it is killed, and the machine keeps its power
    search(Path(sys.argv[1]), seconds=float(sys.argv[2]), pruner=sys.argv[3])
