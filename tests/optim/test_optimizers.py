"""Five steps of each optimizer against PaddleOCR's recorded weights; decay groups; clipping; the rate's batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.optim import schedules
from ocrexp.optim.optimizers import Adadelta, Adam, AdamW, Momentum, RMSProp, build_optimizer, resolve_lr

# case -> our factory and what `optim` says beside it
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "Adam": (Adam(), {}),
    "Adam.L2": (Adam(), {"weight_decay": 0.05}),
    "Adam.clip_norm": (Adam(), {"clip_norm": 0.05, "clip_scope": "tensor"}),
    "Adam.clip_norm_global": (Adam(), {"clip_norm": 0.05}),
    "Adam.L2.clip_norm_global": (Adam(), {"clip_norm": 0.05, "weight_decay": 0.05}),
    "Adam.cosine_warmup": (Adam(), {"weight_decay": 3e-5}),
    "Adam.beta_0.5_epsilon_1e-4": (Adam(beta1=0.5, beta2=0.9, epsilon=1e-4), {}),
    "AdamW": (AdamW(), {"weight_decay": 0.05}),
    "AdamW.default_decay": (AdamW(), {"weight_decay": 0.01}),
    "AdamW.no_weight_decay_name": (AdamW(), {"weight_decay": 0.5, "no_decay_names": ["norm", "pos_embed"]}),
    "AdamW.one_dim": (AdamW(), {"weight_decay": 0.5, "no_decay_names": ["pos_embed"], "no_decay_1d": True}),
    # PaddleOCR takes a regularizer's factor as AdamW's decoupled decay; here it is named what it is.
    "AdamW.L2_regularizer": (AdamW(), {"weight_decay": 0.5}),
    "AdamW.clip_norm": (AdamW(), {"weight_decay": 0.05, "clip_norm": 0.05, "clip_scope": "tensor"}),
    "Momentum": (Momentum(), {}),
    "Momentum.L2": (Momentum(), {"weight_decay": 0.1}),
    "Momentum.L2.clip_norm": (Momentum(), {"weight_decay": 0.1, "clip_norm": 0.05, "clip_scope": "tensor"}),
    "Momentum.L2.clip_norm_global": (Momentum(), {"weight_decay": 0.1, "clip_norm": 0.05}),
    "Momentum.weight_decay_key": (Momentum(), {"weight_decay": 0.1}),
    "RMSProp": (RMSProp(rho=0.9), {}),
    "RMSProp.L2": (RMSProp(), {"weight_decay": 0.05}),
    "Adadelta": (Adadelta(), {}),
}
# Not offered: L1 decay (`Adam.L1`).


class Model(paddle.nn.Layer):
    """The recording's seven parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = paddle.nn.Linear(6, 8)
        self.norm = paddle.nn.LayerNorm(8, epsilon=1e-5)
        self.pos_embed = self.create_parameter([1, 8])
        self.fc2 = paddle.nn.Linear(8, 3)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc2(paddle.tanh(self.norm(self.fc1(x)) + self.pos_embed))


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    cases = json.loads((golden / "optim/optimizers.json").read_text())["cases"]
    with np.load(golden / "optim/optimizers.npz") as arrays:
        return cases, dict(arrays)


@pytest.mark.parametrize("case", CASES)
def test_five_steps_equal_the_recorded_ones(case: str, recorded: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    cases, arrays = recorded
    rates = cases[case]["learning_rates"]
    model = Model()
    model.set_state_dict({key: arrays[f"init.{key}"] for key in model.state_dict()})
    factory, arguments = CASES[case]
    optimizer = build_optimizer(model, factory, lr=rates[0] or 1.0, **arguments)
    for step in range(5):
        optimizer.set_lr(rates[step])
        output = model(paddle.to_tensor(arrays["x"][step]))
        loss = paddle.nn.functional.mse_loss(output, paddle.to_tensor(arrays["y"][step]))
        assert float(loss) == pytest.approx(cases[case]["losses"][step], abs=1e-6)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        if step + 1 in (1, 5):
            for key, value in model.state_dict().items():
                np.testing.assert_allclose(value.numpy(), arrays[f"{case}.step{step + 1}.{key}"], atol=1e-6, rtol=1e-6)


def test_the_recorded_rates_come_from_our_schedule(recorded: tuple[dict[str, Any], dict[str, np.ndarray]]) -> None:
    schedule = schedules.Cosine(
        lr=0.01, total_steps=30, steps_per_epoch=3, warmup_epochs=1, warmup_start=0.0, warmup_extends=True
    )
    expected = recorded[0]["Adam.cosine_warmup"]["learning_rates"]
    assert [schedule(step) for step in range(5)] == pytest.approx(expected, abs=1e-12)


def _one_step(**arguments: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights before and after one plain SGD step whose gradients are all zero: only decay moves them."""
    paddle.seed(0)
    model = Model()
    for parameter in model.parameters():
        parameter.set_value(paddle.ones_like(parameter))
    optimizer = build_optimizer(model, Momentum(momentum=0.0), lr=1.0, **arguments)
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    (model(paddle.ones([2, 6])) * 0).sum().backward()
    optimizer.step()
    return before, {key: value.numpy() for key, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("arguments", "still"),
    [
        ({}, set()),
        ({"no_decay_1d": True}, {"fc1.bias", "fc2.bias", "norm.weight", "norm.bias"}),
        ({"no_decay_names": ["fc1", "pos"]}, {"fc1.weight", "fc1.bias", "pos_embed"}),
    ],
)
def test_excluded_parameters_do_not_decay(arguments: dict[str, Any], still: set[str]) -> None:
    before, after = _one_step(weight_decay=0.1, **arguments)
    unmoved = {key for key in before if np.array_equal(before[key], after[key])}
    assert unmoved == still
    for key in before.keys() - still:
        np.testing.assert_allclose(after[key], before[key] * 0.9, rtol=1e-6)


def test_frozen_parameters_stay_out(recorded: Any) -> None:
    model = Model()
    for parameter in model.fc1.parameters():
        parameter.stop_gradient = True
    optimizer = build_optimizer(model, Adam(), lr=0.1, weight_decay=0.1)
    before = model.fc1.weight.numpy().copy()
    model(paddle.ones([2, 6])).sum().backward()
    optimizer.step()
    assert np.array_equal(model.fc1.weight.numpy(), before)
    for parameter in model.parameters():
        parameter.stop_gradient = True
    with pytest.raises(ValueError, match="frozen"):
        build_optimizer(model, Adam(), lr=0.1)


def test_a_name_that_excludes_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="'pos_embd'"):
        build_optimizer(Model(), Adam(), lr=0.1, no_decay_names=["pos_embd"])


def test_the_rate_follows_the_batch_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert resolve_lr(1e-3, batch=8, reference_batch=16, scale_lr=True) == pytest.approx(5e-4)
    assert "scaled to 0.0005" in caplog.text
    assert resolve_lr(1e-3, batch=8, reference_batch=16, scale_lr=False) == 1e-3
    assert "scale_lr=true would use 0.0005" in caplog.text
    with pytest.raises(ValueError, match="reference_batch"):
        resolve_lr(1e-3, batch=8, reference_batch=None, scale_lr=True)
