"""`trainer.devices`: what it may be, and what it means on a machine."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from ocrexp.__main__ import main
from ocrexp.engine import devices as module
from ocrexp.engine import launch
from ocrexp.engine.devices import checked_devices, process_count, settle_devices
from ocrexp.engine.settings import TrainerSettings
from ocrexp.errors import ConfigError


def settled(monkeypatch: pytest.MonkeyPatch, gpus: int, devices: Any, device: str = "auto") -> tuple[Any, str]:
    monkeypatch.setattr(module, "gpu_count", lambda: gpus)
    config = OmegaConf.create({"trainer": {"devices": devices, "device": device}})
    OmegaConf.set_struct(config, True)
    settle_devices(config)
    return OmegaConf.to_container(config)["trainer"]["devices"], config.trainer.device  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("gpus", "devices", "device", "expected"),
    [
        (4, "auto", "auto", (4, "auto")),
        (0, "auto", "auto", (1, "auto")),
        (4, "auto", "cpu", (1, "cpu")),
        (4, "auto", "gpu:2", (1, "gpu:2")),
        (4, [0, 2], "gpu", ([0, 2], "gpu")),
        (4, [3], "auto", (1, "gpu:3")),
        (0, 2, "auto", (2, "auto")),
    ],
)
def test_what_it_means_here(monkeypatch, gpus, devices, device, expected):
    assert settled(monkeypatch, gpus, devices, device) == expected


@pytest.mark.parametrize(
    ("gpus", "devices", "device", "words"),
    [
        (2, [0, 2], "auto", ("trainer.devices=[0,2]", "GPU 2", "0 to 1")),
        (0, [0, 1], "auto", ("trainer.devices=[0,1]", "trainer.devices=2")),
        (2, [0, 1], "cpu", ("trainer.device is cpu", "trainer.device=gpu")),
        (2, 2, "gpu:1", ("trainer.device=gpu:1", "trainer.devices=[0,1]")),
    ],
)
def test_what_is_not_here(monkeypatch, gpus, devices, device, words):
    with pytest.raises(ConfigError) as caught:
        settled(monkeypatch, gpus, devices, device)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "all", [], [0, 0], [-1], ["0"], None])
def test_other_values_are_refused(value):
    with pytest.raises(ConfigError, match=r"trainer\.devices="):
        checked_devices(value)
    with pytest.raises(ConfigError, match=r"trainer\.devices="):
        TrainerSettings(devices=value)


@pytest.mark.parametrize("value", ["0,1", "gpu:0,gpu:1", "gpu:0,1"])
def test_paddleocrs_way_to_name_cards_is_answered(value):
    with pytest.raises(ConfigError) as caught:
        TrainerSettings(devices=value)
    assert "trainer.devices=[0,1]" in str(caught.value)
    with pytest.raises(ValueError) as caught:
        TrainerSettings(device=value if value.startswith("gpu") else f"gpu:{value}")
    assert "devices=[0,1]" in str(caught.value)


@pytest.mark.parametrize("argument", ["trainer.device=gpu:0,1", "trainer.device=gpu:0,gpu:1"])
def test_cards_typed_as_a_device_name_trainer_devices(argument, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([argument]) == 2
    assert "trainer.devices=[0,1]" in capsys.readouterr().err


def test_processes_are_counted():
    assert [process_count(value) for value in (3, [0, 2], "auto")] == [3, 2, 1]


def test_ranks_see_the_chosen_cards(monkeypatch):
    monkeypatch.setattr(launch, "gpu_count", lambda: 4)
    settings = TrainerSettings(devices=[0, 2])
    assert launch._arguments(2, settings, launch.Path("logs"))[:2] == ["--nproc_per_node", "2"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert launch._environment(settings, 2)["CUDA_VISIBLE_DEVICES"] == "0,2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5,GPU-abc,1")  # numbers are among the visible ones
    assert launch._environment(settings, 2)["CUDA_VISIBLE_DEVICES"] == "7,GPU-abc"
    monkeypatch.setattr(launch, "gpu_count", lambda: 2)  # a run resumed on a smaller machine
    assert launch._environment(settings, 2)["CUDA_VISIBLE_DEVICES"] == "7,5"
