"""A trace of some training steps, for a browser or VisualDL."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ocrexp.engine.callbacks.base import Callback, RunView
from ocrexp.files import replacing

log = logging.getLogger(__name__)


class Profiler(Callback):
    """Records `steps` steps after `warmup` steps with paddle's profiler into `profile/trace.json` of the run folder.

    The file is a Chrome trace: https://ui.perfetto.dev, chrome://tracing and VisualDL open it. It has the operators on
    the CPU and, where there is a GPU, its kernels. Needs `trainer.log_every_steps=1`, since callbacks hear of logged
    steps only. With `stop` the run ends after the recording.
    """

    def __init__(self, steps: int = 5, warmup: int = 3, stop: bool = True) -> None:
        if steps < 1 or warmup < 0:
            raise ValueError(f"steps, warmup: expected at least 1 and 0, got {steps} and {warmup}")
        self.steps = steps
        self.warmup = warmup
        self.stop = stop
        self._seen = 0
        self._profiler: Any = None

    def on_fit_start(self, run: RunView) -> None:  # noqa: ARG002
        """Count from here."""
        self._seen = 0

    def on_step_end(self, run: RunView, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """Start, mark a step, or write the trace."""
        self._seen += 1
        if self._seen == max(self.warmup, 1):
            self._start()
        elif self._profiler is not None:
            self._profiler.step()
            if self._seen >= max(self.warmup, 1) + self.steps:
                self._finish(run)

    def on_fit_end(self, run: RunView, state: str) -> None:
        """A run that ends earlier has a shorter trace."""
        if self._profiler is not None and state != "failed":
            self._finish(run)

    def _start(self) -> None:
        import paddle
        from paddle import profiler

        targets = [profiler.ProfilerTarget.CPU]
        if paddle.device.get_device().startswith("gpu"):
            targets.append(profiler.ProfilerTarget.GPU)
        self._profiler = profiler.Profiler(
            targets=targets, on_trace_ready=lambda _: None
        )  # else it writes to ./profiler_log
        self._profiler.start()

    def _finish(self, run: RunView) -> None:
        recorder, self._profiler = self._profiler, None
        recorder.stop()
        path = run.run_dir / "profile" / "trace.json"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            recorder.export(path=str(temporary), format="json")
        log.info("profile: %s; open it with https://ui.perfetto.dev, chrome://tracing or VisualDL", path)
        if self.stop:
            run.request_stop("the profile has been recorded")
