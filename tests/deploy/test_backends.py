"""Which library runs a network, and what is said when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ocrexp[onnx]'")

from ocrexp.deploy import TextDetector
from ocrexp.deploy.backends import base, open_backend
from ocrexp.errors import DeployError


def test_the_onnx_backend_runs_what_it_is_given(make_det) -> None:
    backend = open_backend(make_det(), "auto", threads=3, streams=2)
    assert (backend.name, backend.device, backend.streams, backend.channels) == ("onnx", "cpu", 2, 3)
    images = np.zeros((2, 3, 32, 64), np.float32)
    assert backend.run(images).shape == (2, 1, 32, 64)
    assert backend.map(lambda n: n * n, range(10)) == [n * n for n in range(10)]
    assert open_backend(make_det("one"), threads=1, streams=8).streams == 1


def test_a_failure_in_a_stream_reaches_the_caller(make_det) -> None:
    backend = open_backend(make_det(), threads=2, streams=2)
    with pytest.raises(DeployError, match=r"onnxruntime cannot run it on an input of \[1, 1, 8, 8\]") as error:
        backend.map(backend.run, [np.zeros((1, 1, 8, 8), np.float32)] * 4)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "tensorflow"}, "backend: expected one of auto, onnx, paddle, got tensorflow"),
        ({"backend": "paddle"}, "backend=paddle needs inference.json or .pdmodel"),
        ({"device": "tpu"}, "device: expected cpu, gpu or gpu:NUMBER, got tpu"),
        ({"precision": "int3"}, "precision: expected one of .*got int3"),
        ({"precision": "fp16", "backend": "onnx"}, "use backend=paddle or precision=fp32"),
        ({"threads": 0}, "threads: expected 1 or more, got 0"),
        ({"tensorrt": True}, "tensorrt=true: needs a GPU"),
    ],
)
def test_what_cannot_be_is_one_line(make_det, arguments, message: str) -> None:
    with pytest.raises(DeployError, match=message) as error:
        open_backend(make_det(), **arguments)
    assert "\n" not in str(error.value)


def test_a_gpu_needs_the_onnxruntime_that_has_it(make_det) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeployError, match="pip install onnxruntime-gpu"):
        open_backend(make_det(), device="gpu:0")


@pytest.mark.parametrize(("module", "extra"), [("onnxruntime", "onnx"), ("paddle", "cpu")])
def test_a_missing_library_is_named_with_its_extra(make_det, tmp_path, monkeypatch, module: str, extra: str) -> None:
    folder = make_det()
    (folder / "inference.json").write_text("{}")
    (folder / "inference.pdiparams").write_text("x")
    find = base.importlib.util.find_spec
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(DeployError) as error:
        open_backend(folder, "onnx" if module == "onnxruntime" else "paddle")
    assert str(error.value) == f"{module} is not installed; run: pip install 'ocrexp[{extra}]'"


def test_missing_and_damaged_files_are_one_line(make_det, tmp_path: Path) -> None:
    def says(folder: Path, message: str) -> None:
        with pytest.raises(DeployError, match=message) as error:
            TextDetector(folder)
        assert "\n" not in str(error.value)

    says(tmp_path / "none", "folder not found")
    (tmp_path / "empty").mkdir()
    says(tmp_path / "empty", "no exported model")
    (tmp_path / "empty" / "inference.json").write_text("{}")
    says(tmp_path / "empty", "inference.pdiparams is missing beside inference.json")
    folder = make_det()
    content = (folder / "inference.onnx").read_bytes()
    (folder / "inference.onnx").write_bytes(content[: len(content) // 2])
    says(folder, "not the exported file .*SHA-256 differs")
    (folder / "inference.onnx").write_bytes(b"")
    says(folder, r"empty \(0 bytes\)")
    (folder / "inference.yml").unlink()  # another program's: no checksums
    (folder / "inference.onnx").write_bytes(content[: len(content) // 2])
    says(folder, "onnxruntime cannot load it")
    (folder / "other.onnx").write_bytes(content)
    (folder / "inference.onnx").rename(folder / "third.onnx")
    says(folder, "several .onnx files")
    says(folder / "inference.txt", "folder not found")


IMPORT = """
import sys, time
start = time.process_time()
from ocrexp.deploy import TextDetector
detector = TextDetector({folder!r}, backend="onnx")
import numpy as np
detector(np.full((64, 320, 3), 255, np.uint8))
heavy = ("paddle", "hydra", "omegaconf", "matplotlib", "shapely", "rich", "PIL", "wandb", "scipy")
print([name for name in heavy if name in sys.modules], time.process_time() - start)
"""


def test_the_onnx_backend_imports_little_and_starts_at_once(make_det) -> None:
    code = IMPORT.format(folder=str(make_det()))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported, _, seconds = run.stdout.strip().rpartition(" ")
    assert imported == "[]"
    assert float(seconds) < 2  # of the processor: other tests run beside this one
