"""The pool with stand-ins for the worker processes."""

import asyncio
import errno
import gc
import threading
import time
from types import SimpleNamespace

import pytest

from ocrexp.serve import pool as module
from ocrexp.serve.jobs import Done, Started
from ocrexp.serve.metrics import Metrics
from ocrexp.serve.pool import WorkerPool
from ocrexp.serve.process import WorkerGone
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.uploads import ReceivedFile

SETTINGS = SimpleNamespace(batch_images=4, batch_wait_ms=20, max_queue=4, timeout=0.1)
MODELS = SimpleNamespace(models=None)


class StandIn:
    """Reads `ok`, never ends with `slow`, is lost with `bad`."""

    batches: list = []  # noqa: RUF012
    complaints: list = []  # noqa: RUF012
    pid = 1
    runs = True

    def __init__(self, settings):
        self.canceled = threading.Event()

    def start(self):
        return Started(backend="none")

    def exchange(self, jobs, until, deliver):
        StandIn.batches.append([job.name for job in jobs])
        if any(job.name == "bad" for job in jobs):
            raise WorkerGone("SIGSEGV")
        if any(job.name == "slow" for job in jobs):
            assert self.canceled.wait(10)
            return
        for job in jobs:
            deliver(Done(job.number, []))

    def cancel(self, number):
        self.canceled.set()

    def stop(self):
        pass

    kill = stop


@pytest.fixture
def read(monkeypatch):
    """Send requests (lists of names) to one worker at the same time; returns results or refusals, and the metrics."""
    monkeypatch.setattr(module, "WorkerProcess", StandIn)
    StandIn.batches, StandIn.complaints = [], []

    def run(*requests, seconds=5.0, leaves=False):
        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: StandIn.complaints.append(context))
            metrics = Metrics(4)
            pool = WorkerPool(SETTINGS, MODELS, 1, metrics)
            await pool.start()
            until = time.monotonic() + seconds
            calls = [pool.read([ReceivedFile(name, b"") for name in names], "ocr", False, until) for names in requests]
            tasks = [asyncio.ensure_future(call) for call in calls]
            if leaves:  # the clients close their connections
                await asyncio.sleep(0.1)
                for task in tasks:
                    task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            await pool.close()
            gc.collect()  # a future whose exception nobody has asked for complains when it is collected
            return found, metrics

        return asyncio.run(main())

    return run


def test_requests_that_arrive_together_are_one_batch(read):
    assert read(["a"], ["b", "c"])[0] == [[[]], [[], []]]
    assert StandIn.batches == [["a", "b", "c"]]


def test_more_than_the_queue_holds_is_refused_with_a_time_to_come_back(read):
    (first, second), _ = read(["a", "b", "c"], ["d", "e"])
    assert first == [[], [], []]
    assert isinstance(second, Refusal)
    assert (second.status, second.code) == (503, "busy")
    assert second.retry_after >= 1


def test_when_the_time_is_up_the_worker_is_told_and_free_again(read):
    (refusal,), metrics = read(["slow"], seconds=0.2)
    assert (refusal.status, refusal.code) == (504, "timeout")
    assert metrics.batches.count <= 1


def test_a_client_that_leaves_is_not_reported_as_an_error(read):
    (gone,), _ = read(["slow", "a"], leaves=True)
    assert isinstance(gone, asyncio.CancelledError)
    assert StandIn.complaints == []


def test_an_image_that_ends_workers_costs_the_others_nothing(read):
    (good, bad), metrics = read(["a"], ["bad"])
    assert good == [[]]
    assert [(each.status, each.code) for each in bad] == [(500, "worker_lost")]
    assert StandIn.batches == [["a", "bad"], ["a"], ["bad"]]
    assert metrics.restarts == 2


def test_a_worker_that_the_system_does_not_start_is_tried_again(read, monkeypatch):
    starts = iter([True, False])

    def limited(self, settings):
        if not next(starts, True):
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.canceled = threading.Event()

    monkeypatch.setattr(StandIn, "__init__", limited)
    (bad, good), metrics = read(["bad"], ["a"], seconds=20.0)
    assert (bad[0].code, good) == ("worker_lost", [[]])
    assert metrics.restarts == 3
    assert StandIn.complaints == []
