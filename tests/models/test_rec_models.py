"""Recognition parts beside the golden numbers: their options; labels, losses and decoders fit together."""

from functools import partial
from typing import Any

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from ocrexp.assemble import assemble, build_charset, build_model
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.data.targets.text import TextTargets
from ocrexp.errors import ConfigError
from ocrexp.losses.ctc import CTCLoss
from ocrexp.losses.seed import SEEDLoss
from ocrexp.losses.srn import SRNLoss
from ocrexp.losses.tokens import AttentionLoss, NRTRLoss, ParseQLoss, PRENLoss, SARLoss, ViTSTRLoss
from ocrexp.losses.visionlan import VisionLANLoss
from ocrexp.models.backbones.lcnet_v3 import PPLCNetV3, RepConv
from ocrexp.models.backbones.rec_mobilenet_v3 import RecMobileNetV3
from ocrexp.models.backbones.svtrnet import SVTRNet
from ocrexp.models.heads.attention import AttentionHead
from ocrexp.models.heads.ctc import CTCHead, ViTSTRHead
from ocrexp.models.heads.nrtr import NRTRHead
from ocrexp.models.heads.parseq import ParseQHead
from ocrexp.models.heads.pren import PRENHead
from ocrexp.models.heads.robustscanner import RobustScannerHead
from ocrexp.models.heads.sar import SARHead
from ocrexp.models.heads.seed import AsterHead
from ocrexp.models.heads.srn import SRNHead
from ocrexp.models.heads.visionlan import VLHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.sequence import Reshape, RNNEncoder
from ocrexp.models.steps import ctc_steps
from ocrexp.models.transforms.stn import STNOn
from ocrexp.models.transforms.tps import TPS
from ocrexp.postprocess.ctc import CTCGreedyDecoder
from ocrexp.postprocess.tokens import TokenDecoder

GREY_LEVELS = {"mean": [0.5] * 3, "std": [0.5] * 3}

TEXTS = ["abca", "bb"]
# Kind: head on 16 channels, loss, whether it reads a sequence.
HEADS: dict[str, tuple[Any, Any, bool]] = {
    "ctc": (CTCHead, CTCLoss(), True),
    "attention": (partial(AttentionHead, hidden_size=16, max_text_length=4), AttentionLoss(), True),
    "attention, free-running": (
        partial(AttentionHead, hidden_size=16, max_text_length=6, teacher_forcing=False),
        AttentionLoss(),
        True,
    ),
    "nrtr": (
        partial(NRTRHead, nhead=2, num_encoder_layers=0, num_decoder_layers=1, dim_feedforward=32, max_text_length=5),
        NRTRLoss(),
        True,
    ),
    "sar": (partial(SARHead, enc_dim=16, d_k=16, max_text_length=5), SARLoss(), False),
    "parseq": (partial(ParseQHead, max_text_length=4, dec_num_heads=2), ParseQLoss(), True),
    "vitstr": (ViTSTRHead, ViTSTRLoss(), True),
    "srn": (
        partial(SRNHead, max_text_length=4, num_heads=2, num_encoder_TUs=1, num_decoder_TUs=1, n_position=8),
        SRNLoss(),
        False,
    ),
    "pren": (PRENHead, PRENLoss(), True),
    "sar, RobustScanner": (partial(RobustScannerHead, enc_outchannles=16, max_text_length=4), SARLoss(), False),
    "seed": (
        partial(AsterHead, hidden_size=16, attention_size=16, max_text_length=5, time_step=8),
        SEEDLoss(),
        True,
    ),
    "visionlan": (partial(VLHead, n_layers=1, n_position=8, max_text_length=4), VisionLANLoss(), False),
}
SLOW = ("nrtr", "parseq", "visionlan", "srn", "seed")  # heads that learn with a small rate
STEPS = {"vitstr": 6, "pren": 4}  # of the sequence, where a step is a character; otherwise 8


@pytest.mark.parametrize("name", HEADS)
def test_each_head_learns_labels_and_its_decoder_reads_them_back(name: str) -> None:
    paddle.seed(3)
    kind = name.split(",")[0]
    build, loss, sequence = HEADS[name]
    charset = from_characters("abc")
    targets = TextTargets(charset, [kind], max_text_length=4)
    rng = np.random.default_rng(0)
    samples = [targets({"texts": [text]}, rng) for text in TEXTS]
    batch = {key: paddle.to_tensor(np.stack([s[key] for s in samples])) for key in (f"label_{kind}", "length")}  # type: ignore[literal-required]
    head = build(in_channels=16, out_channels=charset.class_counts()[kind])
    x = paddle.randn([2, STEPS.get(kind, 8), 16])
    x = x if sequence else x.transpose([0, 2, 1]).unsqueeze(2)
    forward = partial(head, x, batch) if head.needs_targets else partial(head, x)
    slow = kind in SLOW
    optimizer = paddle.optimizer.Adam(0.005 if slow else 0.02, parameters=head.parameters())
    for _ in range(150 if slow else 80):
        loss(forward(), batch)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
    head.eval()
    outputs = {key: value.numpy() for key, value in (head(x, None) if head.needs_targets else head(x)).items()}
    decoder = CTCGreedyDecoder(charset) if kind == "ctc" else TokenDecoder(charset, kind)  # type: ignore[arg-type]
    read = decoder(outputs, {})
    assert [r.text for r in read] == TEXTS
    assert all(0.5 < score <= 1 for r in read for score in r.char_scores)


def test_a_recogniser_is_wired_from_its_configuration() -> None:
    config = compose("train", ["model=crnn_mbv3", "charset=digits", "model/neck=reshape"])
    parts = assemble(config)
    model = parts.model
    assert model.head.fc.weight.shape == [480, 11]
    decoder = parts.postprocess
    model.eval()
    outputs = model(paddle.zeros([2, 32, 100, 3], dtype="uint8"))
    assert len(decoder({key: value.numpy() for key, value in outputs.items()}, {})) == 2
    assert isinstance(parts.train_transforms[-1], TextTargets)
    assert parts.train_transforms[-1].steps((32, 100)) == outputs["ctc"].shape[1]
    with pytest.raises(ConfigError, match="a recognition head needs its characters; choose one"):
        build_model(config)


def test_an_auxiliary_head_is_there_in_training_alone_and_comes_on_top() -> None:
    config = compose("train", ["model=crnn_mbv3", "charset=digits", "model/auxiliary=ctc", "loss.auxiliary_weight=0.5"])
    charset = build_charset(config)
    model = build_model(config, charset)
    plain = build_model(compose("train", ["model=crnn_mbv3", "charset=digits"]), charset)
    extra = set(model.state_dict()) - set(plain.state_dict())
    assert extra == {"auxiliary.ctc_head.fc.weight", "auxiliary.ctc_head.fc.bias"}
    images = paddle.zeros([2, 32, 100, 3], dtype="uint8")
    outputs = model(images)
    assert outputs["auxiliary_ctc"].shape == outputs["ctc"].shape == [2, 25, 11]
    batch = {"label_ctc": paddle.to_tensor([[1, 2], [3, 0]]), "length": paddle.to_tensor([2, 1])}
    parts = assemble(config).loss(outputs, batch)
    alone = CTCLoss()({"ctc": outputs["auxiliary_ctc"]}, batch)["loss"]
    assert float(parts["loss_auxiliary"]) == pytest.approx(0.5 * float(alone))
    assert float(parts["loss"]) == pytest.approx(float(parts["loss_ctc"]) + float(parts["loss_auxiliary"]))
    model.eval()
    assert set(model(images)) == {"ctc"}


def test_a_charset_from_the_labels_needs_them() -> None:
    class Source:
        def train_records(self) -> list[Any]:
            return [type("Record", (), {"texts": (text,)}) for text in ("cab", "bad")]

    config = compose("train", ["model=crnn_mbv3", "charset=from_labels"])
    charset = build_charset(config, Source)  # type: ignore[arg-type]
    assert charset is not None
    assert "".join(charset.characters) == "abcd"
    with pytest.raises(ConfigError, match="charset=from_labels: needs the training labels"):
        build_charset(config)
    assert build_charset(compose("train", ["model=db_mbv3"])) is None


def test_steps_follow_the_width() -> None:
    model = OCRModel(
        RecMobileNetV3("small", 0.35), Reshape, head=partial(CTCHead, out_channels=5), normalize=GREY_LEVELS
    )
    assert ctc_steps(model, (32, 100)) == 25
    assert ctc_steps(model, (32, 320)) == 80
    assert model.training
    backbone = PPLCNetV3(0.25, conv_kxk_num=1)
    for width in (160, 320):
        assert backbone(paddle.randn([2, 3, 48, width])).shape[2:] == [1, width // 8]


def test_fused_branches_give_the_same_in_evaluation() -> None:
    paddle.seed(1)
    backbone = PPLCNetV3(0.25, conv_kxk_num=2)
    for layer in backbone.sublayers():
        if isinstance(layer, paddle.nn.BatchNorm2D):
            layer._mean.set_value(paddle.randn(layer._mean.shape) * 0.1)
            layer._variance.set_value(paddle.rand(layer._variance.shape) + 0.5)
    backbone.eval()
    image = paddle.randn([1, 3, 48, 64])
    before = backbone(image).numpy()
    values = sum(int(p.size) for p in backbone.parameters())
    backbone.fuse()
    backbone.fuse()
    np.testing.assert_allclose(backbone(image).numpy(), before, atol=1e-4 * np.abs(before).max())
    assert sum(int(p.size) for p in backbone.parameters()) < 0.6 * values


@pytest.mark.parametrize("det", [False, True])
def test_a_fused_network_is_what_fuse_makes(det: bool) -> None:
    """Same names, shapes and results, so that the state of one is the state of the other."""
    paddle.seed(1)
    branched, fused = (PPLCNetV3(0.25, conv_kxk_num=1, det=det, fused=fused) for fused in (False, True))
    branched.eval()
    branched.fuse()
    own = {name: tuple(value.shape) for name, value in fused.state_dict().items()}
    assert own == {name: tuple(value.shape) for name, value in branched.state_dict().items()}
    assert "blocks2.0.dw_conv.reparam_conv.bias" in own
    norms = [layer for layer in fused.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    assert len(norms) == 1  # the stem's
    fused.set_state_dict(branched.state_dict())
    fused.eval()
    image = paddle.randn([1, 3, 64, 64]) if det else paddle.randn([1, 3, 48, 64])
    before, after = (net(image) if det else [net(image)] for net in (branched, fused))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    fused.train()
    sum((level**2).sum() for level in (fused(image) if det else [fused(image)])).backward()
    assert float(fused.blocks2[0].dw_conv.reparam_conv.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize(("kernel_size", "stride", "groups"), [(3, 1, 4), (5, (2, 1), 4), (1, 1, 1), (3, 2, 4)])
def test_a_fused_block_trains_as_it_evaluates(kernel_size: int, stride: Any, groups: int) -> None:
    """In training its first affine is in the kernel: the same outputs, and the same gradients of all parameters."""
    paddle.seed(2)
    block = RepConv(4, 4, kernel_size, stride, groups, 1, 0.1, fused=True)
    block.lab.scale.set_value(paddle.full([1], 1.7))
    block.lab.bias.set_value(paddle.full([1], -0.3))
    x = paddle.randn([2, 4, 8, 10])
    found = []
    for training in (True, False):
        block.train() if training else block.eval()
        y = block(x)
        (y * paddle.arange(y.size, dtype="float32").reshape(y.shape)).sum().backward()
        learned = {name: p.grad.numpy() for name, p in block.named_parameters() if p.grad is not None}
        found.append((y.numpy(), learned))
        block.clear_gradients()
    (one, of_one), (other, of_other) = found
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert of_one.keys() == of_other.keys() >= {"reparam_conv.weight", "reparam_conv.bias", "lab.scale", "lab.bias"}
    for name, grad in of_one.items():
        np.testing.assert_allclose(grad, of_other[name], rtol=1e-4, atol=1e-3 * np.abs(grad).max())


def test_recognisers_without_a_guide_have_the_parameters_of_the_guided_ones() -> None:
    charset = from_characters("abc")
    guided, alone = (
        build_model(compose("train", [f"model={name}", *small]), charset)
        for name, small in (
            ("ppocrv5_rec", ["model.backbone.scale=0.25", "model.backbone.conv_kxk_num=1"]),
            ("ppocrv5_rec_ctc", ["model.backbone.scale=0.25", "model.backbone.conv_kxk_num=1"]),
        )
    )
    theirs = {name: tuple(value.shape) for name, value in guided.state_dict().items()}
    moved = {"head.ctc_encoder.": "neck.", "head.ctc_head.": "head."}
    expected = {}
    for name, shape in theirs.items():
        for old, new in moved.items():
            if name.startswith(old):
                name = new + name.removeprefix(old)
        if name.startswith(("backbone.", "neck.", "head.fc.")):
            expected[name] = shape
    assert {name: tuple(value.shape) for name, value in alone.state_dict().items()} == expected
    assert alone.head.fc.weight.shape == [120, 4]


def test_affine_scales_begin_as_identity() -> None:
    lab = PPLCNetV3(0.25, conv_kxk_num=1).blocks2[0].dw_conv.lab
    assert (lab.scale.item(), lab.bias.item()) == (1, 0)
    assert lab.scale.optimize_attr["learning_rate"] == 0.1


def test_rectification_begins_near_the_identity() -> None:
    ramp = np.linspace(-1, 1, 256, dtype=np.float32) * np.ones((64, 1), np.float32)
    image = paddle.to_tensor(np.tile(ramp, (2, 3, 1, 1)))
    layer = STNOn()
    layer.eval()
    out = layer(image)
    assert out.shape == [2, 3, 32, 100]
    resized = F.interpolate(image, [32, 100], mode="bilinear", align_corners=True)
    # Control points 1 % from the border stand for 5 % in the result: a slight zoom out.
    assert np.abs(out.numpy() - resized.numpy()).max() < 0.1


@pytest.mark.parametrize("transform", [TPS(), STNOn()])
def test_rectification_learns_although_images_have_no_gradient(transform: paddle.nn.Layer) -> None:
    """Paddle's own backward ends the process here."""
    transform.train()
    image = paddle.randn([2, 3, 32, 100])
    (transform(image) ** 2).sum().backward()
    last = transform.loc_net.fc2 if isinstance(transform, TPS) else transform.stn_head.stn_fc2
    assert float(last.bias.grad.abs().sum()) > 0
    assert image.grad is None


@pytest.mark.parametrize("length", range(1, 8))
def test_orders_of_parseq_are_different_permutations(length: int) -> None:
    paddle.seed(0)
    head = ParseQHead(8, 10, max_text_length=8, dec_num_heads=2)
    orders = head.permutations(length)
    assert len(orders) == {1: 1, 2: 2}.get(length, 6)
    assert [sorted(order) for order in orders.tolist()] == [list(range(length + 2))] * len(orders)
    assert len({tuple(order) for order in orders.tolist()}) == len(orders)
    assert orders[0].tolist() == list(range(length + 2))
    assert (orders[:, 0] == 0).all()
    if length > 1:
        assert orders[1].tolist() == [0, *range(length + 1, 0, -1)]


def test_parseq_draws_its_orders_from_paddles_generator() -> None:
    head = ParseQHead(8, 10, max_text_length=8, dec_num_heads=2)
    drawn = []
    for seed in (1, 1, 2):
        paddle.seed(seed)
        drawn.append(head.permutations(8))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_colour_images_are_made_grey_for_models_of_one_channel() -> None:
    model = OCRModel(
        RecMobileNetV3("small", 0.35, in_channels=1),
        RNNEncoder,
        head=partial(CTCHead, out_channels=5),
        normalize={"mean": [0.5], "std": [0.5]},
    )
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8)
    grey = image @ np.array([0.114, 0.587, 0.299])
    prepared = model.prepare(paddle.to_tensor(image)).numpy()
    np.testing.assert_allclose(prepared[:, 0], grey / 127.5 - 1, atol=1e-5)


def test_wrong_values_are_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"maps of height 2, but a sequence needs 1; use"):
        Reshape(4)(paddle.zeros([1, 4, 2, 8]))
    with pytest.raises(ConfigError, match=r"images of 32x100, got 32x320; set its img_size"):
        SVTRNet(depth=[1, 1, 1], mixer=["Global"] * 3)(paddle.zeros([1, 3, 32, 320]))
    with pytest.raises(ValueError, match=r"mixer: expected 3 mixers.*got 2"):
        SVTRNet(depth=[1, 1, 1], mixer=["Global"] * 2)
    with pytest.raises(ValueError, match=r"reads only small_stride"):
        RecMobileNetV3("small", large_stride=[1, 2, 2, 2])
    with pytest.raises(ConfigError, match=r"nhead: expected a divisor of .* got 3"):
        NRTRHead(16, 10, nhead=3)
    with pytest.raises(ValueError, match=r"perm_num: expected .* got 3"):
        ParseQHead(8, 10, perm_num=3)
