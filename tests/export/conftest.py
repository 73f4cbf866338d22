"""Exported runs that several test files look at."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import warm

CASES = Path(__file__).with_name("cases.py")


@dataclass
class Exported:
    """Run folders `det` and `rec` with their exports, and what was found and said while they were made."""

    folder: Path
    results: dict[str, float]
    said: str


def _in_child(*arguments: str) -> subprocess.CompletedProcess:
    """paddle's and onnxruntime's threads stay out of the process of other tests, whose numbers feel them."""
    done = warm.run(arguments)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="session")
def in_child():
    """`in_child("-m", "ocrexp", …)` runs this in a process of its own; `in_child.cases` is the script of exports."""
    _in_child.cases = str(CASES)
    return _in_child


@pytest.fixture(scope="session")
def exported(made_once, tiny_lists, draw_words) -> Exported:
    """A detector and a recogniser with random weights, in all formats."""
    for module in ("paddle2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(module)

    def make(folder: Path) -> None:
        words = draw_words(folder / "lists", ["abc", "2b1c", "a", "cab12 abc12"])
        done = _in_child(str(CASES), "make", str(folder), str(tiny_lists), str(words))
        assert done.returncode == 0, done.stderr[-2000:]
        (folder / "said.json").write_text(json.dumps([done.stdout, done.stderr]))

    folder = made_once("exports", make)
    out, err = json.loads((folder / "said.json").read_text())
    return Exported(folder, json.loads(out.splitlines()[-1]), out + err)
