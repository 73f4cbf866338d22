"""Trainings of PaddleOCR that a run continues: the next step is the one that PaddleOCR would have made."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.engine.settings import RunPlan
from ocrexp.engine.start_from import start_from
from ocrexp.errors import CheckpointError

PLAN = RunPlan(batches_per_epoch=5, steps_per_epoch=5, total_steps=20, total_epochs=4)


def parts(kind: Any, units: int = 3, rate: Any = 0.01) -> tuple[paddle.nn.Layer, paddle.optimizer.Optimizer]:
    model = paddle.nn.Sequential(paddle.nn.Linear(2, units), paddle.nn.BatchNorm(units))
    return model, kind(rate, parameters=model.parameters())


def learn(model: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer, number: int) -> None:
    model(paddle.to_tensor(np.random.default_rng(number).random((4, 2), np.float32))).square().sum().backward()
    optimizer.step()
    optimizer.clear_grad()


def save(folder: Path, model: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer, **states: Any) -> Path:
    """As PaddleOCR's save_model."""
    paddle.save(optimizer.state_dict(), str(folder / "latest.pdopt"))
    paddle.save(model.state_dict(), str(folder / "latest.pdparams"))
    content = {"best_model_dict": {"hmean": np.float64(0.5)}, "epoch": 2, "global_step": 11, **states}
    (folder / "latest.states").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "latest"


@pytest.mark.parametrize("kind", [paddle.optimizer.Adam, paddle.optimizer.Momentum])
def test_the_next_step_is_that_of_the_training(tmp_path: Path, kind: Any) -> None:
    theirs, optimizer = parts(kind, rate=paddle.optimizer.lr.ExponentialDecay(0.01, 0.9))  # its state is in the file
    for number in range(3):
        learn(theirs, optimizer, number)
    path = save(tmp_path, theirs, optimizer)
    ours, own = parts(kind)  # its layers have other numbers in paddle's names
    state = start_from(ours, own, path, PLAN)
    assert (state.epoch, state.step, state.batch, state.best_value) == (2, 10, 0, None)
    for each in ((theirs, optimizer), (ours, own)):
        learn(*each, 7)
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy(), err_msg=name)


class Several(paddle.nn.Layer):
    """Networks as sublayers of these names."""

    def __init__(self, **networks: paddle.nn.Layer) -> None:
        super().__init__()
        for name, network in networks.items():
            self.add_sublayer(name, network)


def network() -> paddle.nn.Layer:
    return Several(fc=paddle.nn.Linear(2, 3), norm=paddle.nn.BatchNorm(3))


def losses(*networks: Any) -> paddle.Tensor:
    x = paddle.to_tensor(np.random.default_rng(len(networks)).random((4, 2), np.float32))
    return sum((one.norm(one.fc(x)).square().sum() for one in networks), paddle.zeros([]))


def ours(*others: str) -> paddle.nn.Layer:
    """The student's layers under their own names, others under the names of their networks."""
    student = network()
    return Several(fc=student.fc, norm=student.norm, **{name: network() for name in others})


@pytest.mark.parametrize(("second", "fixed"), [("Student2", True), ("Teacher", False), (None, True)])
def test_the_networks_of_a_distillation_are_found(tmp_path: Path, second: str | None, fixed: bool) -> None:
    names = dict.fromkeys(["Student", *([second] if second else []), "Teacher"])
    theirs = Several(**{name: network() for name in names})
    learns = [getattr(theirs, name) for name in names if name != "Teacher" or not fixed]
    parameters = [parameter for one in learns for parameter in one.parameters()]
    optimizer = paddle.optimizer.Adam(0.01, parameters=parameters)
    losses(*learns).backward()
    optimizer.step()
    optimizer.clear_grad()
    path = save(tmp_path, theirs, optimizer)

    model = ours(*(["student2"] if second else []))
    own = paddle.optimizer.Adam(0.01, parameters=model.parameters())
    start_from(model, own, path, PLAN)
    for each, networks in ((optimizer, learns), (own, [model, *([model.student2] if second else [])])):
        losses(*networks).backward()
        each.step()
    expected = learns[0].state_dict()
    if second:
        expected |= {f"student2.{name}": value for name, value in learns[1].state_dict().items()}
    assert sorted(model.state_dict()) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), value.numpy(), err_msg=name)


def test_a_projection_is_in_no_checkpoint_of_paddleocr(tmp_path: Path) -> None:
    theirs = Several(Student=network())
    optimizer = paddle.optimizer.Adam(0.01, parameters=theirs.parameters())
    losses(theirs.Student).backward()
    optimizer.step()
    model = ours("projection")
    own = paddle.optimizer.Adam(0.01, parameters=model.parameters())
    with pytest.raises(CheckpointError, match=r"no projection of features.*model\.pretrained"):
        start_from(model, own, save(tmp_path, theirs, optimizer), PLAN)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no .pdopt", r"latest\.pdopt not found .* model\.pretrained"),
        ("no .states", r"latest\.states not found"),
        ("other optimizer", r"latest\.pdopt: has no velocity of Momentum.*optimizer=NAME"),
        ("other model", r"wrong shape of 0\.bias \(\[3\], expected \[4\]\).* \(0: 0 of 2 fit, 1: 0 of 4\)"),
        ("no names", r"does not state paddle's name of 0\.weight"),
        ("ended", r"has finished 4 epochs, and this run ends after 4; raise trainer\.max_epochs"),
        ("code", r"latest\.states: .*asks to import os\.system"),
    ],
)
def test_what_cannot_be_continued_is_one_line(tmp_path: Path, fault: str, reason: str) -> None:
    model, optimizer = parts(paddle.optimizer.Adam)
    learn(model, optimizer, 0)
    path = save(tmp_path, model, optimizer, **({"epoch": 4} if fault == "ended" else {}))
    if fault.startswith("no ."):
        (tmp_path / f"latest{fault[3:]}").unlink()
    if fault == "no names":
        values = {name: value.numpy() for name, value in model.state_dict().items()}
        (tmp_path / "latest.pdparams").write_bytes(pickle.dumps(values, protocol=4))
    if fault == "code":
        (tmp_path / "latest.states").write_bytes(b"cos\nsystem\n(S'exit 3'\ntR.")
    kind = paddle.optimizer.Momentum if fault == "other optimizer" else paddle.optimizer.Adam
    with pytest.raises(CheckpointError, match=reason) as error:
        start_from(*parts(kind, 4 if fault == "other model" else 3), path, PLAN)
    assert "\n" not in str(error.value)
