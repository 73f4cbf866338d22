"""OCRModel puts its parts together and normalises images on the device."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional

from ocrexp import models
from ocrexp.errors import ConfigError
from ocrexp.export.network import onnx_opset
from ocrexp.models.attention import MixerBlock
from ocrexp.models.backbones.lcnet_v3 import PPLCNetV3
from ocrexp.models.backbones.lcnet_v4 import LCNetV4Block
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.backbones.resnet import ResNet
from ocrexp.models.backbones.resnet_vd import ResNetVd
from ocrexp.models.deformable import DeformableConv2D
from ocrexp.models.heads.db import DBHead
from ocrexp.models.layers import Conv2D, make_divisible, nearest_upsample
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def build(backbone: paddle.nn.Layer, normalize: dict[str, list[float]] | None = None) -> OCRModel:
    return OCRModel(
        backbone,
        neck=lambda in_channels: DBFPN(in_channels, 16),
        head=lambda in_channels: DBHead(in_channels),
        normalize=normalize,
    )


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        (lambda: MobileNetV3("small", 1.0), [16, 24, 48, 576]),
        (lambda: MobileNetV3("small", 0.35, disable_se=True), [8, 8, 16, 200]),
        (lambda: MobileNetV3("large", 1.0), [24, 40, 112, 960]),
        (lambda: MobileNetV3("large", 1.25), [32, 48, 144, 1200]),
        (lambda: ResNetVd(34), [64, 128, 256, 512]),
        (lambda: ResNet(18), [64, 128, 256, 512]),
        (lambda: PPLCNetV3(0.25, 1, det=True), [4, 6, 14, 120]),
        (lambda: PPLCNetV3(0.25, det=True, fused=True), [4, 6, 14, 120]),
    ],
)
def test_backbones_give_four_maps_at_strides_4_to_32(backbone, channels: list[int]) -> None:  # type: ignore[no-untyped-def]
    layer = backbone()
    assert layer.out_channels == channels
    layer.eval()
    maps = layer(paddle.zeros([1, 3, 64, 96]))
    assert [list(m.shape) for m in maps] == [
        [1, c, 64 // s, 96 // s] for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_uint8_images_are_normalised_as_paddleocr_does_and_leave_no_trace_in_the_state() -> None:
    paddle.seed(1)
    model = build(MobileNetV3("small", 0.35), {"mean": MEAN, "std": STD})
    model.eval()
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    normalised = ((image.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(model.prepare(paddle.to_tensor(image)).numpy(), normalised, atol=1e-6)
    ours = model(paddle.to_tensor(image))["maps"].numpy()
    theirs = model(paddle.to_tensor(normalised))["maps"].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert not [name for name in model.state_dict() if "pixel" in name]


def test_training_gives_three_maps_and_evaluation_one() -> None:
    model = build(MobileNetV3("small", 0.35))
    image = paddle.randn([2, 3, 64, 96])
    model.train()
    maps = model(image)["maps"]
    assert list(maps.shape) == [2, 3, 64, 96]
    shrink, threshold, binary = maps.numpy().astype(np.float64).transpose(1, 0, 2, 3)
    np.testing.assert_allclose(binary, 1 / (1 + np.exp(-50 * (shrink - threshold))), atol=1e-5)
    model.eval()
    assert list(model(image)["maps"].shape) == [2, 1, 64, 96]


def test_wrong_values_are_refused_with_the_key() -> None:
    with pytest.raises(ValueError, match=r"normalize: expected the keys mean and std, got \['mean'\]"):
        build(MobileNetV3("small", 0.35), {"mean": MEAN})
    with pytest.raises(ValueError, match=r"model_name: expected large or small, got tiny"):
        MobileNetV3("tiny")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"layers: expected one of 18, 34.*got 20"):
        ResNetVd(20)
    with pytest.raises(ValueError, match=r"out_channels: expected a multiple of 4, got 50"):
        DBFPN([8, 8, 8, 8], 50)
    with pytest.raises(ConfigError, match=r"normalize: is null"):
        build(MobileNetV3("small", 0.35))(paddle.zeros([1, 64, 64, 3], dtype="uint8"))


def test_nearest_upsampling_repeats_values_and_gathers_gradients() -> None:
    x = paddle.randn([2, 3, 4, 5])
    x.stop_gradient = False
    up = nearest_upsample(x, 4)
    np.testing.assert_array_equal(up.numpy(), x.numpy().repeat(4, axis=2).repeat(4, axis=3))
    up.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full(x.shape, 16, np.float32))


def test_make_divisible_follows_the_papers_rule() -> None:
    assert [make_divisible(v) for v in (3.5, 12, 20, 32, 92, 100)] == [8, 16, 24, 32, 96, 104]


def test_images_are_normalised_in_float32_by_a_model_of_half_precision() -> None:
    model = build(MobileNetV3("small", 0.35), {"mean": MEAN, "std": STD})
    image = paddle.to_tensor(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    expected = model.prepare(image)
    model.to(dtype="bfloat16")
    prepared = model.prepare(image)
    assert prepared.dtype == paddle.float32
    np.testing.assert_array_equal(prepared.numpy(), expected.numpy())


@pytest.mark.parametrize("training", [True, False])
def test_the_maps_of_db_are_float32_whatever_its_convolutions_give(training: bool) -> None:
    paddle.seed(2)
    head = DBHead(16, kernel_list=(3, 3, 3))  # by paddle's operators
    head.train() if training else head.eval()
    for branch in (head.binarize, head.thresh):
        branch.conv3.register_forward_post_hook(lambda _, __, output: output.astype("bfloat16"))
    maps = head(paddle.randn([1, 16, 8, 8]))["maps"]
    assert maps.dtype == paddle.float32
    if training:
        shrink, threshold, binary = maps.numpy()[0]
        np.testing.assert_allclose(binary, 1 / (1 + np.exp(-50 * (shrink - threshold))), atol=1e-5)


@pytest.mark.parametrize(("training", "key"), [(True, "augment"), (False, "preprocess")])
@pytest.mark.parametrize("tuning", ["1", "0"])
def test_a_size_that_does_not_halve_five_times_is_said(
    monkeypatch: pytest.MonkeyPatch, training: bool, key: str, tuning: str
) -> None:
    monkeypatch.setenv("OCREXP_CPU_TUNING", tuning)
    model = build(MobileNetV3("small", 0.35), {"mean": MEAN, "std": STD})
    model.train() if training else model.eval()
    with pytest.raises(ConfigError, match=f"100 × 64 pixels .* multiples of 32; .*{key}") as error:
        model(paddle.zeros([1, 64, 100, 3], dtype="uint8"))
    assert "\n" not in str(error.value)


def test_an_export_for_paddle_2_can_replace_gelu_in_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """paddle's own knows no graphs of Paddle 2; networks look it up at each call, see `ocrexp.export.legacy`."""
    seen = []
    monkeypatch.setattr(functional, "gelu", lambda x: seen.append(x.shape) or x)
    MixerBlock(8, 2)(paddle.randn([1, 3, 8]))
    LCNetV4Block(8, 8, 1, squeeze_excite=False)(paddle.randn([1, 8, 4, 4]))
    assert seen == [[1, 3, 32], [1, 16, 4, 4]]
    sources = [path.read_text(encoding="utf-8") for path in Path(models.__path__[0]).rglob("*.py")]
    assert sum(source.count("F.gelu") + source.count("nn.GELU") for source in sources) == 1


def test_deformable_convolutions_raise_the_version_of_onnx() -> None:
    plain, deformable = nn.Sequential(Conv2D(2, 2, 3)), nn.Sequential(DeformableConv2D(2, 2, 3))
    assert onnx_opset(plain, 17) == 17
    assert onnx_opset(deformable, 17) == 19
    assert onnx_opset(deformable, 20) == 20
