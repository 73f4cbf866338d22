"""The CPU's own kernels equal paddle's, forward and backward, and can be switched off."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.cpu import conv, onednn
from ocrexp.models.cpu.recompute import recomputed
from ocrexp.models.cpu.upsample import TwoLevels, composed, conv3x3_of_doubled
from ocrexp.models.heads.db import DBHead
from ocrexp.models.layers import Conv2D, conv2d, nearest_upsample
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN

needs_onednn = pytest.mark.skipif(onednn.library() is None, reason="paddle carries no oneDNN here")


def leaf(*shape: int) -> Tensor:
    tensor = paddle.randn(shape)
    tensor.stop_gradient = False
    return tensor


def assert_same(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Equal outputs and gradients, to float32 rounding."""
    results = []
    direction = None
    for function in (ours, theirs):
        for tensor in inputs:
            tensor.clear_gradient(set_to_zero=False)
        output = function(*inputs)
        direction = paddle.randn(output.shape) if direction is None else direction
        output.backward(direction)
        results.append([output.numpy(), *(tensor.grad.numpy() for tensor in inputs)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * np.abs(b).max())


@pytest.mark.parametrize(("height", "width", "bias"), [(4, 50, False), (1, 25, True), (30, 40, False), (1, 1, True)])
def test_pointwise_convolution_of_small_and_large_maps(height: int, width: int, bias: bool) -> None:
    x, weight, shift = leaf(3, 12, height, width), leaf(7, 12, 1, 1), leaf(7)
    assert_same(
        lambda x, w, b: conv2d(x, w, b if bias else None, 1, 0) + 0 * b.sum(),
        lambda x, w, b: F.conv2d(x, w, b if bias else None) + 0 * b.sum(),
        x,
        weight,
        shift,
    )


def test_a_bias_and_its_gradients_where_either_is_frozen() -> None:
    x, bias = leaf(2, 5, 3, 4), leaf(5)
    assert_same(conv.add_bias, lambda x, bias: x + bias.reshape([1, -1, 1, 1]), x, bias)
    for frozen, learns in ((leaf(2, 5, 3, 4).detach(), leaf(5)), (leaf(5).detach(), leaf(2, 5, 3, 4))):
        conv.add_bias(*sorted((frozen, learns), key=lambda tensor: -tensor.ndim)).sum().backward()
        assert frozen.grad is None
        assert float(learns.grad.sum()) != 0
    with paddle.no_grad():
        assert conv.add_bias(x, bias).stop_gradient


@needs_onednn
@pytest.mark.parametrize(
    ("height", "width", "stride", "padding"),
    [(9, 30, (2, 1), (1, 2)), (6, 40, (1, 2), (1, 0)), (1, 40, (1, 1), (0, 1))],
)
def test_convolution_with_pairs(height: int, width: int, stride: tuple[int, int], padding: tuple[int, int]) -> None:
    x, weight = leaf(2, 6, height, width), leaf(6, 1, 1 if height == 1 else 3, 3)
    assert_same(
        lambda x, w: conv2d(x, w, None, stride, padding, 6),
        lambda x, w: F.conv2d(x, w, stride=stride, padding=padding, groups=6),
        x,
        weight,
    )


@needs_onednn
@pytest.mark.parametrize(
    ("channels", "out", "kernel", "stride", "groups"),
    [(3, 8, 3, 2, 1), (24, 16, 3, 1, 1), (40, 40, 5, 2, 40), (17, 17, 3, 1, 17), (6, 10, 2, 1, 1), (12, 8, 3, 1, 2)],
)
def test_convolution(channels: int, out: int, kernel: int, stride: int, groups: int) -> None:
    x, weight = leaf(2, channels, 14, 19), leaf(out, channels // groups, kernel, kernel)
    size, pad = (stride, stride), (kernel // 2, kernel // 2)
    assert_same(
        lambda x, w: conv.conv2d(x, w, size, pad, groups),
        lambda x, w: F.conv2d(x, w, stride=stride, padding=kernel // 2, groups=groups),
        x,
        weight,
    )


@needs_onednn
def test_convolution_takes_views_and_leaves_out_gradients_that_nobody_wants() -> None:
    weight = leaf(8, 4, 3, 3)
    image = paddle.randn([2, 9, 10, 4]).transpose([0, 3, 1, 2])
    y = conv.conv2d(image, weight, (1, 1), (1, 1))
    np.testing.assert_allclose(y.numpy(), F.conv2d(image, weight, padding=1).numpy(), atol=1e-5)
    y.sum().backward()
    assert image.grad is None
    assert weight.grad is not None
    with paddle.no_grad():
        assert conv.conv2d(image, weight, (1, 1), (1, 1)).stop_gradient


def test_convolution_of_a_doubled_map() -> None:
    assert_same(
        conv3x3_of_doubled,
        lambda x, w: F.conv2d(nearest_upsample(x, 2), w, padding=1),
        leaf(2, 5, 4, 7),
        leaf(6, 5, 3, 3),
    )


def test_convolution_of_two_levels() -> None:
    assert_same(
        lambda half, full, w: TwoLevels(half, full).conv3x3(w),
        lambda half, full, w: F.conv2d(TwoLevels(half, full).joined(), w, padding=1),
        leaf(2, 6, 4, 5),
        leaf(2, 2, 8, 10),
        leaf(4, 8, 3, 3),
    )


def test_composed_convolutions() -> None:
    assert_same(
        lambda x, w, p: F.conv2d(x, composed(w, p), padding=1),
        lambda x, w, p: F.conv2d(F.conv2d(x, p), w, padding=1),
        leaf(2, 3, 6, 5),
        leaf(4, 8, 3, 3),
        leaf(8, 3, 1, 1),
    )


@pytest.mark.parametrize("kernel_list", [(3, 2, 2), (5, 2, 2)])
def test_a_model_gives_the_same_with_the_kernels_switched_off(
    monkeypatch: pytest.MonkeyPatch, kernel_list: tuple[int, int, int]
) -> None:
    results = []
    for setting in ("1", "0"):
        monkeypatch.setenv("OCREXP_CPU_TUNING", setting)
        paddle.seed(3)
        model = OCRModel(
            MobileNetV3("small", 0.35),
            neck=lambda in_channels: DBFPN(in_channels, 16),
            head=lambda in_channels: DBHead(in_channels, kernel_list=kernel_list),
        )
        maps = model(paddle.randn([2, 3, 64, 96]))["maps"]
        maps.mean().backward()
        model.eval()
        with paddle.no_grad():
            results.append([maps.numpy(), model(paddle.ones([1, 3, 64, 64]))["maps"].numpy()])
    for tuned, plain in zip(*results, strict=True):
        np.testing.assert_allclose(tuned, plain, atol=1e-3)


def test_half_precision_and_switched_off_tensors_stay_with_paddle(monkeypatch: pytest.MonkeyPatch) -> None:
    x = paddle.randn([1, 4, 8, 8])
    assert conv.applies(x)
    assert not conv.applies(x.astype("bfloat16"))
    with monkeypatch.context() as patch:
        patch.setattr(conv, "casts", lambda: True)
        assert not conv.applies(x)
    monkeypatch.setenv("OCREXP_CPU_TUNING", "0")
    assert not conv.applies(x)


def test_a_layer_without_a_library_is_paddles_own(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Conv2D(4, 6, 3, padding=1)
    x = paddle.randn([1, 4, 8, 8])
    expected = F.conv2d(x, layer.weight, layer.bias, padding=1).numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=1e-5)
    monkeypatch.setattr(conv, "_kernels", lambda *_: None)
    np.testing.assert_array_equal(layer(x).numpy(), expected)


def test_training_is_the_same_bit_for_bit_in_another_process() -> None:
    code = """
import hashlib, sys
from ocrexp.environment import prepare
prepare(threads=2)
import numpy as np, paddle
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN
junk = [np.ones(int(sys.argv[1]) * 1000)]  # other addresses
paddle.seed(0)
neck = lambda in_channels: DBFPN(in_channels, 16)
head = lambda in_channels: DBHead(in_channels)
model = OCRModel(MobileNetV3("small", 0.35), neck, head=head)
optimizer = paddle.optimizer.Adam(1e-3, parameters=model.parameters())
for _ in range(3):
    model(paddle.randn([2, 3, 64, 96]))["maps"].square().mean().backward()
    optimizer.step()
    optimizer.clear_grad()
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.state_dict().values())).hexdigest())
"""
    digests = [
        subprocess.run(
            [sys.executable, "-c", code, junk], capture_output=True, text=True, check=True, env=os.environ
        ).stdout.split()[-1]
        for junk in ("1", "77")
    ]
    assert digests[0] == digests[1]


@needs_onednn
def test_kernels_work_in_another_thread_than_the_one_that_made_them() -> None:
    code = """
import threading
import numpy as np, paddle
from ocrexp.models.cpu import conv

def run(results):
    for channels, out, kernel, groups in ((3, 8, 3, 1), (64, 64, 3, 1), (40, 40, 5, 40)):
        generator = np.random.default_rng(0)
        x, weight = (
            paddle.to_tensor(generator.standard_normal(shape).astype("float32"), stop_gradient=False)
            for shape in ((2, channels, 30, 41), (out, channels // groups, kernel, kernel))
        )
        y = conv.conv2d(x, weight, (1, 1), (kernel // 2, kernel // 2), groups)
        y.square().sum().backward()
        results.append([y.numpy(), x.grad.numpy(), weight.grad.numpy()])

here, there = [], []
run(here)
thread = threading.Thread(target=run, args=(there,))
thread.start()
thread.join()
for ours, theirs in zip(here, there, strict=True):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": 1},
        {"padding": (1, 1), "stride": (2, 2), "groups": 2},
        {"padding": 2, "dilation": 2},
        {"padding": (0, 1)},
        {"padding": [0, 1, 1, 2]},
        {"padding": [[0, 0], [0, 0], [1, 0], [0, 1]]},
        {"padding": "same"},
        {"padding": 1, "stride": (1, 2)},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 1, "data_format": "NHWC"},
    ],
    ids=str,
)
def test_a_layer_takes_all_arguments_of_paddles_own(arguments: dict[str, Any]) -> None:
    ours, theirs = Conv2D(4, 6, 3, **arguments), paddle.nn.Conv2D(4, 6, 3, **arguments)
    theirs.set_state_dict(ours.state_dict())
    x = paddle.randn([2, 9, 11, 4] if "data_format" in arguments else [2, 4, 9, 11])
    np.testing.assert_allclose(ours(x).numpy(), theirs(x).numpy(), atol=1e-5)


def test_a_recomputed_part_gives_the_same_to_the_last_bit_and_moves_its_statistics_once() -> None:
    results = []
    for recompute in (True, False):
        paddle.seed(5)
        layer = paddle.nn.Sequential(Conv2D(3, 4, 3, padding=1), paddle.nn.BatchNorm2D(4), paddle.nn.ReLU())
        unused = layer.create_parameter([2])
        layer.add_parameter("unused", unused)
        x = leaf(2, 3, 6, 7)
        for _ in range(2):
            y = recomputed(layer, layer, x) if recompute else layer(x)
            (y * paddle.arange(7, dtype="float32")).sum().backward()
        assert unused.grad is None
        learnt = [parameter for parameter in layer.parameters() if not parameter.stop_gradient]
        used = [parameter.grad for parameter in learnt if parameter is not unused]
        results.append([x.grad, *used, *(value for name, value in layer.state_dict().items() if name != "unused")])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_recomputed_part_with_frozen_input_or_parameters() -> None:
    layer = paddle.nn.Linear(3, 2)
    x = paddle.randn([4, 3])
    recomputed(layer, layer, x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is not None
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    x.stop_gradient = False
    recomputed(layer, layer, x).sum().backward()
    assert x.grad is not None
