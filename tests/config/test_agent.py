"""What `wandb agent` passes to a run is what the sweep's file says, made by the agent's own code."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ocrexp.commands import copy
from ocrexp.config.arguments import arrange
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.task import with_default_model
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.wandb_ids import agents_name

pytest.importorskip("wandb", reason="wandb is not installed: pip install 'ocrexp[wandb]'")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`agent(values, macro)`: the words with which an agent starts a run, in an environment as it makes it."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
    from wandb.sdk.lib.config_util import save_config_file_from_dict

    def words(values: dict[str, Any], macro: str = "args_no_hyphens") -> list[str]:
        arguments = {key: {"value": value} for key, value in values.items()}
        file = tmp_path / "wandb" / "sweep-s1" / "config-r1.yaml"
        save_config_file_from_dict(str(file), arguments)
        monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(file))
        monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
        monkeypatch.setenv("WANDB_RUN_ID", "r1")
        return create_sweep_command_args({"args": arguments})[macro]

    return words


VALUES = {
    "optim.lr": 1e-05,
    "optim.clip_norm": None,
    "loader.batch_size": 8,
    "loader.shuffle": False,
    "dataset": "det_list",
    "dataset.root": "/data/my pages {1}, (x)",
    "dataset.train_labels": ["a, b.txt", "it's.txt"],
    "augment.warp.size": [96, 128],
    "model/backbone": "resnet18_vd",
    "name": "a 'b' {c} [d] =e",
    "optim.lr_scale": {"backbone": 0.1, "head": 1},
    "trainer.max_steps": "12",
}


@pytest.mark.parametrize("macro", ["args", "args_no_hyphens"])
def test_values_arrive_as_the_sweep_has_them(agent, macro: str) -> None:
    words = agent(VALUES, macro)
    config = compose("train", with_default_model(arrange("train", ["experiment=quickstart", *words])))
    assert config.optim.lr == 1e-05 and config.optim.clip_norm is None
    assert config.loader.batch_size == 8 and config.loader.shuffle is False
    assert config.dataset.root == VALUES["dataset.root"]
    assert list(config.dataset.train_labels) == VALUES["dataset.train_labels"]
    assert list(config.augment.warp.size) == [96, 128]
    assert config.model.backbone._target_.endswith("ResNetVd") or "resnet" in config.model.backbone._target_.lower()
    assert config.name == VALUES["name"]
    assert dict(config.optim.lr_scale) == VALUES["optim.lr_scale"]
    assert config.trainer.max_steps == 12


def test_values_typed_as_texts_keep_their_meaning(agent) -> None:
    """`1e-4` is a text in YAML 1.1; lists are often written as texts in definitions of sweeps."""
    words = agent({"optim.lr": "1e-4", "augment.warp.size": "[96,96]"})
    config = compose("train", arrange("train", ["experiment=quickstart", *words]))
    assert config.optim.lr == 1e-4 and list(config.augment.warp.size) == [96, 96]


def test_a_run_is_named_by_its_values(agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent({"optim.lr": 0.001, "loader.batch_size": 8})
    run = RunInfo("db 2026", tmp_path)
    assert agents_name(run) == "optim.lr=0.001, loader.batch_size=8"
    monkeypatch.delenv("WANDB_SWEEP_ID")
    assert agents_name(run) is None, "without an agent the run has its own name"


def test_other_arguments_are_left_alone(agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent({"seed": None})
    assert arrange("train", ["seed=3", "loader.shuffle=true"]) == ["seed=3", "loader.shuffle=true"]
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(Path(os.devnull) / "none"))
    assert arrange("train", ["seed=3"]) == ["seed=3"]


def test_the_shipped_sweep_is_one_that_composes(agent) -> None:
    """The first value of each parameter, passed by the command of the file."""
    sweep = yaml.safe_load(copy.FILES["wandb-sweep"].read_text())
    chosen = {key: one["values"][0] if "values" in one else one["min"] for key, one in sweep["parameters"].items()}
    command = sweep["command"]
    assert command[:4] == ["${env}", "python", "-m", "ocrexp"] and command[-1] == "${args_no_hyphens}"
    config = compose("train", arrange("train", [*command[4:-1], *agent(chosen)]))
    check(config)
    assert (config.optim.lr, config.loader.batch_size, config.optim.clip_norm) == (0.0001, 4, None)
    assert "wandb" in config.logger
    assert sweep["metric"]["name"] == f"val/{config.metric.get('main', 'hmean')}"
