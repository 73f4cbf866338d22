"""Networks exported by paddle, run by paddle.inference; each run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXPORT = """
import sys, os
import paddle
from paddle import nn

class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        constant = nn.initializer.Constant
        self.conv = nn.Conv2D(3, 1, 1, weight_attr=constant(-8 / 3), bias_attr=constant(-2.0))
    def forward(self, x):
        return nn.functional.sigmoid(self.conv(x))

net = Net()
net.eval()
spec = paddle.static.InputSpec([None, 3, None, None], "float32", "x")
paddle.jit.save(net, os.path.join(sys.argv[1], "inference"), input_spec=[spec])
"""
RUN = """
import sys
import numpy as np
from ocrexp.deploy import TextDetector
from ocrexp.errors import DeployError

try:
    detector = TextDetector(sys.argv[1], threads=2, det_mean=[.5] * 3, det_std=[.5] * 3, det_limit_side_len=320)
    image = np.full((160, 320, 3), 255, np.uint8)
    image[20:40, 20:120] = 0
    boxes, _ = detector(image)
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(3) as pool:
        assert all(np.array_equal(boxes, other) for other, _ in pool.map(detector, [image] * 12))
    print(detector.backend.name, detector.backend.onednn, boxes.shape[0])
except DeployError as error:
    print("DeployError", error)
"""


def run(code: str, folder: Path, **environment: str) -> str:
    import os

    pytest.importorskip("paddle", reason="paddle is not installed: pip install 'ocrexp[cpu]'")
    script = folder.parent / "script.py"  # paddle reads the source of what it exports
    script.write_text(code)
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().split("\n")[-1]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("json", "pdmodel")}
    run(EXPORT, folders["json"])
    run(EXPORT, folders["pdmodel"], FLAGS_enable_pir_api="0")
    return folders


@pytest.mark.parametrize("kind", ["json", "pdmodel"])
def test_both_formats_run_with_onednn_from_several_threads(exported, kind: str) -> None:
    assert (exported[kind] / f"inference.{kind}").is_file()
    assert run(RUN, exported[kind]) == "paddle True 1"


def test_a_truncated_file_is_one_line(exported, tmp_path: Path) -> None:
    for name in ("inference.json", "inference.pdiparams"):
        for part in ("inference.json", "inference.pdiparams"):
            content = (exported["json"] / part).read_bytes()
            (tmp_path / part).write_bytes(content[: len(content) // 2] if part == name else content)
        line = run(RUN, tmp_path)
        assert line.startswith(f"DeployError {tmp_path / 'inference.json'}: paddle")
        assert "cannot load it" in line
