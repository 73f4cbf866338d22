"""Drawing in several processes, with the results in the order of the jobs."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

import cv2

from ocrexp.data.worker import keep_freed_memory
from ocrexp.errors import DataError
from ocrexp.processes import STOP_SIGNALS, end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")
_BATCH = 8  # jobs between two messages of a process


def in_order(jobs: Sequence[Job], work: Callable[[Job], Result], workers: int) -> Iterator[Result]:
    """The result of each job, in the order of the jobs, whatever the number of processes.

    A forked process has the fonts and the settings at once; pipes need no shared memory or semaphores, and a process
    waits where its results are not taken.

    Raises DataError or OSError of `work`, and DataError if a process has died.
    """
    workers = max(1, min(workers, len(jobs) // 16))  # a process is not worth it for a handful of images
    if workers == 1:
        yield from map(work, jobs)
        return
    batches = [jobs[start : start + _BATCH] for start in range(0, len(jobs), _BATCH)]
    context = multiprocessing.get_context("fork")
    processes, pipes = [], []
    # A forked process has OpenCV's pool without its threads and would wait for them: no pool while forking.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else None
    try:
        for rank in range(workers):
            receive, send = context.Pipe(duplex=False)
            process = context.Process(
                target=_worker, args=(send, receive, batches[rank::workers], work, parent), daemon=True
            )
            process.start()
            send.close()
            processes.append(process)
            pipes.append(receive)
        cv2.setNumThreads(threads)
        for number in range(len(batches)):
            try:
                message = pipes[number % workers].recv()
            except EOFError:
                process = processes[number % workers]
                process.join()
                raise DataError(
                    f"a process that draws images has died (exit code {process.exitcode}); try workers=1"
                ) from None
            if isinstance(message, Exception):
                raise message
            yield from message
    finally:
        cv2.setNumThreads(threads)
        for process in processes:
            process.kill()  # at the end they are gone; after an error their images are not wanted
            process.join()


def _worker(
    send: Connection,
    receive: Connection,
    batches: Sequence[Sequence[Job]],
    work: Callable[[Job], Result],
    parent: int | None,
) -> None:
    if parent is not None:
        end_with_parent(parent)
    receive.close()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # they go to the whole group: the parent ends the others
    keep_freed_memory()
    try:
        for batch in batches:
            send.send([work(job) for job in batch])
    except BrokenPipeError:
        return  # whoever wanted the images is gone
    except (OSError, DataError) as error:
        with contextlib.suppress(BrokenPipeError):
            send.send(error)
