"""scripts/compare_pretrained.py and scripts/bench_finetune.py: what they run, and that they run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from ocrexp.errors import CheckpointError
from ocrexp.folders import cache_folder
from ocrexp.weights.registry import REGISTRY, fetched

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
CACHE = str(cache_folder())  # the user's own; tests get an empty one


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compare_pretrained", SCRIPTS / "compare_pretrained.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_registered_model_is_compared_in_the_modes_that_it_has(script) -> None:
    found = {name: script.modes(model) for name, model in REGISTRY.items()}
    both = {name for name, modes in found.items() if modes == ["fused", "calibrated"]}
    assert both == {name for name in REGISTRY if name.startswith(("ppocrv4", "ppocrv5", "ppocrv6"))}
    assert all(found[name] == ["auto"] for name in set(REGISTRY) - both)


def test_a_row_says_what_agrees(script, monkeypatch) -> None:
    monkeypatch.setenv("OCREXP_CACHE", CACHE)
    model = REGISTRY["ppocr_cls_v2"]
    try:
        fetched(model)
    except CheckpointError as error:
        pytest.skip(str(error))
    name, option, mode, layers, restored, difference, equal = script.row(model, "auto", {}).strip("| ").split(" | ")
    assert [name, option, mode, layers, restored, equal] == [
        "`ppocr_cls_v2`", "`cls_mbv3`", "auto", "89", "0", "1 of 1 labels",
    ]  # fmt: skip
    assert float(difference) < 1e-4


def test_training_steps_are_timed_in_turns() -> None:
    small = ["--batch", "1", "--shape", "48", "64", "--classes", "5", "--steps", "1", "--warmup", "0"]
    done = run("bench_finetune.py", *small)
    assert done.returncode == 0, done.stderr[-2000:]
    head, columns, fused, branches = done.stdout.splitlines()[-4:]
    assert "48x64, 5 classes" in head
    assert "images/s" in columns
    assert fused.startswith("fused")
    assert branches.startswith("branches")
    assert float(fused.split()[1]) < float(branches.split()[1])  # parameters
    assert float(fused.split()[4]) == 1.0


def test_a_folder_without_paddleocr_is_one_line(tmp_path) -> None:
    done = run("bench_finetune.py", "--paddleocr", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path} is no checkout of PaddleOCR: it has no ppocr/modeling"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(SCRIPTS / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
