"""Signatures: what a node says must be what its target takes."""

from typing import Literal

import pytest
from omegaconf import OmegaConf, open_dict

from ocrexp.config.check import check, check_early, fits
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError, report_error


class Part:
    def __init__(
        self, width: int, ratio: float = 0.5, mode: Literal["fast", "slow"] = "fast", names: list[str] | None = None
    ):
        self.width = width


HERE = f"{__name__}.Part"


def node(**values):
    return OmegaConf.create({"part": {"_target_": HERE, **values}})


def test_fitting_node_passes():
    check(node(width=3, ratio=1, mode="slow", names=["a"]))
    check(node(_partial_=True))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 3, "ratoi": 1}, "unknown key part.ratoi: Part has no argument 'ratoi'; did you mean ratio?"),
        ({}, "part: missing width; add part.width=…"),
        ({"width": "wide"}, "part.width: expected a whole number, got 'wide'"),
        ({"width": 3, "mode": "medium"}, "part.mode: expected one of fast, slow, got 'medium'"),
        ({"width": 3, "names": "abc"}, "part.names: expected list[str] or null, got 'abc'"),
        ({"width": "???"}, "part.width: has no value; add part.width=…"),
    ],
)
def test_misfits_are_named(values, message):
    with pytest.raises(ConfigError) as caught:
        check(node(**values))
    assert str(caught.value) == message


def test_all_misfits_are_named_at_once(capsys):
    wrong = OmegaConf.create(
        {
            "part": {"_target_": HERE, "ratoi": 1, "mode": "medium"},
            "other": {"_target_": "ocrexp.nowhere.Thing"},
        }
    )
    with pytest.raises(ConfigError) as caught:
        check(wrong)
    expected = ("part.ratoi", "part.mode", "part: missing width", "other._target_")
    assert len(caught.value.lines) == len(expected)
    assert all(key in line for key, line in zip(expected, caught.value.lines, strict=True))
    report_error(caught.value)
    printed = capsys.readouterr().err.splitlines()
    assert printed == [f"ocrexp: {line}" for line in caught.value.lines]


def test_what_needs_no_import_is_named_at_once_too():
    overrides = ["+trainer.max_step=5", "+loader.batch=2", "seed=no", "+nothing=1", "loss.ohem_ratoi=3"]
    config = compose("train", overrides[:-1])
    with open_dict(config):
        config.loss.ohem_ratoi = 3
        config.postprocess.thresh = "???"
    with pytest.raises(ConfigError) as caught:
        check_early(config)
    for key in ("trainer.max_step", "loader.batch", "seed", "nothing", "loss.ohem_ratoi", "postprocess.thresh"):
        assert sum(key in line.partition(";")[0] for line in caught.value.lines) == 1, key


def test_targets_that_are_not_there():
    with pytest.raises(ConfigError, match=r"module ocrexp\.nowhere is neither installed"):
        check(OmegaConf.create({"x": {"_target_": "ocrexp.nowhere.Thing"}}))
    with pytest.raises(ConfigError, match=r"_target_: expected module\.Class, got"):
        check(OmegaConf.create({"x": {"_target_": "Thing"}}))
    with pytest.raises(ConfigError, match="did you mean ConfigError"):
        check(OmegaConf.create({"x": {"_target_": "ocrexp.errors.ConfigErrors"}}))


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, float, True),
        (True, int, False),
        (1.0, int, False),
        (None, int | None, True),
        ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False),
        ([1, "a"], list[int], False),
        ({"_target_": "x"}, int, True),
    ],
)
def test_fits(value, hint, expected):
    assert fits(value, hint) is expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.max_step=5", "unknown key trainer.max_step: 'max_step' does not exist in trainer; did you mean "),
        ("+optim.lrr=1", "unknown key optim.lrr: 'lrr' does not exist in optim; did you mean lr?"),
        ("+loader.zzz=1", "unknown key loader.zzz: 'zzz' does not exist in loader; known keys: batch_size, "),
        ("seed=first", "seed: expected a whole number, got 'first'"),
    ],
)
def test_a_plus_does_not_open_a_closed_node(override, message):
    with pytest.raises(ConfigError) as caught:
        check(compose("train", [override]))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+modell.x=3", ["modell", "did you mean model?"]),
        ("+logger.wandb.project=x", ["logger.wandb", "logger=wandb"]),
        ("+callbacks.early_stopping.patience=5", ["callbacks.early_stopping", "callbacks=early_stopping"]),
        ("+augment.blur.p=1", ["augment.blur", "_target_"]),
        ("model.backbone=resnet18_vd", ["model.backbone", "model/backbone=resnet18_vd"]),
        ("optim.optimizer=adam", ["optim.optimizer", "choose it with optimizer=adam"]),
        ("optim.schedule=cosin", ["optim.schedule", "did you mean scheduler=cosine?"]),
        ("optim=3", ["optim", "3"]),
    ],
)
def test_what_no_part_reads_is_refused(override, words):
    with pytest.raises(ConfigError) as caught:
        check_early(compose("train", [override]))
    for word in words:
        assert word in str(caught.value)
