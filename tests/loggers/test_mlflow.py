"""MLflow's own server answers what the logger has written; a server that does not answer costs no time."""

import sys
import threading
import time
from pathlib import Path

import pytest
from logged_runs import asked, interrupt_and_resume

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.loggers.mlflow import MLflowLogger

WHY = "mlflow is not installed: pip install 'ocrexp[mlflow]'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a server of a database into which one run was logged."""
    pytest.importorskip("mlflow", reason=WHY)
    pytest.importorskip("flask", reason="flask, which MLflow's server needs, is not installed")
    pytest.importorskip("sqlalchemy", reason=WHY)
    from werkzeug.serving import make_server

    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        interrupt_and_resume(lambda: MLflowLogger(tracking_uri=uri, experiment="receipts"), folder / "run")
        patch.setenv("_MLFLOW_SERVER_FILE_STORE", uri)
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(folder / "mlruns"))
        from mlflow.server import app

        listening = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/api/2.0/mlflow"
        listening.shutdown()


def test_the_run_and_its_parts_are_one(server: str) -> None:
    experiment = asked(f"{server}/experiments/get-by-name?experiment_name=receipts")["experiment"]
    (run,) = asked(f"{server}/runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("optim.lr=0.001", "FINISHED")
    params = {one["key"]: one["value"] for one in run["data"]["params"]}
    assert params["optim.lr"] == "0.001" and params["dataset.root"] == "/data/发票 (1)"
    tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert (tags["sweep"], tags["state"], tags["fingerprint.train"]) == ("lr", "done", "abc")
    assert {one["key"]: one["value"] for one in run["data"]["metrics"]}["best/hmean"] == 0.75
    query = f"run_id={run['info']['run_id']}"
    history = asked(f"{server}/metrics/get-history?{query}&metric_key=val/hmean")["metrics"]
    assert [(one["step"], one["value"]) for one in history] == [(10, 0.5), (30, 0.75)]
    files = {one["path"] for one in asked(f"{server}/artifacts/list?{query}")["files"]}
    assert files == {"environment.json", "images"}


def test_a_server_that_does_not_answer_costs_no_time_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mlflow", reason=WHY)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    group = LoggerGroup({"mlflow": MLflowLogger(tracking_uri="http://127.0.0.1:9")})
    group.start(RunInfo("run", tmp_path))
    began = time.perf_counter()
    for step in range(100):
        group.log_metrics({"train/loss": 1.0}, step)
    assert time.perf_counter() - began < 1
    group.finish("done")
    lines = [text for text in caplog.messages if "logger mlflow failed" in text]
    assert len(lines) == 1 and "127.0.0.1" in lines[0]


def test_without_the_package_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    logger = MLflowLogger()
    logger.start(RunInfo("run", tmp_path))
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.finish("done")
    assert [record.getMessage() for record in caplog.records] == [
        "mlflow is not installed, so nothing is logged to MLflow; run: pip install 'ocrexp[mlflow]'"
    ]
