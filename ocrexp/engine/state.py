"""Where a run stands: everything about its progress that a checkpoint carries."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class TrainState:
    """Progress of a run. A batch is what the loader gives, a step an update of the weights.

    `epoch` counts finished epochs, `batch` the batches of the present one that are used up: together they are the
    position in the data. `evaluated_step` states whether the evaluation that was due at `step` has been made, so that a
    run killed during an evaluation makes it when it goes on. `zero_shot` has the values of the evaluation before the
    first step, `zero_shot_value` the one that decides what is best; None if there was none.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_value: float | None = None
    best_step: int | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)
    evaluated_step: int = -1
    evaluations: int = 0
    zero_evaluations: int = 0
    skipped_in_row: int = 0
    zero_shot: dict[str, float] = field(default_factory=dict)
    zero_shot_value: float | None = None
    seconds: float = 0.0

    def count_evaluation(self, value: float, metrics: dict[str, float]) -> bool:
        """Take in an evaluation at the present step; whether it is the best so far."""
        self.evaluated_step = self.step
        self.evaluations += 1
        if self.step:
            self.zero_evaluations = self.zero_evaluations + 1 if value == 0 else 0
        else:  # nothing has been learned yet
            self.zero_shot, self.zero_shot_value = metrics, value
        is_best = self.best_value is None or value > self.best_value
        if is_best:
            self.best_value, self.best_step, self.best_metrics = value, self.step, metrics
        return is_best

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainState:
        """The state that `to_dict` gave; fields of other versions are ignored. Raises ValueError otherwise."""
        known = {item.name for item in fields(cls)}
        state = cls(**{name: value for name, value in values.items() if name in known})
        for name, value in vars(state).items():
            if not _fits(name, value):
                raise ValueError(f"train_state.{name} is {str(value)[:40]!r}")
        return state


def _fits(name: str, value: Any) -> bool:
    if name in ("best_metrics", "zero_shot"):
        return isinstance(value, dict) and all(type(item) in (int, float) for item in value.values())
    if name in ("best_value", "best_step", "zero_shot_value") and value is None:
        return True
    if name in ("best_value", "zero_shot_value", "seconds"):
        return _is_number(value)
    return type(value) is int and -1 <= value < 2**53


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
