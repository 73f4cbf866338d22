"""PaddleOCR's SVTRv2 and RepSVTR against its own code: names, shapes, sizes, outputs; they learn and fuse.

The golden numbers come from PaddleOCR 3.3's classes with the published files; weights follow from their names.
"""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest

from ocrexp.assemble import assemble
from ocrexp.assemble.model import build_network
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.export.network import for_inference
from ocrexp.models.backbones.repvit import RepViT
from ocrexp.models.backbones.svtrv2_paddle import PaddleSVTRv2
from ocrexp.models.layers import is_batch_norm
from ocrexp.models.model import OCRModel

from .test_rec_paddleocr_classes import check_learning, digest, weights

HERE = Path(__file__).parents[1] / "golden" / "rec"
GOLDEN = json.loads((HERE / "paddleocr_svtrv2.json").read_text(encoding="utf-8"))
SMALL = {
    "svtrv2_ch": [
        "model.backbone.embed_dim=[16,32,48]",
        "model.backbone.depth=[1,2,1]",
        "model.backbone.conv_blocks=[1,1,0]",
        "model.backbone.num_heads=[1,2,3]",
    ],
}
SCALES = {"channel_mixer.m.2.bn.weight": 0.3, "head.ctc_head.fc.weight": 4.0}  # of the golden weights


def network(name: str, *overrides: str) -> OCRModel:
    rec = name != "repsvtr_det"
    config = compose("train", [f"model={name}", *(["charset=en36"] if rec else []), *overrides])
    return build_network(config, from_characters([chr(0x4E00 + i) for i in range(36)]) if rec else None)


def filled(name: str) -> OCRModel:
    """With the golden weights, in evaluation."""
    model = network(name, *SMALL.get(name, []))
    for key, value in model.state_dict().items():
        scale = next((factor for ending, factor in SCALES.items() if key.endswith(ending)), 1.0)
        value.set_value(scale * weights(key, list(value.shape)))
    model.eval()
    return model


def image_of(name: str) -> paddle.Tensor:
    height = 64 if name == "repsvtr_det" else 48
    return paddle.to_tensor(np.random.default_rng(1).uniform(-1, 1, (2, 3, height, 64)).astype(np.float32))


def output(model: OCRModel, image: paddle.Tensor) -> np.ndarray:
    with paddle.no_grad():
        return model(image)[model.output].numpy()


@pytest.mark.parametrize("name", GOLDEN)
def test_names_shapes_and_sizes_are_paddleocrs(name: str) -> None:
    with paddle.LazyGuard():
        model = network(name)
    assert digest(model) == GOLDEN[name]["digest"]
    assert sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient) == GOLDEN[name]["parameters"]


@pytest.mark.parametrize("name", GOLDEN)
def test_outputs_are_paddleocrs_with_branches_and_fused(name: str) -> None:
    model, image = filled(name), image_of(name)
    if name in SMALL:
        assert digest(model) == GOLDEN[name]["small"]
    with np.load(HERE / "paddleocr_svtrv2.npz") as arrays:
        expected = arrays[name]
    assert expected.max() > 2 * expected.mean()
    step = 4 if name == "repsvtr_det" else 1
    trained = output(model, image)
    np.testing.assert_allclose(trained[..., ::step, ::step], expected, atol=5e-5)
    deployed = for_inference(model)
    np.testing.assert_allclose(output(deployed, image), trained, atol=5e-5)
    norms = [key for key, layer in deployed.backbone.named_sublayers() if is_batch_norm(layer)]
    assert norms == ([] if name.startswith("repsvtr") else ["pope.patch_embed.0.norm", "pope.patch_embed.1.norm"])


@pytest.mark.parametrize("name", ["svtrv2_ch", "repsvtr_ch"])
def test_every_parameter_learns_and_the_loss_falls(name: str) -> None:
    paddle.seed(1)
    config = compose("train", [f"model={name}", "charset=en36", "trainer.device=cpu", *SMALL.get(name, [])])
    parts = assemble(config)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 48, 96, 3), dtype=np.uint8)
    texts = zip(images, ("ab", "2x"), strict=True)
    samples = [parts.targets({"texts": [text], "image": image}, rng) for image, text in texts]
    keys = [key for key in samples[0] if key.startswith("label") or key == "length"]
    batch = {key: paddle.to_tensor(np.stack([sample[key] for sample in samples])) for key in keys}
    x = paddle.to_tensor(images)
    check_learning(parts.model, lambda: parts.loss(parts.model(x, batch), batch)["loss"])


@pytest.mark.parametrize(("height", "width"), [(32, 40), (64, 88)])
def test_images_of_any_size_become_one_row(height: int, width: int) -> None:
    image = paddle.zeros([1, 3, height, width])
    for backbone in (PaddleSVTRv2((8, 16, 16), (1, 1, 1), (1, 1, 0), (1, 2, 2)), RepViT()):
        backbone.eval()
        with paddle.no_grad():
            assert backbone(image).shape == [1, backbone.out_channels, 1, width // 8]


def test_maps_of_a_detector_have_their_strides() -> None:
    backbone = RepViT(det=True)
    backbone.eval()
    with paddle.no_grad():
        maps = backbone(paddle.zeros([1, 3, 32, 64]))
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 32 // stride, 64 // stride)
        for channels, stride in zip((48, 96, 192, 384), (4, 8, 16, 32), strict=True)
    ]


def test_stages_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^conv_blocks: expected at most \[1, 1\]"):
        PaddleSVTRv2((8, 16), (1, 1), (2, 0), (1, 2), ((2, 1),))
