"""Which of several results are best: by one figure, or the Pareto front of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Figures of a job's row in the table, by the names under which a search asks for them.
COLUMN_OF = {"metric": "best"}
HIGHER_IS_BETTER = ("metric",)


def cost(row: Mapping[str, Any], objective: str) -> float:
    """A figure of which smaller is better; infinite where the row has none."""
    value = row.get(COLUMN_OF.get(objective, objective))
    if not isinstance(value, int | float) or not math.isfinite(value):
        return math.inf
    return -float(value) if objective in HIGHER_IS_BETTER else float(value)


def pareto_front(rows: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> list[bool]:
    """Whether each row is on the front: no other row is as good in each objective and better in one."""
    costs = [tuple(cost(row, name) for name in objectives) for row in rows]
    known = [point for point in costs if all(map(math.isfinite, point))]
    return [
        all(map(math.isfinite, point))
        and not any(
            other != point and all(mine <= its for mine, its in zip(other, point, strict=True)) for other in known
        )
        for point in costs
    ]
