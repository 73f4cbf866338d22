"""DRRG's neck, head and loss equal PaddleOCR's, run with the same weights and targets."""

import json
from pathlib import Path

import curved_text
import numpy as np
import paddle
import pytest
from paddle import nn

from ocrexp.assemble import build_model
from ocrexp.config.compose import compose
from ocrexp.data.targets.components import link_parameters, local_graphs, node_length
from ocrexp.data.targets.drrg import DRRGTargets
from ocrexp.losses.drrg import DRRGLoss
from ocrexp.models.heads.drrg import DRRGHead
from ocrexp.models.heads.links import component_features
from ocrexp.models.necks.unet_fpn import UNetFPN
from ocrexp.postprocess import drrg_links
from tests.models.test_against_golden import golden_state

CHANNELS = (8, 12, 16, 20)  # of the golden network's maps at strides 4 to 32
SIZE = 160


class Top(nn.Layer):
    """Neck and head."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = UNetFPN(CHANNELS, 8)
        self.head = DRRGHead(8)


@pytest.fixture(scope="module")
def stored(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "models" / "drrg.npz") as arrays:
        return dict(arrays)


def test_neck_head_and_loss_equal_paddleocr(stored: dict[str, np.ndarray]) -> None:
    """Names, shapes and order of the parameters; maps, links between components, their labels, and the losses."""
    top = Top()
    assert [[name, list(value.shape)] for name, value in top.state_dict().items()] == json.loads(
        str(stored["parameters"])
    )
    top.set_state_dict(golden_state(top, 1.0))
    generator = np.random.Generator(np.random.PCG64(11))
    features = [
        paddle.to_tensor(generator.standard_normal((1, channels, SIZE // stride, SIZE // stride)).astype("float32"))
        for channels, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    regions = [polygon / 2 for polygon in curved_text.POLYGONS]
    sample = DRRGTargets()(curved_text.sample_of(regions, size=(SIZE, SIZE)), np.random.default_rng(3))
    batch = {
        name: paddle.to_tensor(sample[name][None])
        for name in ("gt_text", "gt_center", "mask", "gt_geometry", "gt_components")
    }
    outputs = top.head(top.neck(features), batch)
    np.testing.assert_allclose(outputs["maps"].numpy().reshape(-1)[::97], stored["maps"], atol=1e-5)
    np.testing.assert_array_equal(outputs["linked"].numpy(), stored["linked"])
    np.testing.assert_allclose(outputs["links"].numpy(), stored["links"], atol=1e-5)
    losses = DRRGLoss()(outputs, batch)
    np.testing.assert_allclose([float(value) for value in losses.values()], stored["losses"], rtol=1e-4)
    losses["loss"].backward()
    assert all(float(p.grad.abs().max()) > 0 for p in top.head.parameters() if not p.stop_gradient)


def test_the_model_has_the_parameters_of_paddleocr() -> None:
    model = build_model(compose("train", ["model=drrg_r50"]))
    found = {name: tuple(value.shape) for name, value in model.head.state_dict().items()}
    links = link_parameters(node_length(32 + 6))
    assert found == {"out_conv.weight": (6, 32, 1, 1), "out_conv.bias": (6,)} | {
        f"gcn.{name}": shape for name, shape in links.items()
    }
    assert model.neck.up4.weight.shape == [2048, 256, 4, 4]
    assert model.outputs == ("maps", "features", "graph")


def test_the_graph_network_is_the_same_without_paddle() -> None:
    """From the vector that a deployed network gives, with components at the border and without a size."""
    generator = np.random.default_rng(0)
    head = DRRGHead(2)
    head.eval()
    for kind in ("_mean", "bias"):
        getattr(head.gcn.bn0, kind).set_value(generator.normal(0, 0.3, head.gcn.length).astype(np.float32))
    maps = generator.normal(size=(8, 40, 60)).astype(np.float32)
    angles = generator.uniform(-np.pi, np.pi, 30)
    components = np.stack(
        [*generator.uniform(0, (60, 40), (30, 2)).T, generator.uniform(5, 30, 30), generator.uniform(8, 24, 30),
         np.cos(angles), np.sin(angles)], axis=1,
    )  # fmt: skip
    components[3, 2] = 0
    features = component_features(paddle.to_tensor(maps), components)
    np.testing.assert_allclose(drrg_links.component_features(maps, components), features.numpy(), atol=1e-4)
    assert not features.numpy()[3, : 12 * 8].any()
    graphs = local_graphs(components[:, :2])
    expected = nn.functional.softmax(head.gcn(features, graphs), axis=1)[:, 1].numpy()
    vector = head(paddle.zeros([1, 2, 32, 32]))["graph"].numpy()
    found = drrg_links.LinkNetwork(vector, 8)(features.numpy(), graphs)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3
    with pytest.raises(ValueError, match=r"^graph: expected \d+ numbers for 9 maps"):
        drrg_links.LinkNetwork(vector, 9)


def test_a_page_without_text_is_learned() -> None:
    sample = DRRGTargets(num_max_comps=20)(curved_text.sample_of([], size=(64, 64)), np.random.default_rng(0))
    batch = {name: paddle.to_tensor(sample[name][None]) for name in sample if name in ("mask", "gt_text")}
    batch |= {name: paddle.to_tensor(sample[name][None]) for name in sample if name.startswith("gt_")}
    outputs = DRRGHead(2)(paddle.randn([1, 2, 64, 64]), batch)
    losses = DRRGLoss()(outputs, batch)
    assert np.isfinite([float(value) for value in losses.values()]).all()
    assert not outputs["linked"].any() and float(losses["loss_height"]) == 0
    with pytest.raises(ValueError, match="needs the targets in training"):
        DRRGHead(2)(paddle.zeros([1, 2, 8, 8]))
    with pytest.raises(ValueError, match="ohem_ratio"):
        DRRGLoss(ohem_ratio=0)
