"""The end of a process at a chosen step, as `kill -9` from outside."""

import os
import signal
from typing import Any

from ocrexp.engine.callbacks.base import Callback


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillAfter(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, run: Any, values: Any) -> None:
        if run.step == self.step:
            kill()
