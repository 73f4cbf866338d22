"""The validation of a run: its main set, any number of named ones, and the one value that decides what is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import paddle

from ocrexp.engine.evaluator import Evaluator
from ocrexp.results import EvalResult

MAIN = "val"  # the name of the data set's own validation list


@dataclass(frozen=True)
class ValidationResult:
    """`main`: of the data set's own list; `others`: of the named sets; `value` decides what is best, under `name`."""

    main: EvalResult
    others: Mapping[str, EvalResult]
    name: str
    value: float

    @property
    def metrics(self) -> dict[str, float]:
        """All values: those of a named set as `SET/NAME`, and the one that decides under its own name."""
        named = {f"{name}/{key}": value for name, one in self.others.items() for key, value in one.metrics.items()}
        return {**self.main.metrics, **named, self.name: self.value}


class Validation:
    """Evaluates on the main set and on each of the named sets.

    Args:
        evaluator: of the data set's own validation list.
        others: evaluators of the named sets, in the order in which they are reported.
        best_by: which value decides: None is the main set; a name is one of the sets; a mapping has weights for a mean
            of the main metric of several sets, `val` being the main one.

    Raises ValueError for a set that does not exist or invalid weights.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        others: Mapping[str, Evaluator] | None = None,
        best_by: str | Mapping[str, float] | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.others = dict(others or {})
        self._weights = self._checked(best_by)

    def _checked(self, best_by: Any) -> dict[str, float]:
        known = [MAIN, *self.others]
        weights = {MAIN: 1.0} if best_by is None else {best_by: 1.0} if isinstance(best_by, str) else dict(best_by)
        for name, weight in weights.items():
            if name not in known:
                raise ValueError(f"best_by: expected one of {', '.join(known)}, got {name!r}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
                raise ValueError(f"best_by.{name}: expected a weight of 0 or more, got {weight!r}")
        if not sum(weights.values()) > 0:
            raise ValueError("best_by: expected a weight above 0 for one of the sets")
        return {str(name): float(weight) for name, weight in weights.items()}

    @property
    def main(self) -> str:
        """Name of the value that decides, as `hmean`, `receipts/hmean`, or `mean of val and receipts` for several."""
        named = [name for name, weight in self._weights.items() if weight]
        if len(named) == 1:
            return self.evaluator.main if named[0] == MAIN else f"{named[0]}/{self.evaluator.main}"
        return f"{self.evaluator.main} of {' and '.join(named)}"

    def run(
        self,
        model: paddle.nn.Layer,
        should_stop: Callable[[], bool] = lambda: False,
        precision: Callable[[], AbstractContextManager[None]] = nullcontext,
        epoch: int = 0,
    ) -> ValidationResult:
        """Evaluate on all sets; see `Evaluator.run`. Raises EvaluationStopped when `should_stop` turns true."""
        main = self.evaluator.run(model, should_stop, precision, epoch)
        others = {name: one.run(model, should_stop, precision, epoch) for name, one in self.others.items()}
        values = {MAIN: main.metrics[self.evaluator.main]}
        values |= {name: result.metrics[self.others[name].main] for name, result in others.items()}
        total = sum(self._weights.values())
        value = sum(weight * values[name] for name, weight in self._weights.items()) / total
        return ValidationResult(main, others, self.main, value)

    def close(self) -> None:
        """End the loaders' processes."""
        for evaluator in (self.evaluator, *self.others.values()):
            evaluator.loader.close()
