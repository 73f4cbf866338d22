"""Named pipes, sockets, devices and folders where a user's file is expected: one line, and nothing waits for them."""

import os
import signal
import socket
from pathlib import Path

import pytest

from ocrexp.charset.dictionary import read_lines as read_dictionary_lines
from ocrexp.charset.sources import from_dictionary
from ocrexp.config.frozen import read_frozen, read_job
from ocrexp.config.paddleocr.source import read as read_training_file
from ocrexp.config.user_files import UserFiles
from ocrexp.data.image_size import read_size
from ocrexp.data.images import read_image
from ocrexp.data.labels import read_label_file
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_labels import read_rec_label_file
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.synth.words import read_words
from ocrexp.deploy.characters import read_dictionary
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.fonts import FontFinder
from ocrexp.engine.status import read_status
from ocrexp.errors import NotAFile, OcrexpError, explain_os_error
from ocrexp.files import read_file, read_text
from ocrexp.lock import read_owner
from ocrexp.loggers.csv import read_rows
from ocrexp.report.title import run_title
from ocrexp.types import UnusableSample
from ocrexp.weights.reader import read_optimizer, read_parameters

KINDS = ("pipe", "socket", "device", "folder")


@pytest.fixture(autouse=True)
def no_waiting():
    """A reader that waits for a writer ends the test, not the suite."""

    def stop(*_):
        raise AssertionError("waited for a named pipe")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


def words(path: Path) -> list[str]:
    """As build() calls it: it adds the key to a part's ValueError."""
    try:
        return read_words(path)
    except ValueError as error:
        raise OcrexpError(f"dataset.{error}") from error


READERS = {
    "label list": read_label_file,
    "recognition list": read_rec_label_file,
    "list of a run": lambda path: DetLists(path.parent, path.name, path.name).train_records(),
    "list of a recognizer": lambda path: RecLists(path.parent, path.name, path.name).train_records(),
    "weights": read_parameters,
    "optimizer": read_optimizer,
    "charset": lambda path: from_dictionary(str(path), False),
    "dictionary of predict": read_dictionary,
    "words": words,
    "training file": read_training_file,
    "inference.yml": Description.read,
    "model": ModelFolder.open,
    "font": lambda path: FontFinder(str(path)),
    "image": read_image,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_of_a_users_file_raises_one_line(tmp_path, monkeypatch, reader, kind):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    make(Path("given"), kind)
    with pytest.raises((OcrexpError, UnusableSample)) as raised:
        READERS[reader](tmp_path / "given")
    message = str(raised.value)
    assert "\n" not in message and "Errno" not in message
    assert "given" in message or isinstance(raised.value, UnusableSample)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_a_run_folder(tmp_path, monkeypatch, kind, caplog):
    monkeypatch.chdir(tmp_path)
    for name in ("status.json", "job.json", "config_resolved.yaml", ".hydra/config.yaml", "a.lock"):
        make(Path(name), kind)
    assert read_status(tmp_path) is None
    assert read_job(tmp_path).name == tmp_path.name
    assert run_title(tmp_path) == tmp_path.name
    make(Path("metrics.csv"), kind)
    with pytest.raises(OSError) as raised:
        read_rows(tmp_path / "metrics.csv")
    if kind != "folder":
        assert explain_os_error(raised.value).startswith(f"{tmp_path / 'metrics.csv'}: is a ")
    assert read_owner(tmp_path / "a.lock") is not None  # a lock, of nobody who is known
    with pytest.raises(OcrexpError, match=r"is not a run folder"):
        read_frozen(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_configuration_file_of_ones_own(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    make(Path("conf/experiment/mine.yaml"), kind)
    source = UserFiles(provider="main", path=f"ocrexp://{tmp_path / 'conf'}")
    with pytest.raises(OcrexpError, match=r"mine\.yaml: cannot be read \(is a [a-z ]+, not a file\)"):
        source.load_config("experiment/mine")


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_of_images(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    assert read_size(make(Path("a.png"), kind).absolute()) is None


def test_read_file(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbftext")
    assert read_file(tmp_path / "a") == b"\xef\xbb\xbftext"
    assert read_text(tmp_path / "a") == "text"
    with pytest.raises(NotAFile, match="7 bytes"):
        read_file(tmp_path / "a", 6)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "b")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)  # it takes no room, and would take the memory
    with pytest.raises(NotAFile, match="bytes"):
        read_dictionary_lines(tmp_path / "large")
