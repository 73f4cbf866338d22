"""A log file on a full disk, and one that is renamed."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocrexp.logs import LogFile, log_file, without_paddle_lines

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


@pytest.mark.parametrize(
    ("start", "threads"),
    [("from ocrexp.engine.devices import gpu_count; gpu_count()", "2"), ("main(['synth']); import paddle", "1")],
)
def test_paddle_is_imported_without_a_word(start: str, threads: str) -> None:
    code = f"from ocrexp.__main__ import main; import sys; sys.stderr = sys.stdout; {start}"
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("ocrexp: out: is missing")]
    assert (lines, done.stderr) == ([], "")


def test_modified_flags_of_paddle_are_no_news_but_other_lines_are(capsys: pytest.CaptureFixture[str]) -> None:
    bar = "======================="
    with pytest.raises(RuntimeError), without_paddle_lines():
        print(
            f"{bar} Modified FLAGS detected {bar}\nFLAGS(name='FLAGS_a', current_value=1)\n{bar * 3}", file=sys.stderr
        )
        print("NCCL cannot reach rank 1", file=sys.stderr)
        raise RuntimeError
    assert capsys.readouterr().err == "NCCL cannot reach rank 1\n"
