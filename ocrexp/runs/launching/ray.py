"""Jobs on a Ray cluster: one task per job. A job whose node is lost runs again elsewhere, from its last checkpoint."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.engine.status import INTERRUPTED
from ocrexp.environment import CORES, START_FOLDER, available_cores
from ocrexp.errors import ConfigError
from ocrexp.runs.job import JobResult, stop_sweep
from ocrexp.runs.launching.prepare import Composer, conclude
from ocrexp.runs.launching.ray_settings import RayLaunching
from ocrexp.runs.launching.remote import RemoteJob
from ocrexp.runs.launching.settings import options_of
from ocrexp.runs.launching.signals import handling
from ocrexp.runs.state import read_state

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

STOP = ".stop"  # in the sweep folder: all jobs are to save and leave
_LOOK_SECONDS = 0.5


@dataclass
class _Task:
    remote: RemoteJob
    result: JobReturn
    reference: Any


def run_on_ray(composer: Composer, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run jobs, given by their overrides and numbered from `first`, and return when all have ended.

    A signal that stops the sweep reaches the jobs, which save. Raises ConfigError where the cluster is out of reach or
    too small.
    """
    launching = RayLaunching.read(options_of(composer.config.hydra.launcher))
    composer.begin()
    stop_file = Path(composer.config.hydra.sweep.dir).absolute() / STOP
    stop_file.unlink(missing_ok=True)  # of an earlier command
    results: list[JobReturn] = []
    tasks: list[_Task] = []
    stop: list[int] = []

    def end_jobs(number: int, frame: object) -> None:  # noqa: ARG001
        stop.append(number)
        with suppress(OSError):
            stop_file.touch()

    def has_place() -> bool:
        while launching.n_jobs is not None and len(tasks) >= launching.n_jobs and not stop:
            _look(tasks)
        return not stop

    with (
        _connected(launching) as run,
        handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), end_jobs)),
    ):
        for result, prepared in composer.to_run(jobs, first, results, has_place):
            remote = RemoteJob.of(prepared, {CORES: str(launching.cpus)}, stop_file=stop_file)
            tasks.append(_Task(remote, result, run(remote)))
        while tasks:
            _look(tasks)
    stop_file.unlink(missing_ok=True)
    if stop:
        stop_sweep(stop[0], composer.config.hydra)
    return results


@contextmanager
def _connected(launching: RayLaunching) -> Iterator[Any]:
    """The function that starts a job on the cluster; the connection, or the cluster itself, ends with the block."""
    import ray

    own = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), START_FOLDER: os.environ.get(START_FOLDER, "")}
    local = (
        {} if launching.address else {"num_cpus": max(available_cores(), launching.cpus), "include_dashboard": False}
    )
    try:
        ray.init(
            address=launching.address or "local", log_to_driver=False, logging_level="error",
            runtime_env={"env_vars": own}, **local,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        line = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"launcher.address={launching.address}: there is no Ray cluster ({line}); start one with `ray start "
            "--head`, or set it to null"
        ) from None
    try:
        there = ray.cluster_resources()
        for name, key, asked in (("CPU", "cpus", launching.cpus), ("GPU", "gpus", launching.gpus)):
            if asked > there.get(name, 0):
                raise ConfigError(
                    f"launcher.{key}: expected up to {int(there.get(name, 0))}, what the Ray cluster has, got {asked}"
                )
        task = ray.remote(
            num_cpus=launching.cpus, num_gpus=launching.gpus, max_retries=launching.node_losses, retry_exceptions=False
        )(_run)
        yield task.remote
    finally:
        ray.shutdown()


def _run(remote: RemoteJob) -> None:
    """The task of a job, in a process of Ray."""
    remote()


def _look(tasks: list[_Task]) -> None:
    """Take up what has ended, and wait a moment where nothing has."""
    import ray

    ended, _ = ray.wait([task.reference for task in tasks], timeout=_LOOK_SECONDS)
    for task in [task for task in tasks if task.reference in ended]:
        tasks.remove(task)
        try:
            ray.get(task.reference)
            why = "its process ended without a result"
        except ray.exceptions.RayError as error:
            why = f"its process on the Ray cluster was lost: {_line(error)}"
        if (outcome := task.remote.outcome()) is not None:
            conclude(task.result, outcome)
        elif read_state(task.remote.job.run_dir).state == INTERRUPTED:
            conclude(task.result, JobResult(None))
        else:
            conclude(task.result, task.remote.lost(why))


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
