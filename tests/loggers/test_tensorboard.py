"""TensorBoard's own server shows what the logger writes; without the package there is a line that names the extra."""

import struct
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from logged_runs import asked, interrupt_and_resume, until

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.tensorboard import TensorBoardLogger


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a server of a folder with one run, `lr/0/tensorboard`."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'ocrexp[tensorboard]'")
    from tensorboard import default, program
    from tensorboard.util import tb_logging

    folder = tmp_path_factory.mktemp("sweep")
    interrupt_and_resume(TensorBoardLogger, folder / "lr" / "0")
    tb_logging.get_logger().setLevel("ERROR")
    server = program.TensorBoard(plugins=default.get_plugins())
    server.configure(
        argv=["", "--logdir", str(folder), "--port", "0", "--load_fast", "false", "--reload_interval", "0"]
    )
    return server.launch()


RUN = "lr/0/tensorboard"


def scalars(board: str, tag: str) -> list[tuple[int, float]]:
    query = urllib.parse.urlencode({"run": RUN, "tag": tag, "format": "json"})
    return [(step, value) for _, step, value in asked(f"{board}data/plugin/scalars/scalars?{query}")]


def test_scalars_of_a_resumed_run_are_its_own(board: str) -> None:
    tags = until(lambda: asked(f"{board}data/plugin/scalars/tags").get(RUN))
    assert set(tags) == {"train/loss", "val/hmean", "val/accuracy_length/1_5", "best/hmean"}
    assert scalars(board, "train/loss") == [(10, 1.0), (20, 0.5)], "step 20 of the stopped part is withdrawn"
    assert scalars(board, "val/hmean") == [(10, 0.5), (30, 0.75)]


def test_pictures(board: str) -> None:
    until(lambda: asked(f"{board}data/plugin/images/tags").get(RUN))
    query = urllib.parse.urlencode({"run": RUN, "tag": "val/predictions/0", "sample": 0})
    (found,) = asked(f"{board}data/plugin/images/images?{query}")
    assert found["step"] == 10
    with urllib.request.urlopen(f"{board}data/plugin/images/individualImage?{found['query']}", timeout=20) as answer:
        png = answer.read()
    assert png[:4] == b"\x89PNG" and struct.unpack(">II", png[16:24]) == (12, 8)


def test_hyperparameters_and_the_final_state(board: str) -> None:
    until(lambda: asked(f"{board}data/plugin/text/tags").get(RUN))
    query = urllib.parse.urlencode({"run": RUN, "tag": "state"})
    states = [(text["step"], text["text"]) for text in asked(f"{board}data/plugin/text/text?{query}")]
    assert states[-1][0] == 30 and "done" in states[-1][1]
    groups = asked(
        f"{board}data/plugin/hparams/session_groups",
        {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "colParams": [], "startIndex": 0, "sliceSize": 9},
    )
    (group,) = groups["sessionGroups"]
    assert group["hparams"]["optim.lr"] == 0.001
    assert group["hparams"]["model.backbone.no_se"] is True
    assert group["hparams"]["dataset.root"] == "/data/发票 (1)"


def test_without_the_package_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    logger = TensorBoardLogger()
    logger.start(RunInfo("run", tmp_path))
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.finish("done")
    assert [record.getMessage() for record in caplog.records] == [
        "tensorboard is not installed, so it logs nothing; run: pip install 'ocrexp[tensorboard]'"
    ]
