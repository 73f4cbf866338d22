"""Branches and batch norms from single convolutions: evaluation is that of the deployed network, training too."""

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_charset, build_model
from ocrexp.config.compose import compose
from ocrexp.errors import CheckpointError
from ocrexp.export.network import for_inference
from ocrexp.models.calibration import calibrate
from ocrexp.models.deployed import take
from ocrexp.models.fusable import RepDWConv
from ocrexp.models.layer_places import layers_in_order
from ocrexp.models.layers import is_batch_norm
from ocrexp.models.necks.large_kernel import DilatedReparamBlock
from ocrexp.weights.deployed import Item

FEW = ["charset=characters", "charset.characters=abc"]
TOLERANCE = 1e-4  # the gate's
REC, DET = (48, 64), (64, 96)
NETWORKS = {
    "v6 rec tiny": (["model=ppocrv6_tiny_rec_ctc", *FEW], REC),
    "v6 rec, LightSVTR": (
        ["model=ppocrv6_tiny_rec_ctc", "model/neck=lightsvtr", "model.head.use_guide=false", *FEW], REC,
    ),
    "v6 det": (["model=ppocrv6_tiny_det"], DET),
    "v6 det, RepLKPAN": (
        ["model=ppocrv6_medium_det", "model.backbone.model_size=tiny", "model.neck.out_channels=32",
         "model.neck.intracl=true"],
        DET,
    ),
    "RepSVTR rec": (["model=repsvtr_ch_ctc", *FEW], REC),
    "RepSVTR det": (["model=repsvtr_det"], DET),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_calibrated_networks_evaluate_and_train_as_the_deployed_one(name: str) -> None:
    options, size = NETWORKS[name]
    config = compose("train", [*options, "model.pretrained_mode=calibrated", "trainer.device=cpu"])
    trained, model = (build_model(config, build_charset(config)) for _ in range(2))
    images = paddle.to_tensor(np.random.default_rng(0).integers(0, 255, (4, *size, 3), dtype=np.uint8))
    see(trained, images)
    expected = outputs(trained, images)
    items = layers_of(for_inference(trained), images)
    assert not any(item.kind == "bn" for item in items if ".blocks" in item.name)

    taken = take(model, items, model.prepare(images), "file")
    np.testing.assert_allclose(outputs(model, images), expected, atol=TOLERANCE)
    assert distance(outputs(model, images, batch=True), expected) > 0.5  # the statistics are guessed so far
    calibrate(model, taken.folded, [lambda: model(images)] * 2)
    np.testing.assert_allclose(outputs(model, images), expected, atol=TOLERANCE)
    # The first training step sees what evaluation sees.
    assert distance(outputs(model, images, batch=True), expected) < 1e-3
    np.testing.assert_allclose(outputs(for_inference(model), images), expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["v6 rec tiny", "RepSVTR rec"])
def test_a_file_that_was_exported_with_its_branches_fills_them_all(name: str) -> None:
    """As PaddleOCR's releases before 3.7 export RepSVTR."""
    options, size = NETWORKS[name]
    config = compose("train", [*options, "trainer.device=cpu"])
    trained, model = (build_model(config, build_charset(config)) for _ in range(2))
    images = paddle.to_tensor(np.random.default_rng(0).integers(0, 255, (2, *size, 3), dtype=np.uint8))
    see(trained, images)
    expected = outputs(trained, images)
    items = layers_of(trained, images, apart=True)
    taken = take(model, items, model.prepare(images), "file")
    assert taken.folded == []
    assert set(taken.arrays) == set(model.state_dict())
    np.testing.assert_array_equal(outputs(model, images), expected)
    with pytest.raises(CheckpointError, match=r"layers agree, then the file has nothing more"):
        take(model, items[:-1], model.prepare(images), "file")


def test_a_fused_network_names_the_mode_for_a_file_with_branches() -> None:
    x = paddle.randn([1, 4, 8, 8])
    places = layers_in_order(paddle.nn.Sequential(RepDWConv(4, bias=True)), x, "file", apart=True)
    items = [Item(place.kind, place.name, {n: v.numpy() for n, v in place.tensors.items()}) for place in places]
    assert [item.kind for item in items] == ["conv", "bn", "conv", "bn"]
    fused = paddle.nn.Sequential(RepDWConv(4, fused=True, bias=True))
    with pytest.raises(CheckpointError, match=r"2 more batch norms.*set model\.pretrained_mode=calibrated$"):
        take(fused, items, x, "file")
    with pytest.raises(CheckpointError) as caught:
        take(fused, items[:1], x, "file")
    assert "calibrated" not in str(caught.value)


@pytest.mark.parametrize("kind", [RepDWConv, DilatedReparamBlock])
def test_all_branches_of_a_calibrated_block_learn(kind: type) -> None:
    """Branches that add nothing yet have gradients of their scales, from the second step on of their kernels."""
    paddle.seed(0)
    size = 3 if kind is RepDWConv else 5
    block = kind(4, size)
    x = paddle.randn([2, 4, 12, 12])
    weight = np.random.default_rng(0).normal(size=(4, 1, size, size))
    item = Item("conv", "w", {"weight": weight, "bias": np.ones(4)})
    model = paddle.nn.Sequential(block)
    calibrate(model, take(model, [item], x, "file").folded, [lambda: model(x)])
    model.train()
    optimizer = paddle.optimizer.Adam(1e-2, parameters=model.parameters())
    for _ in range(2):
        optimizer.clear_grad()
        (model(x) * paddle.randn([2, 4, 12, 12])).sum().backward()
        optimizer.step()
    learning = {name: value.grad for name, value in model.named_parameters() if not value.stop_gradient}
    assert not [name for name, grad in learning.items() if grad is None or not float(grad.abs().sum()) > 0]


@pytest.mark.parametrize(
    ("order", "words"),
    [([0, 1, 3, 2, 4, 5], "optimized for a runtime; give the file as it was exported"), ([5, 5, 5], "list model")],
)
def test_an_optimized_file_is_told_from_one_of_another_model(order: list[int], words: str) -> None:
    layers = [paddle.nn.Conv2D(3 + i, 4 + i, 1) for i in range(6)]
    items = [Item("conv", f"w{i}", {"weight": layers[i].weight.numpy(), "bias": np.ones(4 + i)}) for i in order]
    with pytest.raises(CheckpointError, match=words) as caught:
        take(paddle.nn.Sequential(*layers), items, paddle.randn([1, 3, 4, 4]), "file")
    assert "\n" not in str(caught.value)


def test_statistics_need_images() -> None:
    block = paddle.nn.Sequential(RepDWConv(4))
    items = [Item("conv", "w", {"weight": np.ones((4, 1, 3, 3)), "bias": np.ones(4)})]
    folded = take(block, items, paddle.randn([1, 4, 8, 8]), "file").folded
    with pytest.raises(CheckpointError, match=r"training list.*pretrained_mode=fused"):
        calibrate(block, folded, [])


def layers_of(model: paddle.nn.Layer, images: paddle.Tensor, apart: bool = False) -> list[Item]:
    """What the reader of files gives for an export of the network."""
    places = layers_in_order(model, model.prepare(images), "file", apart)
    return [Item(place.kind, place.name, {n: v.numpy() for n, v in place.tensors.items()}) for place in places]


def norms_of(model: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    return [layer for layer in model.sublayers() if is_batch_norm(layer)]


def see(model: paddle.nn.Layer, images: paddle.Tensor) -> None:
    """Batch norms get the statistics of the images, and scales that are not 1, as by a training."""
    rng = np.random.default_rng(1)
    for norm in norms_of(model):
        norm.weight.set_value(rng.uniform(0.8, 1.2, norm.weight.shape).astype(np.float32))
        norm.bias.set_value(rng.normal(0, 0.1, norm.bias.shape).astype(np.float32))
        norm._momentum = 0.0
    outputs(model, images, batch=True, keep=False)


def outputs(model: paddle.nn.Layer, images: paddle.Tensor, batch: bool = False, keep: bool = True) -> np.ndarray:
    """In evaluation; with `batch` batch norms have the batch's statistics, as in training."""
    kept = {name: value.numpy() for name, value in model.state_dict().items()}
    model.eval()
    for norm in norms_of(model):
        norm.train() if batch else norm.eval()
    with paddle.no_grad():
        y = model(images)[model.output].numpy()
    model.eval()
    if keep:
        model.set_state_dict({name: paddle.to_tensor(value) for name, value in kept.items()})
    return y


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the standard deviation."""
    return float(np.abs(a - b).max() / b.std())
