"""Batches from worker processes, in order, the same for any number of workers."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import time
import weakref
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any, Protocol

import numpy as np

from ocrexp.data.collate import collate_det_eval, collate_det_train
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.memory import slots_memory_warning
from ocrexp.data.sampler import EpochSampler, EvalSampler, Indices
from ocrexp.data.shared import SharedSlots, array_bytes
from ocrexp.data.worker import (
    Collate,
    Pipeline,
    Rejection,
    Reply,
    Task,
    Worker,
    describe_end,
    load_batch,
    start_workers,
)
from ocrexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)

_EXAMPLES = 3  # kept for each reason of rejection
_MOST_AUTO_WORKERS = 8
# Addresses beyond the estimate cost nothing; a batch that needs more still goes through its pipe.
_SLOT_SLACK = 2


class Sampler(Protocol):
    """What the loader needs of a sampler."""

    batch_size: int

    def __len__(self) -> int: ...

    def batches(self, epoch: int) -> list[Indices]: ...

    def first_indices(self, count: int) -> Indices: ...


class Loader:
    """Loads the sampler's batches through the pipeline, ahead of the consumer where there are workers.

    The arrays of a batch lie in memory shared with the worker that made it; the memory is used again when they are
    garbage, so a batch may be kept as long as it is needed.

    Attributes:
        wait_seconds: time that the consumer spent waiting for batches; the consumer resets it.
        rejected: reason -> count of the samples that could not be used in the current epoch, as far as consumed.
        examples: reason -> the first few of them.
    """

    def __init__(
        self, pipeline: Pipeline, sampler: Sampler, num_workers: int, collate: Collate, prefetch: int = 2
    ) -> None:
        if num_workers < 0 or prefetch < 1:
            raise ConfigError(
                f"loader.num_workers is {num_workers} and loader.prefetch {prefetch}: they must be at least 0 and 1"
            )
        self.pipeline = pipeline
        self.sampler = sampler
        self.num_workers = num_workers
        self.prefetch = prefetch
        self.wait_seconds = 0.0
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._collate = collate
        self._workers: list[Worker] = []
        self._slots: SharedSlots | None = None
        self._free: deque[int] = deque()
        self._serial = 0
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

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from batch `start` on; those before it are not loaded.

        One epoch at a time: a new call leaves the batches of an earlier one. Raises DataError where a transform fails
        or a worker dies.
        """
        self.rejected = Counter()
        self.examples = {}
        plan = self.sampler.batches(epoch)[start:]
        return self._parallel(epoch, plan) if self.num_workers else self._inline(epoch, plan)

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
        self._stop = None
        self._workers = []
        self._slots = None
        self._free = deque()

    def _inline(self, epoch: int, plan: list[Indices]) -> Iterator[Any]:
        for indices in plan:
            began = time.perf_counter()
            batch, rejections = load_batch(self.pipeline, self._collate, epoch, indices)
            self.wait_seconds += time.perf_counter() - began
            self._count(rejections)
            yield batch

    def _parallel(self, epoch: int, plan: list[Indices]) -> Iterator[Any]:
        first = self._serial
        self._serial += len(plan)
        ready: dict[int, Reply] = {}
        sent = 0
        try:
            for number in range(len(plan)):
                began = time.perf_counter()
                self._start()
                while True:
                    sent = self._send(epoch, plan, first, sent, number + self.num_workers * self.prefetch)
                    if first + number in ready:
                        break
                    self._receive(ready, first)
                self.wait_seconds += time.perf_counter() - began
                yield self._open(ready.pop(first + number))
        finally:
            for reply in ready.values():
                self._release(reply.slot)

    def _send(self, epoch: int, plan: list[Indices], first: int, sent: int, ahead: int) -> int:
        """Hand out tasks up to batch `ahead` to workers that have room; returns how many of the plan are handed out."""
        while sent < min(len(plan), ahead):
            worker = min(self._workers, key=lambda worker: worker.in_flight)
            if worker.in_flight >= self.prefetch:
                break
            slot = self._free.popleft() if self._free else None
            try:
                worker.connection.send(Task(first + sent, epoch, plan[sent], slot))
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
        assert self._slots is not None
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
        indices = self.sampler.first_indices(1)
        batch, _ = load_batch(self.pipeline, self._collate, 0, indices)
        needed = max(array_bytes(batch), 1 << 20) * self.sampler.batch_size
        count = self.num_workers * self.prefetch + 2  # two more: the consumer's own and the one before it
        warning = slots_memory_warning(needed * count)
        if warning:
            log.warning("%s", warning)
        self._slots = SharedSlots(count, needed * _SLOT_SLACK)
        self._free = deque(range(count))
        self._workers = start_workers(self.num_workers, self.pipeline, self._collate, self._slots)
        # Also at exit and when the loader is garbage; never in a forked child, which only has copies.
        self._stop = weakref.finalize(self, _end_workers, os.getpid(), list(self._workers))

    def _raise_dead(self, worker: Worker) -> None:
        _, status = os.waitpid(worker.pid, 0)
        number = self._workers.index(worker)
        worker.pid = 0
        self.close()
        raise DataError(f"data worker {number + 1} of {self.num_workers} {describe_end(status)}")


def _end_workers(owner: int, workers: list[Worker]) -> None:
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.connection.close()
        if worker.pid:
            os.kill(worker.pid, signal.SIGKILL)  # they hold nothing that could be left half-done
    for worker in workers:
        if worker.pid:
            try:
                os.waitpid(worker.pid, 0)
            except ChildProcessError:  # someone else has waited for it
                continue


def resolve_workers(num_workers: int | str, world_size: int = 1, most: int = _MOST_AUTO_WORKERS) -> int:
    """The number of workers that a config asks for; "auto": one core a process is left to training, at most 8 are used.

    A worker makes over a hundred training crops a second, so a CPU never needs more than one; idle ones cost no time.
    """
    if num_workers == "auto":
        cores = len(os.sched_getaffinity(0)) // world_size
        return min(max(cores - 1, 0), most)
    if isinstance(num_workers, bool) or not isinstance(num_workers, int):
        raise ConfigError(f"loader.num_workers is {num_workers!r}: give a number, or auto")
    return num_workers


def build_train_loader(
    pipeline: TrainPipeline,
    *,
    ratios: Sequence[float] | None,
    seed: int,
    rank: int,
    world_size: int,
    batch_size: int,
    eval_batch_size: int,  # noqa: ARG001
    num_workers: int | str,
    prefetch: int,
    shuffle: bool,
    drop_last: bool,
) -> Loader:
    """The training loader of a `loader` node; `batch_size` is per rank."""
    sizes = np.bincount([record.list_index for record in pipeline.records], minlength=len(ratios or ()))
    sampler = EpochSampler(sizes.tolist(), ratios, batch_size, seed, shuffle, drop_last, rank, world_size)
    return Loader(pipeline, sampler, resolve_workers(num_workers, world_size), collate_det_train, prefetch)


def build_eval_loader(
    pipeline: EvalPipeline,
    *,
    rank: int,
    world_size: int,
    batch_size: int,  # noqa: ARG001
    eval_batch_size: int,
    num_workers: int | str,
    prefetch: int,
    shuffle: bool,  # noqa: ARG001
    drop_last: bool,  # noqa: ARG001
) -> Loader:
    """The evaluation loader of a `loader` node: list order, each image once over all ranks."""
    sampler = EvalSampler(len(pipeline), eval_batch_size, rank, world_size)
    # The network is slower than two workers' decoding and resizing, and large images cost memory.
    return Loader(pipeline, sampler, resolve_workers(num_workers, world_size, most=2), collate_det_eval, prefetch)
