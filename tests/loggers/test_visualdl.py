"""VisualDL, where it is installed; a line that names the extra where it is not."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.visualdl import VisualDLLogger


def test_writes_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("visualdl")
    logger = VisualDLLogger()
    logger.start(RunInfo("run", tmp_path))
    logger.log_metrics({"train/loss": 1.0}, 1)
    logger.log_images("val/samples", [np.zeros((8, 8, 3), np.uint8)], 1)
    logger.finish("done")
    assert list((tmp_path / "visualdl").glob("vdlrecords*"))


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
