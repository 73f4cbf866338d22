"""The jobs of `launcher=slurm` on this machine, with submitit's local executor: the same code, without a cluster.

What a job does when its time is up, or when it is preempted (SIGUSR2), can be seen here: it saves and is started again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.engine.status import INTERRUPTED
from ocrexp.environment import CORES
from ocrexp.runs.job import JobResult, stop_sweep
from ocrexp.runs.launching.prepare import Composer, conclude
from ocrexp.runs.launching.remote import RemoteJob
from ocrexp.runs.launching.settings import cores_of_a_job, options_of
from ocrexp.runs.launching.signals import handling
from ocrexp.runs.launching.slurm import FOLDER
from ocrexp.runs.launching.slurm_settings import SlurmLocalLaunching
from ocrexp.runs.state import read_state

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

_SECONDS_BETWEEN_LOOKS = 0.2


@dataclass
class _Running:
    """A job that submitit's controller runs."""

    remote: RemoteJob
    result: JobReturn
    handle: Any
    card: str | None


def run_on_this_machine(composer: Composer, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run jobs, given by their overrides and numbered from `first`, and return when all have ended.

    A signal that stops the sweep reaches the jobs, which save.
    """
    import submitit

    launching = SlurmLocalLaunching.read(options_of(composer.config.hydra.launcher))
    composer.begin()
    folder = Path(composer.config.hydra.sweep.dir).absolute() / FOLDER
    executor = submitit.LocalExecutor(folder)
    executor.update_parameters(timeout_min=launching.minutes, signal_delay_s=launching.signal_seconds)
    cores = str(launching.cpus or cores_of_a_job(launching.width))
    free: list[str | None] = launching.cards()
    running: list[_Running] = []
    results: list[JobReturn] = []
    stop: list[int] = []

    def end_jobs(number: int, frame: object) -> None:  # noqa: ARG001
        stop.append(number)
        for entry in running:
            _signal_job(entry, signal.SIGTERM)

    def has_place() -> bool:
        while not free and not stop:
            _look(running, free)
        return not stop

    with handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), end_jobs)):
        for result, prepared in composer.to_run(jobs, first, results, has_place):
            card = free.pop(0)
            visible = os.environ.get("CUDA_VISIBLE_DEVICES") if card is None else card  # submitit hides all GPUs
            remote = RemoteJob.of(prepared, {"CUDA_VISIBLE_DEVICES": visible, CORES: cores})
            running.append(_Running(remote, result, executor.submit(remote), card))
        while running:
            _look(running, free)
    if stop:
        stop_sweep(stop[0], composer.config.hydra)
    return results


def _look(running: list[_Running], free: list[str | None]) -> None:
    """Take up what has ended, and wait a moment where nothing has."""
    ended = [entry for entry in running if entry.handle.done()]
    for entry in ended:
        running.remove(entry)
        free.append(entry.card)
        conclude(entry.result, _outcome(entry))
    if not ended:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _outcome(entry: _Running) -> JobResult | BaseException:
    """What has become of a job; one whose process ended without an outcome was stopped, or died."""
    if (outcome := entry.remote.outcome()) is not None:
        return outcome
    if read_state(entry.remote.job.run_dir).state == INTERRUPTED:
        return JobResult(None)
    return entry.remote.lost(f"its process ended without a result; see {entry.handle.paths.stderr}")


def _signal_job(entry: _Running, number: int) -> None:
    """Send a signal to the process of a job, a child of submitit's controller, which passes SIGTERM on."""
    with suppress(OSError):
        os.kill(int(entry.handle.job_id), number)
