"""MLflow's own server answers what the logger has written; a server that does not answer costs no time."""

import contextlib
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from logged_runs import asked, interrupt_and_resume, until

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.group import LoggerGroup
from ocrexp.loggers.mlflow import MLflowLogger

WHY = "mlflow is not installed: pip install 'ocrexp[mlflow]'"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database into which one run was logged that was stopped and resumed."""
    pytest.importorskip("mlflow", reason=WHY)
    pytest.importorskip("sqlalchemy", reason=WHY)
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        interrupt_and_resume(lambda: MLflowLogger(tracking_uri=uri, experiment="receipts"), folder / "run")
    return uri


def test_the_run_and_its_parts_are_one(database: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=database)
    experiment = client.get_experiment_by_name("receipts")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("optim.lr=0.001", "FINISHED")
    assert (run.data.params["optim.lr"], run.data.params["dataset.root"]) == ("0.001", "/data/发票 (1)")
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert (tags["sweep"], tags["state"], tags["fingerprint.train"]) == ("lr", "done", "abc")
    assert run.data.metrics["best/hmean"] == 0.75
    history = client.get_metric_history(run.info.run_id, "val/hmean")
    assert [(one.step, one.value) for one in history] == [(10, 0.5), (30, 0.75)]
    assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"environment.json", "images"}


def test_its_server_shows_the_run(database: str, tmp_path: Path) -> None:
    try:
        importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mlflow, which has the server with its pages, is not installed: pip install mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--port", str(port)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(
        [*command, "--workers", "1"], cwd=tmp_path, stdout=quiet, stderr=quiet, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"

    def answer(path: str, body: dict | None = None) -> Any:
        with contextlib.suppress(OSError):
            return asked(f"{url}/api/2.0/mlflow/{path}", body)
        return None

    try:
        found = until(lambda: answer("experiments/get-by-name?experiment_name=receipts"), 90)
        (run,) = answer("runs/search", {"experiment_ids": [found["experiment"]["experiment_id"]]})["runs"]
        query = f"run_id={run['info']['run_id']}&metric_key=val/hmean"
        history = answer(f"metrics/get-history?{query}")["metrics"]
        assert [(one["step"], one["value"]) for one in history] == [(10, 0.5), (30, 0.75)]
        with urllib.request.urlopen(url, timeout=20) as page:
            assert b"<html" in page.read()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


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
