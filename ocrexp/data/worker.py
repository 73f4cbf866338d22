"""The loader's worker processes: what runs in them, and how they start and end."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any, Protocol, cast

import cv2
import numpy as np

from ocrexp.data.collate import Collate, Empty
from ocrexp.data.sample_counts import SampleCount, SampleCounts, add_sample
from ocrexp.data.sampler import Planned, Size
from ocrexp.data.shared import SharedSlots, Span
from ocrexp.errors import DataError, OcrexpError
from ocrexp.processes import STOP_SIGNALS, end_with_parent
from ocrexp.types import Sample, UnusableSample

Rejection = tuple[str, str]  # reason, image and label line
# How often an idle worker looks whether its parent still lives, should the end of the pipe be held open elsewhere.
_PARENT_CHECK_SECONDS = 5.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class Pipeline(Protocol):
    """What the loader needs of a pipeline."""

    def __len__(self) -> int: ...

    def sample(self, index: int, epoch: int) -> Sample: ...

    def describe(self, index: int) -> str: ...


class SizedPipeline(Pipeline, Protocol):
    """A pipeline for a sampler that gives batches their image size."""

    def sample(self, index: int, epoch: int, size: Size | None = None) -> Sample: ...


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One batch to load."""

    serial: int
    epoch: int
    planned: Planned
    slot: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A loaded batch, or the error that prevented it."""

    serial: int
    slot: int | None
    payload: bytes = b""
    spans: tuple[Span, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    counts: Mapping[str, SampleCount] = field(default_factory=dict)
    error: OcrexpError | None = None
    details: str = ""
    overflowed: bool = False  # the batch did not fit its slot


def load_batch(
    pipeline: Pipeline, collate: Collate, epoch: int, planned: Planned, empty: Empty = np.empty
) -> tuple[Any, list[Rejection], SampleCounts]:
    """Load and collate a batch; samples that cannot be used are dropped and returned with their reasons. The third
    value is what the others report.

    Raises DataError if a transform fails.
    """
    samples: list[Sample] = []
    rejections: list[Rejection] = []
    counts: SampleCounts = {}
    for index in planned.indices.tolist():
        try:
            if planned.size is None:
                sample = pipeline.sample(index, epoch)
            else:
                sample = cast(SizedPipeline, pipeline).sample(index, epoch, planned.size)
        except UnusableSample as reason:
            rejections.append((str(reason), pipeline.describe(index)))
            continue
        if "unreadable" in sample:
            rejections.append((sample["unreadable"], pipeline.describe(index)))
        if reported := sample.get("counts"):
            add_sample(counts, reported, sample["index"], pipeline.describe(index))
        samples.append(sample)
    return collate(samples, empty), rejections, counts


def keep_freed_memory() -> None:
    """Make malloc keep what is freed: a fresh mapping for every image costs more in page faults than decoding it."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)


@dataclass
class Worker:
    """The parent's view of a worker."""

    pid: int
    connection: Connection
    in_flight: int = 0


def start_workers(count: int, pipeline: Pipeline, collate: Collate, slots: SharedSlots) -> list[Worker]:
    """Fork `count` workers. Everything they need is inherited; nothing is pickled."""
    pipes = [Pipe() for _ in range(count)]
    sys.stdout.flush()
    sys.stderr.flush()
    workers = []
    parent = os.getpid()
    in_main_thread = threading.current_thread() is threading.main_thread()  # see end_with_parent
    # A child forked beside OpenCV's pool has the pool without its threads, and may wait for them forever: end the pool
    # first. The children keep one thread each; here the number is set back below.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for i, (ours, theirs) in enumerate(pipes):
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads; the child uses none of them, and only numpy and OpenCV.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if in_main_thread:
                    end_with_parent(parent)
                # Other workers' pipes would be held open by this one: their readers would never see the end.
                for j, (parent_end, child_end) in enumerate(pipes):
                    parent_end.close()
                    if j != i and not child_end.closed:
                        child_end.close()
                code = _work(theirs, parent, pipeline, collate, slots)
            except BaseException:  # the last frame of this process: whatever it was is shown, then it ends
                traceback.print_exc()
            finally:
                os._exit(code)
        workers.append(Worker(pid, ours))
        theirs.close()
    cv2.setNumThreads(threads)
    return workers


def _work(connection: Connection, parent: int, pipeline: Pipeline, collate: Collate, slots: SharedSlots) -> int:
    """A worker's life: answer tasks until the pipe ends or the parent is gone."""
    # They go to the whole group; the parent decides what they mean, and its end closes the pipe.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # leave the parent's objects alone: no finalizers of theirs, fewer copied pages
    keep_freed_memory()
    while True:
        try:
            while not connection.poll(_PARENT_CHECK_SECONDS):
                if os.getppid() != parent:
                    return 0
            task = connection.recv()
            reply = _answer(task, pipeline, collate, slots)
            connection.send_bytes(pickle.dumps(reply, protocol=5))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0


def _answer(task: BatchRequest, pipeline: Pipeline, collate: Collate, slots: SharedSlots) -> Reply:
    try:
        writer = slots.writer(task.slot)
        batch, rejections, counts = load_batch(pipeline, collate, task.epoch, task.planned, writer.empty)
        payload, spans = writer.dump(batch)
        return Reply(
            task.serial, task.slot, payload, tuple(spans), tuple(rejections), counts, overflowed=writer.overflowed
        )
    except OcrexpError as error:
        return Reply(task.serial, task.slot, error=error, details=traceback.format_exc())
    except Exception as error:
        first = pipeline.describe(int(task.planned.indices[0]))
        said = DataError(f"a batch that begins with {first} could not be loaded: {type(error).__name__}: {error}")
        return Reply(task.serial, task.slot, error=said, details=traceback.format_exc())


def describe_end(status: int) -> str:
    """What a process's wait status means, and what to try."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name
        if number == signal.SIGKILL:
            return f"was killed by {name} (out of memory?); lower the loader's num_workers, prefetch or batch_size"
        return f"died of {name}; set the loader's num_workers=0 to see which image and which step cause it"
    return f"ended with exit code {os.WEXITSTATUS(status)}; set the loader's num_workers=0 to see why"
