"""End a run whose evaluations no longer get better."""

from __future__ import annotations

from typing import Any

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.results import EvalResult


class EarlyStopping(Callback):
    """Asks for the end after `patience` evaluations in a row that did not beat the best by more than `min_delta`.

    Raises ConfigError for a patience below 1 or a negative min_delta.
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience: expected 1 or more evaluations, got {patience}")
        if min_delta < 0:
            raise ValueError(f"min_delta: expected 0 or more, got {min_delta:g}")
        self.patience = patience
        self.min_delta = min_delta
        self._best: float | None = None
        self._waited = 0

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:  # noqa: ARG002
        value = result.metrics[run.main_metric]
        if self._best is None or value > self._best + self.min_delta:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            run.request_stop(
                f"{run.main_metric} has not passed {self._best:.4f} by {self.min_delta:g} in {self._waited} evaluations"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        best, waited = state["best"], state["waited"]
        if type(waited) is not int or waited < 0 or not (best is None or isinstance(best, int | float)):
            raise ValueError(f"early_stopping: best is {best!r:.40}, waited is {waited!r:.40}")
        self._best, self._waited = best, waited
