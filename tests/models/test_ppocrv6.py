"""PP-OCRv6's networks: sizes of PaddleOCR's files, names, branches that fuse, auxiliary maps, loss.

No golden numbers exist for them. What is known of PaddleOCR's trained files (number of tensors and values) and of its
deployed ones (number of values) is compared; two forms of the same network are compared with each other.
"""

from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from ocrexp.assemble import build_model
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.export.network import InferenceNetwork, for_inference, trace
from ocrexp.losses.db import DBLoss
from ocrexp.models.backbones.lcnet_v4 import PPLCNetV4
from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.fusable import FusableConvBN
from ocrexp.models.heads.ctc import CTCHead
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN, RSEFPN
from ocrexp.models.necks.intracl import IntraCLBlock
from ocrexp.models.necks.large_kernel import BRANCHES, DilatedReparamBlock, RepLKFPN, RepLKPAN
from ocrexp.models.necks.pyramid import Pyramid
from ocrexp.models.necks.sequence import Reshape
from ocrexp.models.necks.svtr import LightSVTREncoder

NORMS = (nn.BatchNorm1D, nn.BatchNorm2D)
# Values of the deployed network; PaddleOCR's files of small have 2.45 M.
DETECTORS = {"tiny": 428_453, "small": 2_453_425}
# Characters of the dictionary with the space; tensors, values and norms of the trained file; values deployed.
RECOGNIZERS = {"tiny": (6_905, 290, 17_874_302, None, 1_104_278), "small": (18_709, 422, 31_216_454, 58, 5_267_630)}


def charset_of(count: int) -> Any:
    return from_characters([chr(0x4E00 + i) if i < 20_000 else chr(0xAC00 + i - 20_000) for i in range(count)])


def detector(size: str = "tiny", fused: bool = False, aux: bool = True) -> OCRModel:
    necks = {
        "tiny": lambda in_channels: RepLKFPN(in_channels, 64, 5, fused=fused),
        "medium": lambda in_channels: RepLKPAN(in_channels, 32, intracl=True, fused=fused),
    }
    return OCRModel(
        PPLCNetV4("tiny", det=True, fused=fused),
        necks[size],
        head=lambda in_channels: DBHead(in_channels, aux=aux, fused=fused),
    )


def count(layer: nn.Layer) -> int:
    return sum(int(value.size) for value in layer.parameters())


def spread(layer: nn.Layer) -> None:
    """Statistics and scales as of a trained network: no norm is the identity, no branch is 0."""
    paddle.seed(3)
    for name, value in layer.state_dict().items():
        if name.endswith("_mean"):
            value.set_value(paddle.randn(value.shape) * 0.1)
        elif name.endswith("_variance") or (name.endswith("weight") and len(value.shape) == 1):
            value.set_value(paddle.rand(value.shape) + 0.5)


@pytest.mark.parametrize("size", DETECTORS)
def test_detectors_have_the_size_of_the_deployed_files(size: str) -> None:
    model = build_model(compose("train", [f"model=ppocrv6_{size}_det"]))
    for_inference(model)
    assert count(model) == DETECTORS[size]


@pytest.mark.parametrize("size", RECOGNIZERS)
def test_recognizers_have_the_size_of_paddleocrs_files(size: str) -> None:
    characters, tensors, values, norms, deployed = RECOGNIZERS[size]
    model = build_model(compose("train", [f"model=ppocrv6_{size}_rec"]), charset_of(characters))
    state = model.state_dict()
    assert (len(state), sum(int(value.size) for value in state.values())) == (tensors, values)
    if norms is not None:
        assert sum(isinstance(layer, NORMS) for layer in model.sublayers()) == norms
    alone = build_model(compose("train", [f"model=ppocrv6_{size}_rec_ctc"]), charset_of(characters))
    moved = {"head.ctc_encoder.": "neck.", "head.ctc_head.": "head."}
    theirs = {name: tuple(value.shape) for name, value in state.items()}
    expected = {name: shape for name, shape in theirs.items() if name.startswith("backbone.")}
    for old, new in moved.items():
        expected |= {new + name.removeprefix(old): shape for name, shape in theirs.items() if name.startswith(old)}
    assert {name: tuple(value.shape) for name, value in alone.state_dict().items()} == expected
    for_inference(alone)
    assert count(alone) == deployed


def test_names_are_paddleocrs() -> None:
    names = set(detector().state_dict())
    for name in (
        "backbone.stem.stem2a.bn._mean",
        "backbone.blocks_s3.0.token_mixer.dw_conv.conv.weight",
        "backbone.blocks_s1.0.token_mixer.rep_dw.conv.bn.weight",
        "backbone.blocks_s1.0.token_mixer.rep_dw.conv1.weight",
        "backbone.blocks_s1.0.token_mixer.rep_dw.bn.bias",
        "backbone.blocks_s1.0.token_mixer.se.conv1.bias",
        "backbone.blocks_s4.2.channel_mixer.compress.bn.weight",
        "neck.ins_conv.0.se_block.conv2.weight",
        "neck.inp_conv_dw.3.lk_origin.weight",
        "neck.inp_conv_dw.3.dil_bn_k3_2._variance",
        "neck.inp_conv_pw.0.weight",
        "neck.inp_conv_se.0.conv1.weight",
        "head.aux_thresh_p2.conv_bn2.weight",
    ):
        assert name in names, name
    names = set(detector("medium").state_dict())
    for name in (
        "neck.inp_conv.0.dw.dil_conv_k5_2.weight",
        "neck.pan_head_conv.2.weight",
        "neck.pan_lat_conv.3.pw.weight",
        "neck.incl4.c_layer_7x7.bias",
        "neck.incl1.v_layer_3x1.weight",
    ):
        assert name in names, name


@pytest.mark.parametrize("size", ["tiny", "medium"])
def test_a_fused_detector_is_what_an_export_makes(size: str) -> None:
    """Names, shapes and results, up to the norms of IntraCLBlock and of DB's first convolution, which an export
    leaves to the runtime."""
    branched, fused = detector(size), detector(size, fused=True, aux=False)
    spread(branched)
    branched.eval()
    image = paddle.randn([1, 3, 64, 96])
    before, maps = joined(branched, image), branched(image)["maps"].numpy()
    for_inference(branched)
    limit = 1e-4 * np.abs(before).max()
    np.testing.assert_allclose(joined(branched, image), before, atol=limit)
    np.testing.assert_allclose(branched(image)["maps"].numpy(), maps, atol=2e-3)  # the sigmoid's slope is large here
    own = {name: tuple(value.shape) for name, value in fused.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in branched.state_dict().items()}
    for part in ("backbone.", "neck."):
        assert {k: v for k, v in own.items() if k.startswith(part)} == {
            k: v for k, v in theirs.items() if k.startswith(part)
        }
    left = [layer for layer in fused.sublayers() if isinstance(layer, NORMS)]
    assert len(left) == sum(isinstance(layer, IntraCLBlock) for layer in fused.sublayers())
    for part in ("backbone", "neck"):
        getattr(fused, part).set_state_dict(getattr(branched, part).state_dict())
    fused.eval()
    np.testing.assert_allclose(joined(fused, image), joined(branched, image), atol=limit)


@pytest.mark.parametrize("tuning", ["1", "0"])
def test_training_gives_auxiliary_maps_from_which_all_parameters_learn(
    monkeypatch: pytest.MonkeyPatch, tuning: str
) -> None:
    monkeypatch.setenv("OCREXP_CPU_TUNING", tuning)
    model = detector()
    spread(model)
    model.train()
    outputs = model(paddle.randn([2, 3, 32, 64]))
    assert set(outputs) == {"maps", "aux_maps_p4", "aux_maps_p3", "aux_maps_p2"}
    assert {tuple(value.shape) for value in outputs.values()} == {(2, 3, 32, 64)}
    loss = DBLoss(
        main_loss_type="DiceFocalLoss", binary_loss_type="DiceFocalLoss", balance_loss=False,
        aux_weights={"p4": 0.2, "p3": 0.3, "p2": 0.4},
    )  # fmt: skip
    loss(outputs, batch())["loss"].backward()
    learns = {name: value.grad for name, value in model.named_parameters() if not value.stop_gradient}
    assert not [name for name, grad in learns.items() if grad is None or not np.isfinite(grad.numpy()).all()]
    model.eval()
    assert {name: tuple(value.shape) for name, value in model(paddle.randn([1, 3, 32, 64])).items()} == {
        "maps": (1, 1, 32, 64)
    }


@pytest.mark.parametrize("rows", [None, [1]])
def test_the_validation_loss_gets_auxiliary_maps_too(rows: list[int] | None) -> None:
    model = detector()
    model.eval()
    images = paddle.randn([2, 3, 32, 64])
    some = None if rows is None else paddle.to_tensor(rows)
    with paddle.no_grad():
        outputs, learnt = model.evaluated(images, {}, {}, some)
    assert set(outputs) == {"maps"}
    assert learnt["aux_maps_p4"].shape == learnt["maps"].shape == [2 if rows is None else 1, 3, 32, 64]
    kept = slice(None) if rows is None else rows
    np.testing.assert_allclose(learnt["maps"][:, :1].numpy(), outputs["maps"].numpy()[kept], atol=1e-5)


@pytest.mark.parametrize(
    ("neck", "lists"),
    [
        (lambda: RSEFPN([4] * 4, 16), ("ins_conv", "inp_conv")),
        (lambda: RepLKFPN([4] * 4, 16, 5), ("ins_conv", "inp_conv_pw")),
        (lambda: RepLKPAN([4] * 4, 16, intracl=True), ("ins_conv", "inp_conv")),
    ],
    ids=["RSEFPN", "RepLKFPN", "RepLKPAN"],
)
def test_layers_run_in_the_order_of_deployed_files(neck: Any, lists: tuple[str, ...]) -> None:
    """The coarsest level first, by which weights of files without names find their layers."""
    layer, seen = neck(), []
    for name in lists:
        for number, part in enumerate(getattr(layer, name)):
            part.register_forward_pre_hook(lambda *_, place=(name, number): seen.append(place))
    layer([paddle.randn([1, 4, 64 // factor, 64 // factor]) for factor in (2, 4, 8, 16)])
    assert seen == [(name, number) for name in lists for number in (3, 2, 1, 0)]


def test_auxiliary_maps_need_a_neck_with_levels() -> None:
    with pytest.raises(ValueError, match=r"^head\.aux=true.*aux=false, or .*replk_fpn"):
        OCRModel(
            PPLCNetV4("tiny", det=True),
            lambda in_channels: DBFPN(in_channels, 16),
            head=lambda in_channels: DBHead(in_channels, aux=True),
        )


@pytest.mark.parametrize("kernel_size", BRANCHES)
def test_dilated_branches_are_one_large_kernel(kernel_size: int) -> None:
    block = DilatedReparamBlock(3, kernel_size)
    spread(block)
    block.eval()
    x = paddle.randn([1, 3, 17, 19])
    before = block(x).numpy()
    block.fuse()
    block.fuse()
    np.testing.assert_allclose(block(x).numpy(), before, atol=1e-5 * max(1, np.abs(before).max()))
    assert list(block.state_dict()) == ["lk_origin.weight", "lk_origin.bias"]


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_fused_recognition_backbones_and_steps(size: str) -> None:
    branched, fused = PPLCNetV4(size), PPLCNetV4(size, fused=True)
    spread(branched)
    branched.eval()
    image = paddle.randn([1, 3, 48, 64])
    before = branched(image)
    assert before.shape == [1, fused.out_channels, 1, 8]
    for layer in branched.sublayers():
        if hasattr(layer, "fuse"):
            layer.fuse()
    np.testing.assert_allclose(branched(image).numpy(), before.numpy(), atol=1e-4 * float(before.abs().max()))
    norms = sum(isinstance(layer, NORMS) for layer in fused.sublayers())
    assert norms == (2 if size == "tiny" else 0)  # PaddleOCR's plain stem keeps its norms
    body = {name for name in fused.state_dict() if not name.startswith("conv1.")}
    assert body == {name for name in branched.state_dict() if not name.startswith("conv1.")}


def test_even_kernels_pad_below_and_at_the_right_before_the_norm_counts() -> None:
    """As PaddleOCR's padding SAME, in training too, where the norm sees windows of the image alone."""
    layer = FusableConvBN(3, 4, 2)
    x = paddle.randn([2, 3, 5, 6])
    plain = F.conv2d(F.pad(x, [0, 1, 0, 1]), layer.conv.weight)
    expected = F.batch_norm(plain, paddle.zeros([4]), paddle.ones([4]), layer.bn.weight, layer.bn.bias, training=True)
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), atol=1e-5)


def test_a_light_neck_and_a_guided_head_read_lines_of_any_width() -> None:
    neck = LightSVTREncoder(16, dims=24, depth=1, mlp_ratio=2.0)
    assert (neck(paddle.randn([2, 16, 1, 7])).shape, neck.out_channels) == ([2, 7, 24], 24)
    guided = LightSVTREncoder(16, dims=24, use_guide=True)
    x = paddle.randn([1, 16, 1, 7])
    x.stop_gradient = False
    guided(x).sum().backward()
    assert x.grad is None
    head = CTCHead(16, 9, mid_channels=8, use_guide=True)
    logits = head(Reshape(16)(paddle.randn([2, 16, 1, 7])))["ctc"]
    assert logits.shape == [2, 7, 9]
    assert head.class_axes().keys() == {"fc2.weight", "fc2.bias"}


def test_a_detector_is_traced_for_images_of_any_size() -> None:
    model = detector()
    spread(model)
    network = InferenceNetwork(model)
    network.eval()
    static = trace(network, [None, 3, None, None])
    for height, width in ((32, 64), (64, 32)):  # any multiples of 32
        image = paddle.randn([1, 3, height, width])
        np.testing.assert_allclose(static(image).numpy(), network.model(image)["maps"].numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda: PPLCNetV4("large"), "tiny, small, medium"),
        (lambda: DilatedReparamBlock(4, 6), "5, 7, 9"),
        (lambda: RepLKPAN([4] * 4, 12, intracl=True), "multiple of 8"),
    ],
)
def test_wrong_values_are_refused(part: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        part()


def joined(model: OCRModel, image: paddle.Tensor) -> np.ndarray:
    """What the neck gives to the head, as one map."""
    x = model.neck(model.backbone(image))
    x = x.joined if isinstance(x, Pyramid) else x
    return (x.joined() if isinstance(x, TwoLevels) else x).numpy()


def batch() -> dict[str, paddle.Tensor]:
    maps = np.zeros((2, 32, 64), np.float32)
    maps[:, 8:20, 10:50] = 1
    ones = np.ones_like(maps)
    arrays = {"shrink_map": maps, "shrink_mask": ones, "threshold_map": maps * 0.5 + 0.2, "threshold_mask": ones}
    return {name: paddle.to_tensor(value) for name, value in arrays.items()}
