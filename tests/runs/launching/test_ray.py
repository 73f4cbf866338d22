"""Jobs on Ray, with a stand-in for the package that runs a task in a forked process, and again where that is killed.

`scripts/ray_check.py` uses the real one on two nodes, which takes too long for a test. The jobs train nothing.
"""

import sys
from types import SimpleNamespace

import pytest
from fake_jobs import REMOTE, FakeSweep
from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError
from ocrexp.runs.launching.ray_settings import RayLaunching

RAY = (
    REMOTE
    + """
import json, os, signal, time, types
from ocrexp.runs.launching import ray as launching
launching.RemoteJob = Fake
class RayError(Exception):
    pass
class Task:
    def __init__(self, function, argument, retries):
        self.function, self.argument, self.retries = function, argument, retries
        self.start()
    def start(self):
        self.pid, self.code = os.fork(), None
        if not self.pid:
            code = 1
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                self.function(self.argument)
                code = 0
            except SystemExit as end:
                code = end.code
            finally:
                os._exit(code)
    def poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                if self.code == -9 and self.retries:  # its node is lost
                    self.retries -= 1
                    self.start()
        return self.code is not None
def wait(tasks, timeout):
    time.sleep(0.05)
    return [task for task in tasks if task.poll()], []
def get(task):
    if task.code:
        raise RayError("The worker died unexpectedly\\nmore")
def init(**options):
    if options["address"] == "10.0.0.9:1":
        raise ConnectionError("Could not find any running Ray instance")
    assert "PYTHONPATH" in options["runtime_env"]["env_vars"]
def remote(**options):
    Path("options.json").write_text(json.dumps(options))
    return lambda function: types.SimpleNamespace(remote=lambda job: Task(function, job, options["max_retries"]))
sys.modules["ray"] = types.SimpleNamespace(
    init=init, remote=remote, wait=wait, get=get, shutdown=lambda: None, cluster_resources=lambda: {"CPU": 2.0},
    exceptions=types.SimpleNamespace(RayError=RayError), __spec__=object(),
)
"""
)
# Job 0 loses its node at its first start, job 1 fails.
KILLED_ONCE = """
if lr == 1 and sys.argv[2] == "False":
    os.kill(os.getppid(), 9)
    os.kill(os.getpid(), 9)
if lr == 2:
    sys.exit(1)
"""


def test_a_job_whose_node_is_lost_runs_again_and_resumes(tmp_path):
    sweep = FakeSweep(tmp_path, more=RAY)
    sweep.work(KILLED_ONCE)
    done = sweep.run("launcher=ray", "launcher.cpus=2", "launcher.n_jobs=2", "optim.lr=1,2,3")
    assert done.returncode == 1, done.stderr
    assert [sweep.status(job)["state"] for job in range(3)] == ["done", "failed", "done"]
    assert [start["resume"] for start in sweep.starts(0)] == [True]  # the first start could not record itself
    assert "exit code 1" in sweep.status(1)["error"]
    assert sweep.starts(2)[0]["environment"]["OCREXP_CORES"] == "2"
    asked = OmegaConf.load(tmp_path / "options.json")
    assert asked == {"num_cpus": 2, "num_gpus": 0, "max_retries": 3, "retry_exceptions": False}
    for overrides, words in (
        (["launcher.address=10.0.0.9:1"], ("launcher.address=10.0.0.9:1", "ray start --head")),
        (["launcher.cpus=3"], ("launcher.cpus", "up to 2", "got 3")),
    ):
        refused = sweep.run("launcher=ray", *overrides, "optim.lr=1", "sweep_dir=other")
        assert refused.returncode == 2
        assert all(word in refused.stderr for word in words) and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"cpus": 0}, "launcher.cpus"),
        ({"node_losses": -2}, "launcher.node_losses"),
        ({"address": ""}, "launcher.address"),
    ],
)
def test_invalid_options_are_one_line(values, word, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__spec__=object()))
    with pytest.raises(ConfigError, match=word):
        RayLaunching.read({**compose("train", ["launcher=ray"]).launcher, **values})
