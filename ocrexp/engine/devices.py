"""`trainer.devices`: a number of processes, auto, or a list of cards. paddle is imported to count GPUs only."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

AUTO = "auto"
_EXPECTED = "1 or more, auto, or a list of GPUs such as [0,2]"


def checked_devices(value: Any) -> int | str | list[int]:
    """The value of `trainer.devices` as an int, "auto" or a list of card numbers; raises ConfigError for another."""
    if value == AUTO:
        return AUTO
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, Iterable) and not isinstance(value, str):
        cards = list(value)
        whole = all(isinstance(card, int) and not isinstance(card, bool) and card >= 0 for card in cards)
        if cards and whole and len(set(cards)) == len(cards):
            return cards
        raise ConfigError(f"trainer.devices={cards}: expected different GPU numbers, 0 or more, such as [0,2]")
    hint = f"; write trainer.devices=[{cards_in(value)}]" if isinstance(value, str) and cards_in(value) else ""
    raise ConfigError(f"trainer.devices={value}: expected {_EXPECTED}{hint}")


def cards_in(text: str) -> str:
    """The card numbers in a text such as "gpu:0,1" or "0,1", as "0,1"; empty for any other text."""
    numbers = [item.strip().removeprefix("gpu:").removeprefix("cuda:") for item in text.strip("[]").split(",")]
    return ",".join(numbers) if all(number.isdigit() for number in numbers) else ""


def process_count(value: Any) -> int:
    """How many processes `trainer.devices` asks for; auto counts as 1 until `settle_devices` has settled it."""
    devices = checked_devices(value)
    if isinstance(devices, list):
        return len(devices)
    return 1 if devices == AUTO else int(devices)


def settle_devices(config: DictConfig) -> None:
    """Write into a run's configuration what `trainer.devices` means on this machine, before the run is prepared.

    auto becomes the number of GPUs (1 if there is none or one is chosen), so that a resumed run has as many
    processes. A list of one card becomes `trainer.device=gpu:N`. Raises ConfigError for cards that are not here.
    """
    from omegaconf import open_dict

    trainer = config.trainer
    devices = checked_devices(trainer.devices)
    device = str(trainer.device)
    if isinstance(devices, int):
        if devices > 1 and device.startswith("gpu:"):
            raise ConfigError(
                f"trainer.device={device}: one GPU for trainer.devices={devices} processes; "
                f"choose the GPUs with trainer.devices=[0,1] and trainer.device=gpu"
            )
        return
    with open_dict(config):
        if devices == AUTO:
            chosen = device == "cpu" or device.startswith("gpu:")
            trainer.devices = 1 if chosen else max(1, gpu_count())
            return
        assert isinstance(devices, list)
        _check_cards(devices, device)
        if len(devices) == 1:
            trainer.device, trainer.devices = f"gpu:{devices[0]}", 1


def _check_cards(cards: list[int], device: str) -> None:
    shown = f"trainer.devices=[{','.join(map(str, cards))}]"
    if device == "cpu" or device.startswith("gpu:"):
        raise ConfigError(f"{shown}: chooses GPUs, but trainer.device is {device}; use trainer.device=gpu or auto")
    count = gpu_count()
    if not count:
        raise ConfigError(
            f"{shown}: chooses GPUs, but paddle finds none; use trainer.devices={len(cards)} for as many processes on "
            "the CPU, or install paddlepaddle-gpu"
        )
    if max(cards) >= count:
        raise ConfigError(f"{shown}: GPU {max(cards)} does not exist; this machine has {count} GPUs, 0 to {count - 1}")


def uses_gpu(device: str) -> bool:
    """Whether `trainer.device` is a GPU here: it names one, or it is auto and there is one."""
    return device.startswith("gpu") or (device != "cpu" and gpu_count() > 0)


def gpu_count() -> int:
    """GPUs that paddle sees, which are those that CUDA_VISIBLE_DEVICES shows."""
    from ocrexp.logs import import_paddle

    import_paddle()
    import paddle

    return int(paddle.device.cuda.device_count()) if paddle.device.is_compiled_with_cuda() else 0


def visible_devices(cards: list[int], count: int) -> str:
    """CUDA_VISIBLE_DEVICES that shows these cards alone; their numbers are among the `count` that are visible now.

    A run that is resumed on a machine without these cards takes as many of those that are here.
    """
    if max(cards) >= count:
        log.warning("trainer.devices=%s: this machine has %d GPUs; the first %d are used", cards, count, len(cards))
        cards = list(range(len(cards)))
    now = [item.strip() for item in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if item.strip()]
    return ",".join(now[card] if now else str(card) for card in cards)
