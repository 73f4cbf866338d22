"""Random numbers of the training process.

Before every step the global generators of Python, NumPy and paddle (all devices) are set from (seed, step, rank). What
a step draws therefore depends on nothing that happened before it, neither on evaluations nor on whether the run was
resumed, and a checkpoint needs no generator states: its seed and its step are those states. Samples have generators of
their own, made from (seed, epoch, index).
"""

from __future__ import annotations

import random

import numpy as np
import paddle

_BUILDING = 2**32 - 1  # in the place of a step: while the model is built


def seed_everything(seed: int) -> None:
    """For building a model: all ranks draw the same weights."""
    _seed(seed, _BUILDING, 0)


def seed_step(seed: int, step: int, rank: int) -> None:
    """For one step of one rank: ranks draw different dropout masks."""
    _seed(seed, step, rank)


def _seed(*key: int) -> None:
    words = np.random.SeedSequence([abs(part) for part in key]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    paddle.seed(int(words[2]))
