"""Uploads to a stand-in of W&B's server: with the network cut in the middle, and of runs that were written offline."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wandb_server import WandbServer

from ocrexp.commands import wandb_sync
from ocrexp.errors import ConfigError
from ocrexp.loggers.wandb_ids import ID_FILE
from ocrexp.loggers.wandb_log import join, read_records, write_records
from ocrexp.runs.wandb_upload import uploads_of

pytest.importorskip("wandb", reason="wandb is not installed: pip install 'ocrexp[wandb]'")

SCRIPT = """
import os, sys, time
from pathlib import Path
import numpy as np
from ocrexp.loggers.base import RunInfo, SampleRow
from ocrexp.loggers.group import LoggerGroup
from ocrexp.loggers.wandb import WandbLogger

folder, what = Path(sys.argv[1]), sys.argv[2]
group = LoggerGroup({"wandb": WandbLogger(project="receipts", log_model=True, init_timeout=20)})
config = {"optim": {"lr": 0.001}, "fingerprint": {"train": "abc"}}
resumed = what == "resumed"
group.start(RunInfo("optim.lr=0.001", folder, config, group="lr", resumed=resumed, resume_step=10 if resumed else None))
first, last = (11, 30) if resumed else (1, 20)
picture = np.zeros((8, 8, 3), np.uint8)
for step in range(first, last + 1):
    group.log_metrics({"train/loss": 1 / step, "train/lr": 0.001}, step)
    if step == first + 9:
        group.log_metrics({"val/hmean": 0.5}, step)
        group.log_summary({"best/hmean": 0.5, "best/step": float(step)})
        if what == "online":
            print("half", flush=True)
            sys.stdin.readline()
            began = time.perf_counter()
if what == "killed":
    time.sleep(1.5)  # W&B writes each second
    os.kill(os.getpid(), 9)
group.log_images("val/predictions", [picture], last, ["page 1"])
group.log_samples("val/samples", [SampleRow(picture, "/data/1.png", "TOTAL", "T0TAL", 0.75)], last)
(folder / "best.pdparams").write_bytes(b"weights")
group.log_artifact(folder / "best.pdparams", "best_accuracy", "model")
group.log_metrics({"val/hmean": 0.25}, last)
if what == "online":
    print("logged in %.3f" % (time.perf_counter() - began), flush=True)
group.finish("done")
print(group.active)
"""


@pytest.fixture(scope="module")
def server():
    with WandbServer() as running:
        yield running
    assert running.unknown == [], "the client asks for something that the stand-in does not know"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def start(folder: Path, what: str, home: Path, **environment: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"HOME": str(home), **environment}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SCRIPT, str(folder), what]
    return subprocess.Popen(command, env=clean, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def online(server: WandbServer, home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The id of a run during whose second half there was no network, and what its process has printed."""
    folder = tmp_path_factory.mktemp("runs") / "online"
    process = start(folder, "online", home, **server.environment)
    assert process.stdout is not None and process.stdin is not None
    assert any(line == "half\n" for line in process.stdout)
    server.cut()
    process.stdin.write("\n")
    process.stdin.flush()
    logged = process.stdout.readline()
    time.sleep(0.5)
    server.restore()
    assert logged.startswith("logged in "), logged
    output = logged + process.communicate(timeout=90)[0]
    return json.loads((folder / ID_FILE).read_text())["id"], output


def test_nothing_is_lost_when_the_network_is_cut(server: WandbServer, online: tuple[str, str]) -> None:
    run_id, output = online
    run = server.runs[run_id]
    assert "['wandb']" in output
    assert float(output.split()[2]) < 20, "the run does not wait for the network (40 s with the client's questions)"
    assert [row["step"] for row in run.history if "train/loss" in row] == list(range(1, 21))
    assert [row["val/hmean"] for row in run.history if "val/hmean" in row] == [0.5, 0.25]
    assert (run.summary["val/hmean"], run.summary["best/hmean"], run.summary["best/step"]) == (0.5, 0.5, 10)
    assert (run.state, run.summary["state"]) == ("finished", "done")
    assert any(name.startswith("media/images/") for name in run.files), "pictures are uploaded"
    assert any(name.startswith("media/table/") for name in run.files), "the table of samples is uploaded"


def test_names_group_configuration_and_lineage(server: WandbServer, online: tuple[str, str]) -> None:
    run = server.runs[online[0]]
    found = {key: run.about.get(key) for key in ("displayName", "groupName", "jobType", "project")}
    assert found == {"displayName": "optim.lr=0.001", "groupName": "lr", "jobType": "train", "project": "receipts"}
    assert run.config["optim"] == {"lr": 0.001}
    used, logged = server.lineage(run.name)
    assert used == ["dataset"] and "model" in logged
    model = next(one for one in server.artifacts.values() if one["type"] == "model")
    assert (model["state"], model["files"], model["metadata"]["hmean"]) == ("COMMITTED", ["best.pdparams"], 0.5)
    assert set(model["aliases"]) == {"latest", "best"}


@pytest.fixture(scope="module")
def sweep(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep written offline: job 0 was killed after step 20 and resumed from step 10 to 30, job 1 was killed."""
    folder = tmp_path_factory.mktemp("sweep")
    for job, parts in (("0", ("killed", "resumed")), ("1", ("killed",))):
        (folder / job / ".hydra").mkdir(parents=True)
        (folder / job / ".hydra" / "job.json").write_text(json.dumps({"name": job}))
        for part in parts:
            process = start(folder / job, part, home, WANDB_MODE="offline")
            output = process.communicate(timeout=90)[0]
            assert process.returncode == (-9 if part == "killed" else 0), output
    return folder


def test_a_killed_run_goes_on_under_the_same_id(sweep: Path) -> None:
    assert len(list((sweep / "0").glob(f"wandb/offline-run-*-{run_id(sweep / '0')}"))) == 2
    assert len(list((sweep / "0").glob("wandb/offline-run-*"))) == 2


def sync(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    from ocrexp.config.arguments import arrange

    code = wandb_sync.run(arrange("wandb-sync", list(arguments)))
    return code, capsys.readouterr().out.splitlines()


def run_id(folder: Path) -> str:
    return json.loads((folder / ID_FILE).read_text())["id"]


@pytest.fixture(scope="module")
def account(server: WandbServer, home: Path):
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in {**server.environment, "HOME": str(home)}.items():
            patch.setenv(name, value)
        yield


@pytest.mark.usefixtures("account")
def test_a_sweep_is_sent_and_what_is_not_complete_is_reported(
    server: WandbServer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refused.add(run_id(sweep / "1"))
    code, lines = sync(capsys, str(sweep))
    assert code == 1 and lines[-1] == "1 of 2 runs sent, 1 failed"
    assert "0: sent" in lines and any(line.startswith("1: failed: ") for line in lines)
    run = server.runs[run_id(sweep / "0")]
    assert [row["step"] for row in run.history if "train/loss" in row] == list(range(1, 31)), "joined, no step twice"
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))
    assert run.state == "finished" and run.summary["val/hmean"] == 0.5
    assert set(server.lineage(run.name)[0]) == {"dataset"}
    server.refused.clear()
    code, lines = sync(capsys, str(sweep))
    assert (code, lines[-1]) == (0, "1 of 1 runs sent")
    assert "0: skipped, it was sent before (all=true sends it again)" in lines
    assert server.runs[run_id(sweep / "1")].state == "failed", "a killed run is not left as running"
    (upload,) = uploads_of(sweep / "0", "0", again=True)
    joined = join(upload.parts, upload.kept())
    assert len(joined.rows) == len(run.history), "the same rows would be sent, so none is sent twice"


def test_a_part_that_was_sent_keeps_its_rows_and_only_missing_rows_are_sent(sweep: Path) -> None:
    parts = sorted((sweep / "0").glob("wandb/offline-run-*/run-*.wandb"))
    whole, first_sent = join(parts), join(parts, [1])
    assert len(parts) == 2 and whole.project == "receipts"
    withdrawn = len(first_sent.rows) - len(whole.rows)
    assert withdrawn == 10, "steps 11 to 20, which the second part has made again"
    assert len(whole.after(0)) == len(whole.records)
    assert len(whole.after(5)) == len(whole.records) - 5
    assert len(whole.after(len(whole.rows) + 1)) == len(whole.records) - len(whole.rows)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = [b"", b"a" * 10, b"b" * 32_751, b"c" * 100_000, b"d"]  # ends of blocks, and a record of several blocks
    write_records(tmp_path / "run.wandb", records)
    assert list(read_records(tmp_path / "run.wandb")) == records
    content = (tmp_path / "run.wandb").read_bytes()
    (tmp_path / "cut.wandb").write_bytes(content[:-3])
    assert list(read_records(tmp_path / "cut.wandb")) == records[:-1]
    (tmp_path / "other.wandb").write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a file of W&B"):
        list(read_records(tmp_path / "other.wandb"))


def test_wrong_values_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "status.json").write_text('{"state": "done"}')
    for arguments, expected in (
        ([], "no run is named"),
        ([str(tmp_path)], "none of the 1 runs has files of W&B"),
        ([str(tmp_path), "jobs=0"], "jobs: expected a whole number, 1 or more, got 0"),
        ([str(tmp_path), "timeout=soon"], "timeout: expected a number of seconds above 0, got 'soon'"),
        ([str(tmp_path), "all=1"], "all: expected true or false, got 1"),
    ):
        from ocrexp.config.arguments import arrange

        with pytest.raises(ConfigError, match=expected):
            wandb_sync.run(arrange("wandb-sync", arguments))
