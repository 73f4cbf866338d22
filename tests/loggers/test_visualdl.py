"""VisualDL's own server shows what the logger writes; without the package there is a line that names the extra."""

import contextlib
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from logged_runs import asked, interrupt_and_resume, until

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.visualdl import VisualDLLogger

NAME = "optim.lr=0.001"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the API of VisualDL's server of a folder with one run."""
    pytest.importorskip("visualdl", reason="visualdl is not installed: pip install 'ocrexp[visualdl]'")
    folder = tmp_path_factory.mktemp("sweep")
    interrupt_and_resume(VisualDLLogger, folder / "lr" / "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "visualdl.server.app", "--logdir", str(folder), "--port", str(port)]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as one:
        yield f"http://127.0.0.1:{port}/app/api"
        one.kill()


def data(server: str, path: str, **query: str) -> list:
    with contextlib.suppress(OSError):
        return asked(f"{server}/{path}?{urllib.parse.urlencode(query)}")["data"]
    return []


def test_scalars_of_a_resumed_run_are_its_own(server: str) -> None:
    rows = until(lambda: data(server, "scalar/list", run=NAME, tag="train/loss"))
    assert [row[1:] for row in rows] == [[10, 1.0], [20, 0.5]], "step 20 of the stopped part is withdrawn"
    assert [row[1:] for row in data(server, "scalar/list", run=NAME, tag="val/hmean")] == [[10, 0.5], [30, 0.75]]


def test_pictures_hyperparameters_and_the_final_state(server: str) -> None:
    (image,) = until(lambda: data(server, "image/list", run=NAME, tag="val/predictions/0"))
    assert image["step"] == 10
    (run,) = until(lambda: data(server, "hparams/list"))
    assert run["hparams"]["optim/lr"] == pytest.approx(0.001)
    assert run["hparams"]["model/backbone/no_se"] == "true"
    assert run["metrics"]["val/hmean"] == 0.75
    steps = [row["step"] for row in data(server, "text/list", run=NAME, tag="state")]
    query = urllib.parse.urlencode({"run": NAME, "tag": "state", "index": len(steps) - 1})
    with urllib.request.urlopen(f"{server}/text/text?{query}", timeout=20) as answer:
        assert (steps[-1], answer.read().decode()) == (30, "done")


def test_without_the_package_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "visualdl", None)
    logger = VisualDLLogger()
    logger.start(RunInfo("run", tmp_path))
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.finish("done")
    assert [record.getMessage() for record in caplog.records] == [
        "visualdl is not installed, so it logs nothing; run: pip install 'ocrexp[visualdl]'"
    ]
