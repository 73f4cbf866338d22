"""Signatures read from source are those that Python has, and nothing is imported for them."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocrexp.config.check import check_early
from ocrexp.config.compose import compose
from ocrexp.config.locate import locate
from ocrexp.config.signature import read_constant, read_signature
from ocrexp.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
SOURCE = """
from dataclasses import dataclass, field
from typing import ClassVar, Literal
from .base import Base as Parent

Size = int | list[int]


class Plain:
    task = "rec"

    def __init__(self, size: Size, *, mode: Literal["a", "b"] = "a", name: "str | None" = None, odd: Later = 1): ...


class Inherits(Plain):
    pass


class FromAnother(Parent):
    pass


@dataclass(frozen=True)
class Data:
    width: int
    heights: list[int] = field(default_factory=list)
    steps: int = field()


class Own(Data):
    pass


class Many(Plain, Parent): ...


class Meta(metaclass=type): ...


@decorated
class Decorated:
    def __init__(self, a): ...


def function(a, b=1, **more): ...
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package that cannot be imported: its source is all there is."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "hidden_parts").mkdir()
    (folder / "hidden_parts" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "hidden_parts" / "base.py").write_text(
        "import nothing_of_this_name\nclass Base:\n    def __init__(self, z): ...\n"
    )
    (folder / "hidden_parts" / "parts.py").write_text(SOURCE)
    sys.path.append(str(folder))
    yield "hidden_parts.parts"
    sys.path.remove(str(folder))


def targets():
    found = set()

    def walk(node):
        if isinstance(node, dict):
            found.update({node["_target_"]} if "_target_" in node else ())
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for path in CONF.rglob("*.yaml"):
        walk(yaml.safe_load(path.read_text(encoding="utf-8")))
    return sorted(target for target in found if target.startswith(("ocrexp.", "paddle.")))


def test_of_all_shipped_parts_the_source_says_what_python_says():
    assert len(targets()) > 80
    for target in targets():
        read = read_signature(target)
        assert read is not None, target
        parameters = inspect.signature(locate(target, "x")).parameters.values()
        named = {
            p.name: p.default is p.empty for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        assert read.required == named, target
        assert read.takes_any == any(p.kind is p.VAR_KEYWORD for p in parameters), target


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("Plain", {"size": True, "mode": False, "name": False, "odd": False}),
        ("Inherits", {"size": True, "mode": False, "name": False, "odd": False}),
        ("FromAnother", {"z": True}),
        ("Data", {"width": True, "heights": False, "steps": True}),
        ("Own", {"width": True, "heights": False, "steps": True}),
        ("function", {"a": True, "b": False}),
    ],
)
def test_arguments_of_ones_own_parts(package, name, required):
    read = read_signature(f"{package}.{name}")
    assert read.required == required
    assert read.takes_any is (name == "function")


@pytest.mark.parametrize("name", ["Many", "Meta", "Decorated", "Absent", "Size"])
def test_what_the_source_does_not_say_plainly_is_unknown(package, name):
    assert read_signature(f"{package}.{name}") is None
    assert read_signature(f"no_such_package.{name}") is None
    assert read_signature(name) is None


def test_types_are_those_of_plain_annotations(package):
    hints = read_signature(f"{package}.Plain").hints
    assert hints["size"] == int | list[int] and hints["name"] == str | None
    assert "b" in str(hints["mode"]) and "odd" not in hints


def test_a_constant_is_read_where_the_class_has_the_base(package):
    assert read_constant("ocrexp.data.rec_lists.RecLists", "task", "OfTask") == (True, "rec")
    assert read_constant(f"{package}.Plain", "task", "OfTask") == (False, None)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+model.head.kk=1", ["model.head.kk", "did you mean k?"]),
        ("model.head.k=many", ["model.head.k", "'many'"]),
        ("+dataset.folder=x", ["dataset.folder", "SynthDet has no argument 'folder'"]),
        ("+optim.optimizer.beta=1", ["optim.optimizer.beta", "did you mean beta2?"]),
    ],
)
def test_arguments_are_checked_early(override, words):
    with pytest.raises(ConfigError) as caught:
        check_early(compose("train", [override]))
    for word in words:
        assert word in str(caught.value)


def test_neither_paddle_nor_opencv_is_imported_for_it():
    code = (
        "import sys\nfrom ocrexp.config.check import check_early\nfrom ocrexp.config.compose import compose\n"
        "check_early(compose('train', ['model=crnn_mbv3', 'dataset=rec_list', 'dataset.root=x']))\n"
        "print([name for name in ('paddle', 'cv2', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
