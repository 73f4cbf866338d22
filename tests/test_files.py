import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ocrexp.errors import OcrexpError, printable
from ocrexp.files import replacing, temporary_name, write_bytes, write_json
from ocrexp.folders import claim_folder, claimed, leftovers, new_folder, remove_leftovers, scratch


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": "é"})
    write_json(path, {"a": "你"}, sync=True)
    assert path.read_text(encoding="utf-8") == '{\n "a": "你"\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_name_at_the_limit_of_the_file_system_can_be_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("é" * 127), b"1")
    assert (tmp_path / ("é" * 127)).read_bytes() == b"1"


def test_leftovers_are_those_of_processes_that_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".a.{ended.pid}.tmp").touch()
    temporary_name(tmp_path / "b").touch()
    (tmp_path / "c.tmp").touch()
    assert [path.name for path in leftovers(tmp_path)] == [f".a.{ended.pid}.tmp"]


def test_each_of_many_claims_at_once_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    got: list[Path] = []
    threads = [threading.Thread(target=lambda: got.append(claim_folder(tmp_path / "deep" / "run"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 20 and tmp_path / "deep" / "run" in got and tmp_path / "deep" / "run_20" in got
    assert not claimed(got[0])


def test_escape_codes_are_shown_and_letters_stay() -> None:
    assert printable("a\x1b]0;b\x07.jpg\n") == "a\\x1b]0;b\\x07.jpg\\n"
    assert printable("é 你好 नमस्ते") == "é 你好 नमस्ते"
    assert printable("\udce4\u202e") == "\\udce4\\u202e"


def test_temporary_folders_of_killed_processes_are_deleted_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, signal\nfrom ocrexp.folders import scratch\n"
        "with scratch('export') as folder:\n (folder / 'x').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    (tmp_path / "ocrexp-mine").mkdir()  # of somebody else
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch("parity") as folder, scratch("export") as other:
        assert sorted(tmp_path.iterdir()) == sorted([folder, other, tmp_path / "ocrexp-mine"])
    assert list(tmp_path.iterdir()) == [tmp_path / "ocrexp-mine"]


def test_a_folder_that_another_container_works_in_is_no_leftover(tmp_path: Path) -> None:
    """Its process id means nothing here; the lock does."""
    with new_folder(tmp_path / "inference") as folder:
        folder.rename(tmp_path / ".inference.1999999999.tmp")
        assert leftovers(tmp_path) == []
    remove_leftovers(tmp_path, "inference")
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_frees_what_a_killed_process_has_left_of_it(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in ("lists", "others"):
        (tmp_path / f".{name}.{ended.pid}.tmp").mkdir()
        (tmp_path / f".{name}.{ended.pid}.tmp" / "image.jpg").write_bytes(b"many")
    with new_folder(tmp_path / "lists") as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, f".others.{ended.pid}.tmp"])


def test_a_message_keeps_where_and_what_to_do_whatever_it_quotes() -> None:
    short = str(OcrexpError("file: key: expected a number, got 'x'; correct it"))
    assert short == "file: key: expected a number, got 'x'; correct it"
    long = str(OcrexpError(f"file: key: expected a number, got {'x' * 1_000_000!r}; correct it"))
    assert len(long) < 1010
    assert long.startswith("file: key: expected") and long.endswith("; correct it") and " … " in long
