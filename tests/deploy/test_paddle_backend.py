"""Networks exported by paddle, run by paddle.inference; in processes of their own."""

from __future__ import annotations

import os
import shutil
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
        return nn.functional.relu6(self.conv(x)) / 6.0

net = Net()
net.eval()
spec = paddle.static.InputSpec([None, 3, None, None], "float32", "x")
paddle.jit.save(net, os.path.join(sys.argv[1], "inference"), input_spec=[spec])
"""
RUN = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from ocrexp.deploy import TextDetector
from ocrexp.errors import DeployError

for folder in sys.argv[1:]:
    try:
        detector = TextDetector(folder, threads=2, det_mean=[.5] * 3, det_std=[.5] * 3, det_limit_side_len=320)
        image = np.full((160, 320, 3), 255, np.uint8)
        image[20:40, 20:120] = 0
        boxes, _ = detector(image)
        with ThreadPoolExecutor(3) as pool:
            assert all(np.array_equal(boxes, other) for other, _ in pool.map(detector, [image] * 12))
        print(detector.backend.name, detector.backend.onednn, boxes.shape[0])
    except DeployError as error:
        print("DeployError", error)
"""


def run(code: str, script: Path, *folders: Path, **environment: str) -> list[str]:
    pytest.importorskip("paddle", reason="paddle is not installed: pip install 'ocrexp[cpu]'")
    script.write_text(code)  # paddle reads the source of what it exports
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script), *map(str, folders)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().split("\n")


def test_both_formats_run_with_onednn_and_damaged_ones_are_one_line(tmp_path: Path) -> None:
    new, legacy = tmp_path / "json", tmp_path / "pdmodel"
    script = tmp_path / "script.py"
    run(EXPORT, script, new)
    run(EXPORT, script, legacy, FLAGS_enable_pir_api="0")
    assert (new / "inference.json").is_file()
    assert (legacy / "inference.pdmodel").is_file()
    damaged = []
    for folder, program in ((new, "inference.json"), (legacy, "inference.pdmodel")):
        for name in (program, "inference.pdiparams"):
            damaged.append(tmp_path / f"{program}-{name}")
            shutil.copytree(folder, damaged[-1])
            content = (folder / name).read_bytes()
            (damaged[-1] / name).write_bytes(content[: len(content) // 2])
    lines = run(RUN, script, new, legacy, *damaged)
    assert lines[:2] == ["paddle True 1"] * 2
    assert len(lines) == 2 + len(damaged)
    for line, folder in zip(lines[2:], damaged, strict=True):
        assert line.startswith(f"DeployError {folder}")
        assert "cannot load it" in line
