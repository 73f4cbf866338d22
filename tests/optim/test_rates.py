"""Rates of parts: which parameters they cover, what they do to a step of each optimizer, and what is refused."""

from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.optim.optimizers import Adadelta, Adam, AdamW, Momentum, RMSProp, build_optimizer
from ocrexp.optim.rates import rate_factors

NAMES = ["backbone.conv1.weight", "backbone.stage0.0.weight", "backbone.stage0.1.weight", "neck.fc.weight", "head.w"]
DEPTHS = {"conv1.weight": 1, "stage0.0.weight": 2, "stage0.1.weight": 3}


def test_the_longest_name_counts_and_others_have_1() -> None:
    found = rate_factors(NAMES, NAMES, {"backbone": 0.1, "backbone.stage0.1": 0.5, "head.w": 3})
    assert found.parameters == {
        "backbone.conv1.weight": 0.1, "backbone.stage0.0.weight": 0.1, "backbone.stage0.1.weight": 0.5, "head.w": 3.0,
    }  # fmt: skip
    assert found.groups == {"backbone": 0.1, "backbone.stage0.1": 0.5, "head.w": 3.0}
    assert found.describe(1e-3) == (
        "learning rates: backbone 0.0001 (× 0.1), backbone.stage0.1 0.0005 (× 0.5), head.w 0.003 (× 3); "
        "other parts 0.001"
    )
    assert rate_factors(NAMES, NAMES, {}).describe(1e-3) is None


def test_a_name_covers_whole_parts_only() -> None:
    names = ["head.conv.weight", "head.conv1.weight"]
    assert rate_factors(names, names, {"head.conv": 0.1}).parameters == {"head.conv.weight": 0.1}


def test_a_decay_by_layers_multiplies_and_leaves_neck_and_head() -> None:
    found = rate_factors(NAMES, NAMES, {"backbone": 0.5, "neck": 2}, 0.8, DEPTHS)
    assert found.parameters == pytest.approx({
        "backbone.conv1.weight": 0.5 * 0.8**3, "backbone.stage0.0.weight": 0.5 * 0.8**2,
        "backbone.stage0.1.weight": 0.5 * 0.8, "neck.fc.weight": 2.0,
    })  # fmt: skip
    assert found.groups == pytest.approx({"neck": 2.0, "backbone/first": 0.5 * 0.8**3, "backbone/last": 0.4})


@pytest.mark.parametrize(
    ("scale", "decay", "message"),
    [
        ({"bakbone": 0.1}, None, r"lr_scale: unknown part 'bakbone'; did you mean backbone\?"),
        ({"backbone.stage1": 0.1}, None, r"unknown part 'backbone.stage1'; did you mean backbone.stage0\?"),
        ({"xyz": 0.1}, None, "the model's parts are backbone, neck, head"),
        ({"backbone": 0.0}, None, r"lr_scale.backbone: expected a number above 0, got 0; model.freeze=\[backbone\]"),
        ({"backbone": "x"}, None, r"lr_scale.backbone: expected a number above 0, got 'x'"),
        (0.5, None, r"lr_scale: expected factors by part, as \{backbone: 0.1\}, or null, got 0.5"),
        ({"backbone": -1.0}, None, "expected a number above 0, got -1"),
        ({"backbone": float("nan")}, None, "expected a number above 0, got nan"),
        ({"head": 0.1}, None, "lr_scale.head: this part is frozen by model.freeze"),
        ({}, 0.0, "layer_decay: expected a number above 0, up to 1"),
        ({}, 1.5, "layer_decay: expected a number above 0, up to 1"),
    ],
)
def test_what_cannot_be_is_one_line(scale: Any, decay: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rate_factors(NAMES, NAMES[:-1], scale, decay, DEPTHS)


def test_a_model_without_blocks_has_no_decay_by_layers() -> None:
    with pytest.raises(ValueError, match="no backbone of several blocks"):
        rate_factors(NAMES, NAMES, {}, 0.75, {})


class Two(paddle.nn.Layer):
    """`slow` has a rate of its own, as PaddleOCR gives some parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = paddle.nn.Linear(3, 4)
        self.slow = self.create_parameter([4], attr=paddle.ParamAttr(learning_rate=0.25))
        self.last = paddle.nn.Linear(4, 2)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.last(paddle.tanh(self.first(x)) * self.slow)


def _moved(optimizer: Any, rates: dict[str, float] | None, **more: Any) -> dict[str, np.ndarray]:
    """What one step changes."""
    model = Two()
    for number, value in enumerate(model.parameters()):
        values = np.random.default_rng(number).uniform(0.2, 1.0, value.shape)
        value.set_value(paddle.to_tensor(values.astype("float32")))
    made = build_optimizer(model, optimizer, lr=0.01, rates=rates, clip_norm=0.5, **more)
    before = {name: value.numpy().astype("float64") for name, value in model.named_parameters()}
    model(paddle.ones([2, 3])).square().mean().backward()
    made.step()
    return {name: value.numpy() - before[name] for name, value in model.named_parameters()}


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), Momentum(), RMSProp(), Adadelta()])
@pytest.mark.parametrize("decay", [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "no_decay_1d": True}])
def test_a_step_is_scaled_part_by_part(optimizer: Any, decay: dict[str, Any]) -> None:
    """With coupled and decoupled decay, and clipping of all gradients together; a parameter's own rate is kept."""
    plain = _moved(optimizer, None, **decay)
    scaled = _moved(optimizer, {"first.weight": 0.1, "first.bias": 0.1, "slow": 3.0}, **decay)
    for name, expected in {
        "first.weight": 0.1,
        "first.bias": 0.1,
        "slow": 3.0,
        "last.weight": 1,
        "last.bias": 1,
    }.items():
        np.testing.assert_allclose(scaled[name], expected * plain[name], rtol=2e-3, atol=1e-7, err_msg=name)
    assert np.abs(plain["slow"]).max() > 0


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), Momentum()])
def test_a_parameter_s_own_rate_counts(optimizer: Any) -> None:
    """paddle's groups of parameters set it to 1."""
    model = Two()
    build_optimizer(model, optimizer, lr=0.01, rates={"slow": 0.5, "last.bias": 0.1})
    own = {name: value.optimize_attr["learning_rate"] for name, value in model.named_parameters()}
    assert own == {"first.weight": 1, "first.bias": 1, "slow": 0.125, "last.weight": 1, "last.bias": 0.1}
