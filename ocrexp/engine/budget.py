"""The wall time that a training may take (`trainer.max_minutes`)."""

from __future__ import annotations

import math

from ocrexp.engine import distributed
from ocrexp.engine.settings import TrainerSettings
from ocrexp.located import option

_LATE = 0.98  # of the steps: a run that reaches this share reaches its end


class TimeBudget:
    """Seconds of a whole run, those of its resumed parts together; None minutes: no limit.

    The budget decides only when a run ends, never what a step does: the schedule of the learning rate follows the
    planned steps, so that a resumed run does not depend on how fast a machine is.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        self.minutes = minutes = settings.max_minutes
        self.key, self.steps_key = option(settings, "max_minutes"), option(settings, "max_steps")
        self._seconds = math.inf if minutes is None else minutes * 60
        self._told = False

    def spent(self, seconds: float) -> bool:
        """Whether the time is over; several processes agree, so that they stop at the same step."""
        if self.minutes is None:
            return False
        return not distributed.all_agree(seconds < self._seconds)[0]

    def left(self, seconds: float) -> float:
        """Seconds that are left; infinite without a limit."""
        return max(self._seconds - seconds, 0.0)

    def forecast(self, step: int, total_steps: int, per_step: float, seconds: float) -> int | None:
        """The step at which the time will be over, once, where that is before the planned end; None otherwise.

        Args:
            step: steps made.
            total_steps: planned steps.
            per_step: seconds of a step at the present speed.
            seconds: of the run so far.
        """
        if self._told or self.minutes is None:
            return None
        reached = step + int(self.left(seconds) / max(per_step, 1e-9))
        if reached >= _LATE * total_steps:
            return None
        self._told = True
        return reached
