"""A detector's gradients over two processes with half a batch each, against those of one with the whole."""

import contextlib
from typing import Any

import numpy as np
import paddle

from ocrexp.engine import distributed
from ocrexp.environment import untuned
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.heads.db import DBHead
from ocrexp.models.layers import is_batch_norm
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN


def compare_gradients() -> dict[str, int]:
    """Compare them, norms frozen, with the kernels for a CPU and with paddle's; returns the number of equal ones."""
    kernels: dict[str, Any] = {"tuned": contextlib.nullcontext(), "untuned": untuned()}
    found = {}
    for name, chosen in kernels.items():
        with chosen:
            found[name] = _compare()
    return found


def _compare() -> int:
    paddle.seed(0)
    model = OCRModel(MobileNetV3("small", 0.35), lambda in_channels: DBFPN(in_channels, 16), head=DBHead)
    for layer in model.sublayers():
        if is_batch_norm(layer):
            layer._use_global_stats = True
    images = paddle.randn([4, 3, 64, 64])
    whole = _gradients(model, model, images)
    model.clear_gradients()
    rank = distributed.rank()
    parts = _gradients(paddle.DataParallel(model), model, images[2 * rank : 2 * rank + 2])
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        limit = 1e-4 * abs(gradient).max() + 1e-7
        np.testing.assert_allclose(parts[name], gradient, atol=limit, err_msg=name)
    return len(whole)


def _gradients(network: Any, model: Any, images: Any) -> dict[str, np.ndarray]:
    network(images)["maps"].square().mean().backward()
    return {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
