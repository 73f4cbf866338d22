"""A log file on a full disk, and one that is renamed."""

import logging
import os
from pathlib import Path

import pytest

from ocrexp.logs import LogFile, log_file

log = logging.getLogger("ocrexp.test")


def test_a_full_disk_is_one_line_and_the_file_goes_on_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "train.log"
    path.symlink_to("/dev/full")
    with log_file(path):
        for number in range(50):
            log.info("line %d", number)
        handler = next(one for one in logging.getLogger("ocrexp").handlers if isinstance(one, LogFile))
        path.unlink()
        assert handler._file is not None
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), handler._file.fileno())  # there is space again
        log.info("the last line")
    told = [message for message in caplog.messages if "cannot be written" in message]
    assert len(told) == 1 and str(path) in told[0] and "No space left on device" in told[0]
    assert "Traceback" not in capfd.readouterr().err
    assert path.read_text().endswith("INFO the last line\n")


def test_a_renamed_folder_keeps_its_log(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    logging.getLogger("ocrexp").setLevel(logging.INFO)
    with log_file(tmp_path / "run" / "train.log"):
        log.info("one")
        (tmp_path / "run").rename(tmp_path / "renamed")
        log.info("two")
    assert (tmp_path / "renamed" / "train.log").read_text().count("\n") == 2
    assert not (tmp_path / "run").exists()
