"""A bar in a terminal, lines elsewhere, train.log always."""

import io
import logging
import sys
from pathlib import Path

import pytest

from ocrexp.engine.console import Console, duration, fitting
from ocrexp.logs import LogFile


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _run(console: Console) -> None:
    console.start(0, 10)
    console.progress("step 5/10  loss 0.5", {"loss": "0.5", "eta": "0:10"}, 5)
    logging.getLogger("ocrexp.engine").warning("a notice")
    console.stop()


def test_a_terminal_gets_a_bar_and_the_log_gets_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    handler = logging.StreamHandler(screen)
    ours = logging.getLogger("ocrexp")
    ours.addHandler(handler)
    try:
        _run(Console(tmp_path))
    finally:
        ours.removeHandler(handler)
    shown = screen.getvalue()
    assert "5/10" in shown
    assert "step 5/10" not in shown  # the bar stands for the line
    assert "a notice" in shown
    assert handler.stream is screen
    assert not handler.filters
    log = (tmp_path / "train.log").read_text()
    assert "INFO step 5/10  loss 0.5" in log
    assert "WARNING a notice" in log


def test_without_a_terminal_there_are_lines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    caplog.set_level(logging.INFO)
    _run(Console(tmp_path))
    assert "step 5/10  loss 0.5" in caplog.messages
    assert screen.getvalue() == ""
    assert (tmp_path / "train.log").read_text().count("\n") == 2
    assert not [h for h in logging.getLogger("ocrexp").handlers if isinstance(h, LogFile)]


def test_durations() -> None:
    assert [duration(seconds) for seconds in (4.4, 65, 3661)] == ["0:04", "1:05", "1:01:01"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
def test_speed_and_time_left_always_fit(width: int) -> None:
    fields = {
        "epoch": "12.5/100", "loss": "0.5123 (shrink 0.3000 threshold 0.1000)", "hmean": "0.912", "lr": "0.001",
        "images/s": "1234.5", "data": "12%", "eta": "10:02:03",
    }  # fmt: skip
    shown = fitting(fields, width)
    assert {"images/s", "eta"} <= shown.keys()
    assert list(shown) == [name for name in fields if name in shown]
    text = "  ".join(f"{name} {value}" for name, value in shown.items())
    assert len(text) <= max(width, len("images/s 1234.5  eta 10:02:03"))
    assert ("loss" in shown) == (width >= 42)
    assert fitting(fields, 200) == fields
