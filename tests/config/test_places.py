"""Places that cannot be written are refused before the work, in one line with the key to set."""

import os
import resource
import signal
from pathlib import Path

import pytest

from ocrexp import files
from ocrexp.config.places import file_to_write, folder_to_write, writable
from ocrexp.errors import ConfigError


def _refused(error: pytest.ExceptionInfo[ConfigError], key: str, path: Path) -> None:
    message = str(error.value)
    assert message.startswith(f"{key}={path}") and f"set {key}" in message and "\n" not in message


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (Path("/proc/nowhere"), tmp_path / "file" / "run", tmp_path / ("d" * 300)):
        with pytest.raises(ConfigError) as error:
            folder_to_write(path, "run_dir")
        _refused(error, "run_dir", path)


def test_an_output_that_is_a_folder_or_lies_in_none(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/proc/x.json")):
        with pytest.raises(ConfigError) as error:
            file_to_write(path, "output")
        _refused(error, "output", path)


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    """As root, moving a file to /dev/null would take it away from the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        before = path.lstat()
        with pytest.raises(ConfigError, match="not a file") as error:
            file_to_write(path, "output")
        _refused(error, "output", path)
        with pytest.raises(OSError, match="not a file"):
            files.write_text(path, "x")
        assert path.lstat() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe"]
    for name in ("/dev/stdout", "/dev/../dev/null", "/dev/x.json"):
        with pytest.raises(ConfigError, match="/dev") as error:
            file_to_write(Path(name), "output")
        _refused(error, "output", Path(name))
    (tmp_path / "real").write_text("a")
    (tmp_path / "to_real").symlink_to("real")
    files.write_text(file_to_write(tmp_path / "to_real", "output"), "b")
    assert (tmp_path / "to_real").read_text() == "b"


def test_a_place_that_takes_no_bytes(tmp_path: Path) -> None:
    """As a full disk: an empty file can be made there."""
    before, limit = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        with pytest.raises(ConfigError) as error:
            folder_to_write(tmp_path, "run_dir")
        assert not writable(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    _refused(error, "run_dir", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_good_place_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = folder_to_write(tmp_path / "a" / "b", "run_dir")
    assert file_to_write(tmp_path / "c" / "x.json", "output") == tmp_path / "c" / "x.json"
    assert writable(folder) and list(folder.iterdir()) == [] and list((tmp_path / "c").iterdir()) == []
