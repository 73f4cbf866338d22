"""The values of a run as a whole, which loggers show in their tables of runs."""

from __future__ import annotations

from ocrexp.engine.state import TrainState


def summary(state: TrainState, main: str, best: str) -> dict[str, float]:
    """`best/NAME` of the best evaluation and `best/step`; `zero_shot/NAME` of the main values before training.

    Args:
        state: where the run is.
        main: name of the metric's main value.
        best: name of the value that decides which evaluation is best.
    """
    values = {f"best/{name}": value for name, value in state.best_metrics.items()}
    if state.best_step is not None:
        values["best/step"] = float(state.best_step)
    names = [name for name in state.zero_shot if name in (main, best) or name.endswith(f"/{main}")]
    return values | {f"zero_shot/{name}": state.zero_shot[name] for name in names}
