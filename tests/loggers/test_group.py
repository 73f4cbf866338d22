"""Several loggers at once; one that fails is left out and says so once."""

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.loggers.group import LoggerGroup


class Recording(BaseLogger):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def start(self, run: RunInfo) -> None:
        self.calls.append(("start", run.state))

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.calls.append(("metrics", step, values))

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        self.calls.append(("images", name, len(images), step, captions))

    def finish(self, state: str) -> None:
        self.calls.append(("finish", state))

    def state_dict(self) -> dict[str, Any]:
        return {"id": "abc"}


class Failing(Recording):
    """Fails in the method that it is told."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def __getattribute__(self, name: str) -> Any:
        if name != "where" and name == object.__getattribute__(self, "where"):

            def fail(*_: object) -> None:
                raise OSError("no space left\non device")

            return fail
        return super().__getattribute__(name)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("where", ["start", "log_metrics", "log_images", "log_artifact", "state_dict", "finish"])
def test_a_failing_logger_warns_once_and_the_others_go_on(
    where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = Recording(), Failing(where)
    group = LoggerGroup({"bad": bad, "good": good, "csv": CSVLogger()})
    group.start(RunInfo("run", tmp_path))
    for step in (1, 2):
        group.log_metrics({"train/loss": 1.0}, step)
        group.log_images("val/samples", [np.zeros((2, 2, 3), np.uint8)], step, ["a"])
        group.log_artifact(tmp_path, "best", "model")
        group.state_dict()
    group.finish("done")
    group.finish("done")
    assert warnings(caplog) == [next(iter(warnings(caplog)))], "one warning"
    assert "no space left on device" in warnings(caplog)[0] and "\n" not in warnings(caplog)[0]
    assert good.calls.count(("finish", "done")) == 1
    assert [call for call in good.calls if call[0] == "metrics"] == [
        ("metrics", 1, {"train/loss": 1.0}),
        ("metrics", 2, {"train/loss": 1.0}),
    ]
    assert (tmp_path / "metrics.csv").read_text() == "step,train/loss\n1,1\n2,1\n"


def test_a_logger_that_failed_later_is_still_finished(tmp_path: Path) -> None:
    bad = Failing("log_metrics")
    group = LoggerGroup({"bad": bad})
    group.start(RunInfo("run", tmp_path))
    group.log_metrics({"train/loss": 1.0}, 1)
    group.finish("failed")
    assert ("finish", "failed") in bad.calls


def test_each_logger_gets_its_own_state_back_and_a_failed_one_keeps_it(tmp_path: Path) -> None:
    first = LoggerGroup({"a": Recording(), "csv": CSVLogger()})
    first.start(RunInfo("run", tmp_path))
    state = first.state_dict()
    assert state == {"a": {"id": "abc"}, "csv": {}}
    again, failing = Recording(), Failing("state_dict")
    second = LoggerGroup({"new": again, "a": failing})
    second.start(RunInfo("run", tmp_path, resumed=True, state=state))
    assert failing.calls == [("start", {"id": "abc"})]
    assert again.calls == [("start", None)]
    assert second.state_dict()["a"] == {"id": "abc"}


def test_a_logger_that_never_finishes_is_left_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    class Slow(BaseLogger):
        def finish(self, state: str) -> None:
            release.wait(30)

    group = LoggerGroup({"slow": Slow()}, finish_seconds=0.05)
    group.start(RunInfo("run", tmp_path))
    group.finish("done")
    release.set()
    assert len(warnings(caplog)) == 1 and "slow" in warnings(caplog)[0]


def test_an_empty_group_does_nothing(tmp_path: Path) -> None:
    group = LoggerGroup({})
    group.start(RunInfo("run", tmp_path))
    group.log_metrics({"a": 1.0}, 1)
    group.finish("done")
    assert group.state_dict() == {} and list(tmp_path.iterdir()) == []
