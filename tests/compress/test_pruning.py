"""Pruned networks give what the whole network gives where the removed channels count for nothing, and they train on."""

import re

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_charset
from ocrexp.assemble.model import build_network
from ocrexp.compress import pruning
from ocrexp.compress.channels import Structure, find_structure
from ocrexp.compress.pruning import GroupChoice
from ocrexp.config.compose import compose
from ocrexp.export.network import for_inference
from ocrexp.models.summary import summarize
from ocrexp.models.widths import apply_widths

NETWORKS = {
    "db_mbv3": ["model.backbone.scale=0.35", "model.neck.out_channels=32"],
    "ppocrv4_det": ["model.backbone.scale=0.35", "model.backbone.conv_kxk_num=2", "model.neck.out_channels=32"],
    "ppocrv6_tiny_rec_ctc": ["charset=characters", "charset.characters='abc '"],
}


def made(name):
    """A network with weights that are not those of its start, and a picture for it."""
    config = compose("train", [f"model={name}", *NETWORKS[name]])
    paddle.seed(0)
    model = build_network(config, build_charset(config))
    rng = np.random.default_rng(0)
    for key, value in model.state_dict().items():
        if value.ndim == 1:
            low, high = (0.5, 1.5) if key.endswith(("weight", "_variance")) else (-0.2, 0.2)
            value.set_value(rng.uniform(low, high, value.shape).astype(np.float32))
    model.eval()
    shape = config.model.get("image_shape")
    size = (32, 64) if shape is None else (shape[0], 32)
    return config, model, rng.integers(0, 255, (1, *size, 3), dtype=np.uint8), (shape[0] if shape else 32, 32)


def outputs(model, image):
    with paddle.no_grad():
        return model(paddle.to_tensor(image))[model.output].numpy()


def test_the_work_is_that_of_whole_images_not_of_the_small_ones_that_show_the_channels():
    config, model, _, size = made("db_mbv3")
    structure = find_structure(build_network(config, build_charset(config)), size)
    summary = summarize(model)  # of 640×640, 16 times the work of 160×160
    assert sum(structure.work.values()) * 16 == summary.macs


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_is_the_whole_one_without_the_channels(name, monkeypatch):
    monkeypatch.setattr(pruning, "MEASURED", (0.75,))
    config, model, image, size = made(name)
    structure = find_structure(build_network(config, build_charset(config)), size)
    assert sum(group.channels for group in structure.groups) > 100
    inputs = [model.prepare(paddle.to_tensor(image)).numpy()]
    layers = dict(model.named_sublayers())
    choices = pruning.choose(model, structure, inputs, 0.5)
    changed = [choice for choice in choices if len(choice.kept) < choice.group.channels]
    assert changed
    for choice in changed:  # the channels stay, and nothing reads them
        removed = np.setdiff1d(np.arange(choice.group.channels), choice.kept)
        for place in choice.group.places:
            if place.mixes:
                weight = layers[place.layer].weight
                array = weight.numpy().copy()
                axis = 1 if isinstance(layers[place.layer], paddle.nn.Conv2D) else 0
                np.moveaxis(array, axis, 0)[place.first + removed] = 0
                weight.set_value(array)
    expected = outputs(model, image)
    widths = pruning.prune(model, choices)
    np.testing.assert_allclose(outputs(model, image), expected, atol=2e-5)

    again = build_network(config, build_charset(config))
    apply_widths(again, widths)  # as a configuration with `model.widths` does
    again.set_state_dict(model.state_dict())
    again.eval()
    np.testing.assert_array_equal(outputs(again, image), outputs(model, image))
    again.train()
    given = again(paddle.to_tensor(image))
    sum(value.mean() for value in given.values()).backward()
    assert {id(value) for value in again.backbone.parameters() if value.grad is not None}
    fused = for_inference(model)
    np.testing.assert_allclose(outputs(fused, image), expected, atol=1e-4)


def test_a_share_out_of_reach_names_one_that_is_not(monkeypatch):
    monkeypatch.setattr(pruning, "_sensitivities", lambda model, layers, groups, *_: [(0.1, 0.2, 0.3)] * len(groups))
    config, model, _, size = made("db_mbv3")
    structure = find_structure(build_network(config, build_charset(config)), size)
    for most in (0.25, 0.5, 0.75):
        with pytest.raises(ValueError, match=r"^flops=0.01: .* set flops to this or more") as caught:
            pruning.choose(model, structure, [], 0.01, most=most)
        named = float(re.search(r"leaves (0\.\d+) of the work", str(caught.value))[1])
        assert pruning.choose(model, structure, [], named, most=most)
    with pytest.raises(ValueError, match=r"leaves 1.00 of the work; raise most"):
        pruning.choose(model, structure, [], 0.9, most=0.01)
    with pytest.raises(ValueError, match=r"^multiple=100000: .*; lower multiple$"):
        pruning.choose(model, structure, [], 0.9, multiple=100_000)
    nothing = Structure([], {"head": "a reshape"}, structure.work)
    with pytest.raises(ValueError, match=r"no channels of this network can be removed \(a reshape\); use it as it is"):
        pruning.choose(model, nothing, [], 0.9)


def test_the_maps_of_a_backbone_can_be_pruned():
    config, model, _, size = made("ppocrv4_det")
    structure = find_structure(build_network(config, build_charset(config)), size)
    before = summarize(model, (32, 32)).macs
    choices = [GroupChoice(group, np.arange(group.channels // 2), (0.0, 0.0, 0.0)) for group in structure.groups]
    widths = pruning.prune(model, choices)
    maps = model.backbone(paddle.rand([1, 3, 32, 32]))
    assert sum(one.shape[1] for one in maps) < sum(model.backbone.out_channels)
    assert summarize(model, (32, 32)).macs < before
    again = build_network(config, build_charset(config))
    apply_widths(again, widths)
    assert summarize(again, (32, 32)).macs == summarize(model, (32, 32)).macs
