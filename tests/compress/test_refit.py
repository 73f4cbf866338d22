"""Layers that lose inputs are fitted again: what the remaining channels can tell is not lost."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ocrexp.compress import products
from ocrexp.compress.channels import ChannelRange, Group
from ocrexp.compress.images import first_pixels
from ocrexp.compress.moments import Moments, remove_inputs
from ocrexp.compress.order import removal_order
from ocrexp.compress.products import columns_at, matrix_of, results_at, set_matrix, some_places
from ocrexp.compress.pruning import GroupChoice, prune
from ocrexp.compress.refit import refit

LAYERS = {
    "1x1": (lambda: nn.Conv2D(6, 5, 1), [2, 6, 7, 9]),
    "3x3 with strides": (lambda: nn.Conv2D(6, 5, (3, 5), stride=(2, 1), padding=(1, 2)), [2, 6, 7, 9]),
    "dilated, no bias": (lambda: nn.Conv2D(6, 5, 3, dilation=2, padding=2, bias_attr=False), [2, 6, 7, 9]),
    "transposed": (lambda: nn.Conv2DTranspose(6, 5, 2, stride=2), [2, 6, 7, 9]),
    "linear": (lambda: nn.Linear(6, 5), [2, 8, 6]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_a_product_of_what_it_reads_and_its_weights(name):
    made, shape = LAYERS[name]
    paddle.seed(0)
    layer, x = made(), paddle.rand(shape)
    output = layer(x)
    places = some_places(layer, (x,), output, np.random.default_rng(0))
    assert places is not None
    own = columns_at(layer, x, places) @ matrix_of(layer) + products.bias_of(layer)
    np.testing.assert_allclose(own, results_at(layer, output, places), atol=1e-5)
    weight = layer.weight.numpy()
    set_matrix(layer, matrix_of(layer))
    np.testing.assert_array_equal(layer.weight.numpy(), weight)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2DTranspose(6, 5, 3, stride=2, padding=1), nn.Conv2D(6, 5, 3, padding="SAME")],
    ids=["overlapping kernels", "padding by name"],
)
def test_a_layer_that_is_no_such_product_is_left_alone(layer):
    x = paddle.rand([1, 6, 8, 8])
    assert some_places(layer, (x,), layer(x), np.random.default_rng(0)) is None


class Net(nn.Layer):
    """Two convolutions; half of the channels between them follow from the others."""

    output = "maps"

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2D(3, 8, 1), nn.Conv2D(8, 4, 3, padding=1)
        weight, bias = self.first.weight.numpy(), np.arange(1, 9, dtype=np.float32)
        weight[4:], bias[4:] = 2 * weight[:4], 2 * bias[:4]
        self.first.weight.set_value(weight)
        self.first.bias.set_value(bias)

    def forward(self, x):
        return {"maps": self.second(nn.functional.relu(self.first(x)))}


@pytest.fixture
def setting(monkeypatch):
    monkeypatch.setattr(products, "RIDGE", 1e-7)
    paddle.seed(0)
    model = Net()
    images = [paddle.rand([2, 3, 12, 12]).numpy(), paddle.rand([1, 3, 12, 12]).numpy()]
    group = Group(["first"], {ChannelRange("second", 0, True)}, 8)
    return model, images, GroupChoice(group, np.arange(4), (0.0, 0.0, 0.0))


def of(model, images):
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(images))["maps"].numpy()


def test_what_the_other_channels_tell_is_kept(setting):
    model, images, choice = setting
    before = of(model, images[0])
    assert refit(model, [choice], images) == 2
    prune(model, [choice])
    assert model.first.weight.shape == [4, 3, 1, 1] and model.second.weight.shape == [4, 4, 3, 3]
    np.testing.assert_allclose(of(model, images[0]), before, atol=1e-3 * np.abs(before).max())


def test_the_measured_sensitivity_is_that_of_the_fitted_layer(setting):
    model, images, _ = setting
    before = of(model, images[0])
    moments = Moments(model, images)
    assert set(moments.of) == {"first", "second"} and moments.of["second"].shape == (8 * 9 + 1, 8 * 9 + 1)
    weight, bias = model.second.weight.numpy(), model.second.bias.numpy()
    changes = []
    for known in (None, moments.of["second"]):
        model.second.weight.set_value(weight)
        model.second.bias.set_value(bias)
        remove_inputs(model.second, np.arange(4, 8), known)
        assert not model.second.weight.numpy()[:, 4:].any()
        changes.append(np.abs(of(model, images[0]) - before).mean())
    assert changes[1] < 0.01 * changes[0]


def test_thinet_removes_what_the_others_can_replace(setting):
    model, images, choice = setting
    weight = model.first.weight.numpy()
    weight[4:6], weight[6:] = (
        3 * weight[:2],
        0.1 * weight[6:][:, ::-1],
    )  # the smallest are not those that can be replaced
    model.first.weight.set_value(weight)
    model.first.bias.set_value(np.array([0.1, 0.2, 0.3, 0.1, 0.3, 0.6, 0.1, 0.2], np.float32))
    layers, moments = dict(model.named_sublayers()), Moments(model, images)
    before = of(model, images[0])
    lost = {}
    for criterion in ("thinet", "l1"):
        order = removal_order(layers, choice.group, criterion, moments)
        assert sorted(order) == list(range(8))
        kept = model.second.weight.numpy(), model.second.bias.numpy()
        remove_inputs(model.second, order[:2], moments.of["second"])
        lost[criterion] = np.abs(of(model, images[0]) - before).mean()
        model.second.weight.set_value(kept[0])
        model.second.bias.set_value(kept[1])
    assert lost["thinet"] < 0.1 * lost["l1"]


def test_the_error_of_a_removal_is_that_of_the_new_fit(setting):
    model, images, _ = setting
    model.first.weight.set_value(paddle.randn([8, 3, 1, 1]))
    model.first.bias.set_value(paddle.zeros([8]))
    moments = Moments(model, images)
    layers = dict(model.named_sublayers())
    group = Group(["first"], {ChannelRange("second", 0, True)}, 8)
    first = int(removal_order(layers, group, "thinet", moments)[0])
    square, before = moments.of["second"], matrix_of(model.second)
    errors = []
    for channel in range(8):
        kept = model.second.weight.numpy(), model.second.bias.numpy()
        remove_inputs(model.second, np.array([channel]), square)
        change = np.concatenate([matrix_of(model.second) - before, [model.second.bias.numpy() - kept[1]]])
        errors.append(np.einsum("io,ij,jo->", change, square, change))
        model.second.weight.set_value(kept[0])
        model.second.bias.set_value(kept[1])
    assert first == int(np.argmin(errors))


def test_one_batch_has_as_many_images_as_the_memory_takes():
    batches = [np.zeros((2, 3, 8, 8)), np.zeros((1, 3, 8, 16)), np.zeros((1, 3, 8, 8))]
    assert [image.shape for image in first_pixels(batches, 400)] == [(1, 3, 8, 8), (1, 3, 8, 8), (1, 3, 8, 16)]
    assert len(first_pixels(batches, 383)) == 2  # three of 8×16 pixels, as the widest has them, are 384
    assert len(first_pixels(batches, 1)) == 1
    assert first_pixels([], 100) == []
