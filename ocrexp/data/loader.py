"""Batches from worker processes, in order, the same for any number of workers."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import time
import weakref
from collections import Counter, deque
from collections.abc import Generator, Sequence
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from ocrexp.data.collate import Collate
from ocrexp.data.memory import slots_memory_warning
from ocrexp.data.sample_counts import SampleCounts, add_counts
from ocrexp.data.sampler import Planned, Sampler, Size
from ocrexp.data.shared import SharedSlots, array_bytes
from ocrexp.data.worker import (
    BatchRequest,
    Pipeline,
    Rejection,
    Reply,
    Worker,
    describe_end,
    load_batch,
    start_workers,
)
from ocrexp.errors import DataError

log = logging.getLogger(__name__)

_SIZE_TRIES = 8  # samples tried until one is usable, whose size the slots are made for
_LEAST_SLOT_BYTES = 4 << 20  # images may differ in size, and the first be the smallest
_EXAMPLES = 3  # kept for each reason of rejection
# Addresses beyond the estimate cost nothing; a batch that needs more still goes through its pipe.
_SLOT_SLACK = 2


class Loader:
    """Loads the sampler's batches through the pipeline, ahead of the consumer where there are workers.

    The arrays of a batch lie in memory shared with the worker that made it; the memory is used again when they are
    garbage, so a batch may be kept as long as it is needed.

    Attributes:
        wait_seconds: time that the consumer spent waiting for batches; the consumer resets it.
        rejected: reason -> count of the samples that could not be used in the current epoch, as far as consumed.
        examples: reason -> the first few of them.
        counts: what the samples of the current epoch have reported, as far as consumed.
    """

    def __init__(
        self, pipeline: Pipeline, sampler: Sampler, num_workers: int, collate: Collate, prefetch: int = 2
    ) -> None:
        if num_workers < 0 or prefetch < 1:
            raise ValueError(f"num_workers, prefetch: expected at least 0 and 1, got {num_workers} and {prefetch}")
        self.pipeline = pipeline
        self.sampler = sampler
        self.num_workers = num_workers
        self.prefetch = prefetch
        self.wait_seconds = 0.0
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.counts: SampleCounts = {}
        self._collate = collate
        self._workers: list[Worker] = []
        self._slots: SharedSlots | None = None
        self._free: deque[int] = deque()
        self._serial = 0
        self._current = 0  # counts epochs and closings: an iterator of an earlier count is over
        self._warned_of_overflow = False
        self._stop: weakref.finalize | None = None

    def __len__(self) -> int:
        """Batches of an epoch on this rank."""
        return len(self.sampler)

    @property
    def batch_size(self) -> int:
        """Samples of a full batch on this rank."""
        return self.sampler.batch_size

    @property
    def dataset_size(self) -> int:
        """Records behind the loader, over all ranks."""
        return len(self.pipeline)

    def epoch(self, epoch: int, start: int = 0) -> Generator[Any, None, None]:
        """The batches of an epoch from batch `start` on; those before it are not loaded.

        One epoch at a time: a new call, and `close`, leave the batches of an earlier one, whose iterator raises
        RuntimeError when it is asked for more. Raises DataError if a transform fails or a worker dies.
        """
        self._current += 1
        self.rejected = Counter()
        self.examples = {}
        self.counts = {}
        plan = self.sampler.plan(epoch)[start:]
        batches = self._parallel if self.num_workers else self._inline
        return batches(epoch, plan, self._current)

    def rejection_lines(self) -> list[str]:
        """One line for each reason why samples of this epoch could not be used, with its count and first examples."""
        return [
            f"{count} image{'s' if count > 1 else ''} not used: {reason}: {', '.join(self.examples[reason])}"
            + (", …" if count > len(self.examples[reason]) else "")
            for reason, count in self.rejected.most_common()
        ]

    def close(self) -> None:
        """End the workers; the loader can be used again, and starts new ones then."""
        if self._stop is not None:
            self._stop()
        self._current += 1
        self._stop = None
        self._workers = []
        self._slots = None
        self._free = deque()

    def _check_current(self, epoch: int, called: int) -> None:
        if called != self._current:
            raise RuntimeError(f"the batches of epoch {epoch} are gone: the loader was closed or began another epoch")

    def _inline(self, epoch: int, plan: Sequence[Planned], called: int) -> Generator[Any, None, None]:
        for planned in plan:
            self._check_current(epoch, called)
            began = time.perf_counter()
            batch, rejections, counts = load_batch(self.pipeline, self._collate, epoch, planned)
            self.wait_seconds += time.perf_counter() - began
            self._count(rejections)
            add_counts(self.counts, counts)
            yield batch

    def _parallel(self, epoch: int, plan: Sequence[Planned], called: int) -> Generator[Any, None, None]:
        first = self._serial
        self._serial += len(plan)
        ready: dict[int, Reply] = {}
        sent = 0
        free = self._free
        try:
            for number in range(len(plan)):
                self._check_current(epoch, called)
                began = time.perf_counter()
                self._start()
                free = self._free
                while True:
                    sent = self._send(epoch, plan, first, sent, number + self.num_workers * self.prefetch)
                    if first + number in ready:
                        break
                    self._receive(ready, first)
                self.wait_seconds += time.perf_counter() - began
                yield self._open(ready.pop(first + number))
        finally:
            # To the slots they are of: after `close` the loader may have others.
            free.extend(reply.slot for reply in ready.values() if reply.slot is not None)

    def _send(self, epoch: int, plan: Sequence[Planned], first: int, sent: int, ahead: int) -> int:
        """Hand out tasks up to batch `ahead` to workers that have room; returns how many of the plan are handed out."""
        while sent < min(len(plan), ahead):
            worker = min(self._workers, key=lambda worker: worker.in_flight)
            if worker.in_flight >= self.prefetch:
                break
            slot = self._free.popleft() if self._free else None
            try:
                worker.connection.send(BatchRequest(first + sent, epoch, plan[sent], slot))
            except (BrokenPipeError, ConnectionResetError):
                self._raise_dead(worker)
            worker.in_flight += 1
            sent += 1
        return sent

    def _receive(self, ready: dict[int, Reply], first: int) -> None:
        """Wait for replies; those of an epoch that was left are dropped."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection)):
            worker = by_connection[connection]  # type: ignore[index]  # wait() returns what it was given
            try:
                reply: Reply = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, ConnectionResetError):
                self._raise_dead(worker)
            worker.in_flight -= 1
            if reply.serial < first:
                self._release(reply.slot)
            else:
                ready[reply.serial] = reply

    def _open(self, reply: Reply) -> Any:
        if reply.error is not None:
            log.debug("%s", reply.details)
            self._release(reply.slot)
            raise reply.error
        self._count(reply.rejections)
        add_counts(self.counts, reply.counts)
        assert self._slots is not None
        if reply.overflowed and not self._warned_of_overflow:
            self._warned_of_overflow = True
            log.warning(
                "a batch of the loader is larger than its shared memory of %.0f MiB (reserved for %d samples like the "
                "first one); the rest goes through a pipe, which is slower",
                self._slots.slot_bytes / 2**20,
                self.batch_size * _SLOT_SLACK,
            )
        return self._slots.read(reply.slot, reply.payload, list(reply.spans), self._free.append)

    def _release(self, slot: int | None) -> None:
        if slot is not None:
            self._free.append(slot)

    def _count(self, rejections: Sequence[Rejection]) -> None:
        for reason, where in rejections:
            self.rejected[reason] += 1
            kept = self.examples.setdefault(reason, [])
            if len(kept) < _EXAMPLES:
                kept.append(where)

    def _start(self) -> None:
        if self._workers:
            return
        needed = max(self._sample_bytes(size) * images for size, images in self.sampler.shapes())
        needed = max(needed, _LEAST_SLOT_BYTES)
        count = self.num_workers * self.prefetch + 2  # two more: the consumer's own and the one before it
        warning = slots_memory_warning(needed * count)
        if warning:
            log.warning("%s", warning)
        self._slots = SharedSlots(count, needed * _SLOT_SLACK)
        self._free = deque(range(count))
        self._workers = start_workers(self.num_workers, self.pipeline, self._collate, self._slots)
        # Also at exit and when the loader is garbage; never in a forked child, which only has copies.
        self._stop = weakref.finalize(self, _end_workers, os.getpid(), list(self._workers))

    def _sample_bytes(self, size: Size | None) -> int:
        """Memory of a batch of one image of that size, from the first sample that can be used."""
        found = 0
        for index in self.sampler.first_indices(_SIZE_TRIES):
            batch, rejections, _ = load_batch(self.pipeline, self._collate, 0, Planned(np.array([index]), size))
            found = max(found, array_bytes(batch))
            if not rejections:
                break
        return found

    def _raise_dead(self, worker: Worker) -> None:
        try:
            end = describe_end(os.waitpid(worker.pid, 0)[1])
        except ChildProcessError:  # someone else has waited for it
            end = "has ended with an unknown exit code; set the loader's num_workers=0 to see why"
        number = self._workers.index(worker)
        worker.pid = 0
        self.close()
        raise DataError(f"data worker {number + 1} of {self.num_workers} {end}")


def _end_workers(owner: int, workers: list[Worker]) -> None:
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.connection.close()
        if worker.pid:
            try:
                os.kill(worker.pid, signal.SIGKILL)  # they hold nothing that could be left half-done
            except ProcessLookupError:  # as below
                continue
    for worker in workers:
        if worker.pid:
            try:
                os.waitpid(worker.pid, 0)
            except ChildProcessError:  # someone else has waited for it
                continue
