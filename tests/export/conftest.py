"""Exported runs that several test files look at."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases.py")


@dataclass
class Exported:
    """Run folders `det` and `rec` with their exports, and what was found and said while they were made."""

    folder: Path
    results: dict[str, float]
    said: str


def _in_child(*arguments: str) -> subprocess.CompletedProcess:
    """paddle's and onnxruntime's threads stay out of the process of other tests, whose numbers feel them."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="session")
def in_child():
    """`in_child("-m", "ocrexp", …)` runs Python; `in_child.cases` is the script of runs and spoilt exports."""
    _in_child.cases = str(CASES)
    return _in_child


@pytest.fixture(scope="session")
def exported(tmp_path_factory, tiny_lists, draw_words) -> Exported:
    """A detector and a recogniser with random weights, in all formats."""
    for module in ("paddle2onnx", "onnx", "onnxruntime"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("exports")
    words = draw_words(tmp_path_factory.mktemp("words") / "lists", ["abc", "2b1c", "a", "cab12 abc12"])
    done = _in_child(str(CASES), "make", str(folder), str(tiny_lists), str(words))
    assert done.returncode == 0, done.stderr[-2000:]
    return Exported(folder, json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr)
