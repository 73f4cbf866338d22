"""W&B without an account: offline, never a question, the id kept, a failed run ended, the config nested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.wandb import WandbLogger
from ocrexp.loggers.wandb_ids import ID_FILE
from ocrexp.loggers.wandb_log import read_records

SCRIPT = """
import logging, sys
from pathlib import Path
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
from ocrexp.loggers.base import RunInfo, SampleRow
from ocrexp.loggers.group import LoggerGroup
from ocrexp.loggers.wandb import WandbLogger

folder, end = Path(sys.argv[1]), sys.argv[2]
group = LoggerGroup({"wandb": WandbLogger(project="receipts", tags=["cpu"], notes="a note", init_timeout=3)})
config = {"model": {"backbone": {"scale": 0.5}}, "fingerprint": {"train": "abc"}}
environment = {"python": "3.11", "git": {"commit": "c0ffee", "branch": "main", "changed": [], "diff": "-a"}}
group.start(RunInfo("db", folder, config, group="sweep7", tags=("sweep",), environment=environment))
assert group.active == ["wandb"]
group.log_summary({"zero_shot/hmean": 0.125})
for step in (10, 20):
    group.log_metrics({"train/loss": 1.0 / step, "train/lr": 0.001}, step)
    group.log_metrics({"val/hmean": 2.5 / step}, step)
    if step == 10:
        group.log_summary({"best/hmean": 0.25, "best/step": 10.0})
picture = np.zeros((8, 8, 3), np.uint8)
group.log_images("val/predictions", [picture], 20, ["page 1"])
group.log_samples("val/samples", [SampleRow(picture, "/data/page 1.png", "TOTAL", "T0TAL", 0.75)], 20)
group.finish(end)
"""


def run_script(folder: Path, end: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"HOME": str(folder), "NETRC": str(folder / "no-netrc"), **environment}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), end],
        env=clean,
        stdin=subprocess.PIPE,  # an answer could be given, so a question would block until the timeout
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def records(folder: Path) -> list[dict]:
    """What W&B has written in the first offline folder, one dict a record."""
    from google.protobuf.json_format import MessageToDict
    from wandb.proto import wandb_internal_pb2

    found = []
    for content in read_records(next(folder.glob("wandb/offline-run-*/run-*.wandb"))):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        found.append(MessageToDict(record, preserving_proto_field_name=True))
    return found


@pytest.fixture(scope="module")
def failed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    pytest.importorskip("wandb")
    folder = tmp_path_factory.mktemp("my run")
    done = run_script(folder, "failed")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_without_an_account_it_goes_offline_and_says_how_to_sync(failed_run: tuple[Path, str]) -> None:
    folder, output = failed_run
    run_id = json.loads((folder / ID_FILE).read_text())["id"]
    assert output.count("\n") == 2
    assert "no W&B account" in output and f"wandb sync '{folder}/wandb'/offline-run-*-{run_id}" in output
    assert len(list(folder.glob(f"wandb/offline-run-*-{run_id}"))) == 1


def test_what_is_written_of_a_failed_run(failed_run: tuple[Path, str]) -> None:
    folder, _ = failed_run
    found = records(folder)
    run = next(record["run"] for record in found if "run" in record)
    assert (run["project"], run["run_group"], run["display_name"]) == ("receipts", "sweep7", "db")
    assert run["tags"] == ["cpu", "sweep"] and run["notes"] == "a note"
    config = {item["key"]: json.loads(item["value_json"]) for item in run["config"]["update"] if "key" in item}
    assert config["model"] == {"backbone": {"scale": 0.5}}, "nested, not flattened"
    history = [
        {
            item.get("key") or ".".join(item["nested_key"]): json.loads(item["value_json"])
            for item in record["history"]["item"]
        }
        for record in found
        if "history" in record
    ]
    assert [(row["step"], row.get("train/loss"), row.get("val/hmean")) for row in history][:4] == [
        (10, 0.1, None),
        (10, None, 0.25),
        (20, 0.05, None),
        (20, None, 0.125),
    ]
    assert history[-2]["val/predictions._type"] == "images/separated" and history[-2]["step"] == 20
    assert history[-1]["val/samples._type"] == "table-file"
    (table,) = folder.glob("wandb/offline-run-*/files/media/table/**/*.table.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["image", "file", "truth", "prediction", "score"]
    assert content["data"][0][1:] == ["page 1.png", "TOTAL", "T0TAL", 0.75]
    used = [record["artifact"] for record in found if record.get("artifact", {}).get("type") == "dataset"]
    assert used[0]["use_after_commit"] and json.loads(used[0]["metadata"]) == {"train": "abc"}
    assert config["environment"]["git"] == {"commit": "c0ffee", "branch": "main", "changed": []}
    assert run["job_type"] == "train"
    summary = {
        item.get("key") or ".".join(item["nested_key"]): json.loads(item["value_json"])
        for record in found
        for item in record.get("summary", {}).get("update", [])
    }
    assert summary["zero_shot/hmean"] == 0.125 and summary["state"] == "failed"
    assert (summary["val/hmean"], summary["best/hmean"], summary["best/step"]) == (0.25, 0.25, 10), "not the last ones"
    assert len(list(folder.glob("wandb/offline-run-*/files/media/images/**/*.png"))) >= 1
    assert next(record["exit"]["exit_code"] for record in found if "exit" in record) == 1


def test_no_network_goes_offline_after_the_timeout(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = run_script(tmp_path, "done", WANDB_API_KEY="0123456789" * 4, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not answer" in done.stdout and "wandb sync" in done.stdout
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


def test_without_the_package_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    logger = WandbLogger()
    logger.start(RunInfo("run", tmp_path))
    logger.log_metrics({"a": 1.0}, 1)
    logger.log_images("b", [], 1)
    logger.log_artifact(tmp_path, "c", "model")
    logger.finish("done")
    assert [record.getMessage() for record in caplog.records] == [
        "wandb is not installed, so nothing is sent to W&B; run: pip install 'ocrexp[wandb]'"
    ]


def test_the_state_of_the_checkpoint_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    (tmp_path / ID_FILE).write_text('{"id": "fromfile"}')
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = WandbLogger()
    logger.start(RunInfo("run", tmp_path, resumed=True, state={"id": "fromstate"}))
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.finish("done")
    assert logger.state_dict() == {"id": "fromstate"}


def test_bad_settings_are_config_errors() -> None:
    with pytest.raises(ValueError, match="online, offline, disabled"):
        WandbLogger(mode="onlin")
    with pytest.raises(ValueError, match="init_timeout"):
        WandbLogger(init_timeout=0)


class FakeRun:
    def __init__(self, run_id: str) -> None:
        self.id, self.url, self.entity, self.project = run_id, None, None, None

    def define_metric(self, *names: str, **settings: object) -> None: ...


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: WandbLogger, **run: object) -> dict:
    """What wandb.init is given; like W&B's own, it gives a run of an agent the agent's id."""
    wandb = pytest.importorskip("wandb")
    given: dict = {}

    def init(**settings: object) -> FakeRun:
        given.update(settings)
        agents = os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID")
        return FakeRun(str(agents or settings["id"]))

    monkeypatch.setattr(wandb, "init", init)
    logger.start(RunInfo("run", tmp_path, **run))  # type: ignore[arg-type]
    return given


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("PROJECT", "NAME", "ENTITY", "RUN_GROUP"):
        monkeypatch.setenv(f"WANDB_{name}", name.lower())


@pytest.mark.usefixtures("environment")
def test_the_environment_counts_where_the_configuration_is_null(tmp_path, monkeypatch) -> None:
    given = started(tmp_path, monkeypatch, WandbLogger(), group="sweep")
    found = {key: given[key] for key in ("project", "name", "entity", "group")}
    assert found == {"project": "project", "name": "name", "entity": "entity", "group": "run_group"}
    own = WandbLogger(project="a", name="b", entity="c", group="d")
    given = started(tmp_path, monkeypatch, own, group="sweep")
    assert [given[key] for key in ("project", "name", "entity", "group")] == ["a", "b", "c", "d"]
    for name in ("PROJECT", "NAME", "ENTITY", "RUN_GROUP"):
        monkeypatch.delenv(f"WANDB_{name}")
    given = started(tmp_path, monkeypatch, WandbLogger(), group="sweep")
    assert [given[key] for key in ("project", "name", "entity", "group")] == ["ocrexp", "run", None, "sweep"]


@pytest.mark.usefixtures("environment")
def test_the_id_of_the_run_that_wandb_returns_is_kept(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "agent01")
    logger = WandbLogger()
    caplog.set_level("INFO")
    started(tmp_path, monkeypatch, logger, resumed=True, state={"id": "earlier"})
    assert logger.state_dict() == {"id": "agent01"} == json.loads((tmp_path / ID_FILE).read_text())
    assert "offline-run-*-agent01" in caplog.text


@pytest.mark.usefixtures("environment")
def test_jobs_of_a_sweep_do_not_share_the_id_of_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    assert started(tmp_path, monkeypatch, WandbLogger())["id"] == "mine"
    assert started(tmp_path, monkeypatch, WandbLogger(), group="sweep")["id"] != "mine"
