"""PP-OCR's server models beside the golden numbers: PP-HGNetV2, necks with context blocks, the head's modes."""

import json
from pathlib import Path

import paddle
import pytest

from ocrexp.models.backbones.hgnet import PPHGNetSmall
from ocrexp.models.backbones.hgnet_v2 import PPHGNetV2
from ocrexp.models.heads.db_local import PFHeadLocal
from ocrexp.models.layers import count_parameters
from ocrexp.models.necks.db_fpn import RSEFPN
from ocrexp.models.necks.lkpan import LKPAN


@pytest.mark.parametrize(("det", "count"), [(True, 13_553_376), (False, 13_553_904)])
def test_pphgnetv2_is_paddleocrs(det: bool, count: int) -> None:
    """Names and shapes by PaddleOCR's source; the numbers of values were computed from its table of stages."""
    network = PPHGNetV2(det=det)
    assert count_parameters(network) == count
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name, shape in {
        "stem.stem2b.conv.weight": (32, 16, 2, 2),
        "stem.stem3.bn._mean": (32,),
        "stages.0.blocks.0.layers.5.conv.weight": (48, 48, 3, 3),
        "stages.1.downsample.conv.weight": (128, 1, 3, 3),
        "stages.2.blocks.2.layers.0.conv1.conv.weight": (192, 1024, 1, 1),
        "stages.2.blocks.2.layers.0.conv2.conv.weight": (192, 1, 5, 5),
        "stages.3.blocks.0.aggregation_squeeze_conv.conv.weight": (1024, 1024 + 6 * 384, 1, 1),
        "stages.3.blocks.0.aggregation_excitation_conv.bn.bias": (2048,),
    }.items():
        assert shapes[name] == shape
    assert ("stages.0.downsample.conv.weight" in shapes) != det
    network.eval()
    with paddle.no_grad():
        if det:
            maps = network(paddle.zeros([1, 3, 32, 64]))
            assert [tuple(m.shape) for m in maps] == [
                (1, c, 32 // s, 64 // s) for c, s in zip(network.out_channels, (4, 8, 16, 32), strict=True)
            ]
        else:
            assert network(paddle.zeros([1, 3, 48, 64])).shape == [1, 2048, 1, 8]


def test_pphgnet_small_is_paddleocrs_for_recognition_too(oracle: Path) -> None:
    """PaddleOCR's detector has the same parameters; here a convolution comes before the first stage as well."""
    golden = json.loads((oracle / "models" / "ch_PP-OCRv4_det_teacher.json").read_text())["parameters"]
    detector = {name.removeprefix("backbone."): shape for name, shape, *_ in golden if name.startswith("backbone.")}
    network = PPHGNetSmall(det=False)
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    first = {"conv.weight": [128, 1, 3, 3]} | {f"bn.{name}": [128] for name in ("weight", "bias", "_mean", "_variance")}
    assert shapes == detector | {f"stages.0.downsample.{name}": shape for name, shape in first.items()}
    network.eval()
    with paddle.no_grad():
        assert network(paddle.zeros([1, 3, 48, 32])).shape == [1, network.out_channels, 1, 4]


def test_context_blocks_are_an_option_of_necks() -> None:
    maps = [paddle.rand([1, 4, 32 // 2**level, 32 // 2**level]) for level in range(4)]
    for neck in (RSEFPN([4] * 4, 16, intracl=True), LKPAN([4] * 4, 16, intracl=True)):
        assert "incl4.c_layer_7x7.weight" in neck.state_dict()
        neck.eval()
        before = neck(maps).numpy()
        neck.incl1.bn.bias.set_value(neck.incl1.bn.bias + 1)  # of the finest level, which is joined last
        moved = (neck(maps).numpy() != before).any(axis=(0, 2, 3))
        assert moved.tolist() == [False] * 12 + [True] * 4
    with pytest.raises(ValueError, match=r"^out_channels: expected a multiple of 8 with intracl, got 20$"):
        RSEFPN([4] * 4, 20, intracl=True)


def test_the_refined_map_is_averaged_in_evaluation_and_learns_in_training() -> None:
    head = PFHeadLocal(32, mode="small")
    assert head.cbn_layer.last_3.conv.weight.shape == [4, 9, 3, 3]
    x = paddle.rand([1, 32, 8, 8])
    head.eval()
    first, features = head.binarize.with_features(x)
    refined = head.cbn_layer(features, first)
    assert paddle.allclose(head(x)["maps"], (first + refined) / 2)
    assert paddle.allclose(first, head.binarize(x), atol=1e-6)
    head.train()
    maps = head(x)["maps"]
    assert maps.shape == [1, 3, 32, 32]
    maps[:, 0].sum().backward()
    assert not head.thresh.conv1.weight.grad.any()
    assert float(head.cbn_layer.last_1.weight.grad.abs().sum()) > 0
    with pytest.raises(ValueError, match=r"^mode: expected small or large, got wide$"):
        PFHeadLocal(32, mode="wide")  # type: ignore[arg-type]
