"""Two processes with half a batch each get the gradients of one process with the whole (norms frozen)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import numpy as np, paddle
import paddle.distributed as dist
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN

paddle.seed(0)
def neck(in_channels): return DBFPN(in_channels, 16)
model = OCRModel(MobileNetV3("small", 0.35), neck, head=lambda in_channels: DBHead(in_channels))
for layer in model.sublayers():
    if isinstance(layer, paddle.nn.BatchNorm2D):
        layer._use_global_stats = True
images = paddle.randn([4, 3, 64, 64])

def step(network, images):
    network(images)["maps"].square().mean().backward()
    return {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}

whole = step(model, images)
model.clear_gradients()
dist.init_parallel_env()
rank = dist.get_rank()
parts = step(paddle.DataParallel(model), images[2 * rank : 2 * rank + 2])
assert whole.keys() == parts.keys()
for name, gradient in whole.items():
    np.testing.assert_allclose(parts[name], gradient, atol=1e-4 * abs(gradient).max() + 1e-7, err_msg=name)
print("equal")
"""


@pytest.mark.parametrize("tuning", ["1", "0"])
def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path, tuning: str) -> None:
    script = tmp_path / "step.py"
    script.write_text(CODE)
    root = Path(__file__).parents[2]
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--backend", "gloo"]
    environment = {**os.environ, "OCREXP_CPU_TUNING": tuning, "PYTHONPATH": str(root)}
    subprocess.run(
        [*launch, "--log_dir", str(tmp_path), str(script)], env=environment, capture_output=True, timeout=120
    )
    logs = [(tmp_path / f"workerlog.{rank}").read_text() for rank in (0, 1)]
    assert all(log.rstrip().endswith("equal") for log in logs), "\n".join(logs)[-2000:]
