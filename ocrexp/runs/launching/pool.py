"""Jobs side by side on this machine: each in its own process, with its share of the cores and a GPU of its own."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from ocrexp.environment import CORES
from ocrexp.processes import STOP_SIGNALS, leave_terminal
from ocrexp.runs.job import stop_sweep
from ocrexp.runs.job_process import JobProcess, Training, start
from ocrexp.runs.launching.prepare import Composer, Prepared, conclude
from ocrexp.runs.launching.settings import PoolLaunching, cores_of_a_job, options_of
from ocrexp.runs.launching.signals import handling

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

_SECONDS_BETWEEN_LOOKS = 0.2  # for a signal, while all places are taken


class JobPool:
    """Runs a job at each place, in a thread that waits for its process.

    Args:
        cards: of each place what CUDA_VISIBLE_DEVICES shows there; None: what this process sees.
    """

    def __init__(self, cards: Sequence[str | None]) -> None:
        self.stop: int | None = None  # the signal that told the sweep to stop
        self._free: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for card in cards:
            self._free.put(card)
        self._threads: list[threading.Thread] = []
        self._running: set[JobProcess] = set()
        self._starting = threading.Lock()

    def place(self) -> str | None:
        """Wait for a free place and take it; returns its GPU. Raises _Stopped."""
        while self.stop is None:
            with suppress(queue.Empty):
                card = self._free.get(timeout=_SECONDS_BETWEEN_LOOKS)
                if self.stop is None:
                    return card
        raise _Stopped

    def give_back(self, card: str | None) -> None:
        """Free a place."""
        self._free.put(card)

    def start(self, prepared: Prepared, card: str | None, result: JobReturn) -> None:
        """Run a job at a place, which it gives back at its end; its outcome goes into `result`."""

        def run() -> None:
            try:
                conclude(result, prepared.job.run(lambda training: self._train(training, prepared, card)))
            except BaseException as error:
                conclude(result, error)
            finally:
                self.give_back(card)

        thread = threading.Thread(target=run, name=prepared.job.label)
        self._threads.append(thread)
        thread.start()

    def _train(self, training: Training, prepared: Prepared, card: str | None) -> tuple[int, int | None]:
        own = {} if card is None else {"CUDA_VISIBLE_DEVICES": card}
        with self._starting:
            if self.stop is not None:
                return 128 + self.stop, self.stop
            process = start(training, {**prepared.environment, **training.variables, **own}, prepared.folder)
            self._running.add(process)
        if self.stop is not None:  # it has come while the process started
            process.send_signal(self.stop)
        try:
            return process.wait(), self.stop
        finally:
            self._running.discard(process)

    def join(self) -> None:
        """Wait until all jobs have ended."""
        for thread in self._threads:
            thread.join()

    def pass_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """A handler of signals: they reach the jobs, which save and leave, and no further job starts."""
        if number == signal.SIGHUP:
            leave_terminal()
        self.end(number)

    def end(self, number: int) -> None:
        """Tell the sweep to stop."""
        self.stop = self.stop or number
        for process in list(self._running):
            process.send_signal(number)


class _Stopped(Exception):
    """The sweep is to stop."""


def run_in_pool(composer: Composer, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run jobs, given by their overrides and numbered from `first`, and return when all have ended.

    A signal that stops the sweep ends this process, when the running jobs have saved.
    """
    launching = PoolLaunching.read(options_of(composer.config.hydra.launcher))
    pool = JobPool(launching.cards())
    results: list[JobReturn] = []
    with _sharing(launching.width), handling(dict.fromkeys(STOP_SIGNALS, pool.pass_on)):
        composer.begin()
        try:
            for number, overrides in enumerate(jobs, first):
                card = pool.place()
                result, prepared = composer.prepare(overrides, number)
                results.append(result)
                if prepared is None or pool.stop is not None:
                    pool.give_back(card)
                else:
                    launching.settle_devices(prepared.job.config)
                    pool.start(prepared, card, result)
        except _Stopped:
            pass
        except BaseException:
            pool.end(signal.SIGTERM)
            raise
        finally:
            pool.join()
    if pool.stop is not None:
        stop_sweep(pool.stop, composer.config.hydra)
    return results


@contextmanager
def _sharing(jobs: int) -> Iterator[None]:
    """Within this block, processes that are started use their share of the cores; a given number of threads stays."""
    before = os.environ.get(CORES)
    os.environ[CORES] = str(cores_of_a_job(jobs))
    try:
        yield
    finally:
        if before is None:
            del os.environ[CORES]
        else:
            os.environ[CORES] = before
