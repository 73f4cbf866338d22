"""The average of weights: its values, and that evaluating it leaves the weights as they were."""

import numpy as np
import paddle
import pytest

from ocrexp.optim.ema import WeightAverage


def _model() -> paddle.nn.Layer:
    paddle.seed(3)
    return paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))


def test_average_of_known_weights() -> None:
    model = _model()
    weight = model[0].weight
    weight.set_value(paddle.zeros_like(weight))
    average = WeightAverage(model, decay=0.5)
    expected = 0.0
    for step in (1, 2, 100):
        weight.set_value(paddle.full_like(weight, float(step)))
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    np.testing.assert_allclose(average.state_dict()["0.weight"], expected, rtol=1e-6)


def test_running_statistics_are_averaged_too() -> None:
    model = _model()
    average = WeightAverage(model, decay=0.9)
    model.train()
    model(paddle.rand([2, 3, 8, 8]))
    before = average.state_dict()["1._mean"].copy()
    average.update(model, 1000)
    np.testing.assert_allclose(average.state_dict()["1._mean"], 0.9 * before + 0.1 * model[1]._mean.numpy(), atol=1e-7)


def test_the_weights_come_back_bit_for_bit_even_after_an_error() -> None:
    model = _model()
    average = WeightAverage(model, decay=0.5)
    with paddle.no_grad():
        model[0].weight.scale_(3.0)
    own = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="in the middle"), average.applied(model):
        assert not np.array_equal(model[0].weight.numpy(), own["0.weight"])
        raise RuntimeError("in the middle")
    for key, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), own[key])


def test_state_goes_round() -> None:
    model = _model()
    average = WeightAverage(model, decay=0.5)
    average.update(model, 1)
    other = WeightAverage(_model(), decay=0.5)
    other.load_state_dict(average.state_dict())
    for key, value in other.state_dict().items():
        assert np.array_equal(value, average.state_dict()[key])
