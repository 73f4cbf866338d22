"""Where a run stands: everything about its progress that a checkpoint carries."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class TrainState:
    """Progress of a run. A batch is what the loader gives, a step an update of the weights.

    `epoch` counts finished epochs, `batch` the batches of the present one that are used up: together they are the
    position in the data. `evaluated_step` tells whether the evaluation that was due at `step` has been made, so that a
    run killed during an evaluation makes it when it goes on.
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
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainState:
        """The state that `to_dict` gave; fields of other versions are left out."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
