"""The worker processes and the line of images in front of them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ocrexp.errors import DeployError, OcrexpError
from ocrexp.serve.jobs import Done, Job, Kind, PageResult, Started, WorkerSettings
from ocrexp.serve.metrics import Metrics
from ocrexp.serve.process import WorkerGone, WorkerProcess
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.settings import ServeSettings
from ocrexp.serve.uploads import ReceivedFile
from ocrexp.serve.waiting import Ticket, WaitingLine

log = logging.getLogger("ocrexp.serve")

_LONGEST_PAUSE = 30.0  # seconds between two attempts to start a worker


class WorkerPool:
    """Reads files with several worker processes.

    Args:
        settings: the limits, and how batches are made.
        worker: what each worker needs.
        count: number of workers.
        metrics: where they are counted.
    """

    def __init__(self, settings: ServeSettings, worker: WorkerSettings, count: int, metrics: Metrics) -> None:
        self.models = worker.models
        self._settings = settings
        self._worker = worker
        self._count = count
        self._metrics = metrics
        self._numbers = itertools.count(1)
        self._workers: list[WorkerProcess | None] = [None] * count
        self._loading: set[WorkerProcess] = set()
        self._batch_of: dict[WorkerProcess, set[Ticket]] = {}
        self._line = WaitingLine(settings.batch_images, settings.batch_wait_ms / 1000)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="ocrexp-serve")
        self._tasks: list[asyncio.Task[None]] = []
        self._unfinished = 0  # images that are accepted and not answered
        metrics.processes = lambda: {f"worker {i}": each.pid for i, each in enumerate(self._workers) if each}
        metrics.gauges["ocrexp_queue_images"] = ("Files that wait for a worker.", lambda: len(self._line))
        metrics.gauges["ocrexp_reading_images"] = (
            "Files that workers read.",
            lambda: self._unfinished - len(self._line),
        )
        metrics.gauges["ocrexp_workers_ready"] = ("Workers whose models are loaded.", lambda: self.ready)

    @property
    def ready(self) -> int:
        """Number of workers whose models are loaded."""
        return sum(worker is not None for worker in self._workers)

    async def start(self) -> list[Started]:
        """Start the workers and wait for their models. Raises DeployError or ConfigError; nothing runs then."""
        loading = [self._loaded() for _ in range(self._count)]
        try:
            loaded = await asyncio.gather(*loading)
        except BaseException:
            for worker in self._loading:
                worker.kill()
            self._threads.shutdown(wait=False)
            raise
        self._workers = [worker for worker, _ in loaded]
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(self._count)]
        return [started for _, started in loaded]

    async def close(self) -> None:
        """End the workers. Images that are not read yet are not answered."""
        for task in self._tasks:
            task.cancel()
        for worker in [*self._loading, *self._batch_of]:
            worker.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for idle in self._workers:
            if idle is not None:
                idle.stop()
        self._threads.shutdown(wait=True)

    async def read(
        self, uploads: Sequence[ReceivedFile], kind: Kind, picture: bool, until: float
    ) -> list[list[PageResult] | Refusal]:
        """The pages of each file, or why there are none.

        `until`: when the time is up, by `time.monotonic`. Raises Refusal if the line is too long or the time is up. If
        the caller is canceled, so are the files.
        """
        if self._unfinished + len(uploads) > self._settings.max_queue:
            raise self.busy()
        loop = asyncio.get_running_loop()
        tickets = [
            Ticket(Job(next(self._numbers), kind, upload.name, upload.data, picture), until, loop.create_future())
            for upload in uploads
        ]
        self._unfinished += len(tickets)
        try:
            for ticket in tickets:
                self._line.put(ticket)
            answers = [ticket.answer for ticket in tickets]
            _, late = await asyncio.wait(answers, timeout=max(until - time.monotonic(), 0))
            if late:
                limit = f"time limit of {self._settings.timeout:g} s reached"
                raise Refusal(504, "timeout", f"{limit}; send fewer or smaller images", self._pause())
        finally:
            self._unfinished -= len(tickets)
            for ticket in tickets:
                self._give_up(ticket)
        return [answer.result().result for answer in answers]

    def busy(self) -> Refusal:
        """The answer to a request that there is no place for."""
        most = self._settings.max_queue
        return Refusal(503, "busy", f"{most} images are waiting or being read; try again later", self._pause())

    def _pause(self) -> int:
        """Seconds after which the images that wait now are probably read."""
        images = self._metrics.batches.total
        each = self._metrics.reading.total / images if images else 0.5
        return min(60, max(1, math.ceil(each * self._unfinished / self._count)))

    def _give_up(self, ticket: Ticket) -> None:
        """Nobody waits for a ticket any more; if it was answered, nothing is to be done."""
        if not ticket.answer.cancel() or self._line.remove(ticket):
            return
        for worker, batch in self._batch_of.items():
            if ticket in batch:
                worker.cancel(ticket.job.number)

    async def _loaded(self) -> tuple[WorkerProcess, Started]:
        """A new worker whose models are loaded. Raises DeployError or ConfigError."""
        try:
            worker = WorkerProcess(self._worker)
        except OSError as error:  # the limit on processes, on open files, or on memory
            raise DeployError(
                f"a worker process cannot be started ({error.strerror}); raise this limit or lower workers"
            ) from None
        self._loading.add(worker)
        started = await asyncio.get_running_loop().run_in_executor(self._threads, worker.start)
        self._loading.discard(worker)
        return worker, started

    async def _work(self, number: int) -> None:
        """Give one batch after the other to a worker; start it again if it ends."""
        while True:
            worker = self._workers[number]
            if worker is None:
                worker = self._workers[number] = await self._started_again()
            batch = [ticket for ticket in await self._line.take() if not ticket.answer.done()]
            if batch:
                try:
                    await self._exchange(worker, batch)
                except WorkerGone as gone:
                    self._workers[number] = None
                    log.warning("a worker process was lost (%s); it is started again", gone)
                    self._after_loss(batch, str(gone))

    async def _exchange(self, worker: WorkerProcess, batch: list[Ticket]) -> None:
        loop = asyncio.get_running_loop()
        answers = {ticket.job.number: ticket.answer for ticket in batch}

        def answer(done: Done) -> None:
            if not answers[done.number].done():
                answers[done.number].set_result(done)

        def deliver(done: Done) -> None:  # in the thread that waits for the worker
            loop.call_soon_threadsafe(answer, done)

        jobs, until, began = [ticket.job for ticket in batch], max(ticket.until for ticket in batch), time.monotonic()
        self._batch_of[worker] = set(batch)
        try:
            await loop.run_in_executor(self._threads, worker.exchange, jobs, until, deliver)
        finally:
            del self._batch_of[worker]
        self._metrics.batches.add(len(batch))
        self._metrics.reading.add(time.monotonic() - began)

    def _after_loss(self, batch: Sequence[Ticket], why: str) -> None:
        """Images that a lost worker has not answered are read once more, alone: one of them may be the cause."""
        for ticket in reversed(batch):
            if ticket.answer.done():
                continue
            if ticket.alone:
                reason = f"a worker process was lost twice while reading it ({why})"
                ticket.answer.set_result(Done(ticket.job.number, Refusal(500, "worker_lost", reason)))
            else:
                self._line.put_back(ticket)

    async def _started_again(self) -> WorkerProcess:
        pause = 0.5
        while True:
            self._metrics.restarts += 1
            try:
                worker, _ = await self._loaded()
                return worker
            except OcrexpError as error:
                log.error("a worker cannot be started: %s; next attempt in %g s", error, pause)
            self._loading = {each for each in self._loading if each.runs}
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
