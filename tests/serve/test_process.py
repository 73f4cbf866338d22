"""A worker process that does not take what it is sent."""

import threading
import time

import pytest

from ocrexp.serve import process as module
from ocrexp.serve.jobs import Job
from ocrexp.serve.process import WorkerGone, WorkerProcess


def test_a_worker_that_is_stopped_is_ended_in_time_and_blocks_nobody(monkeypatch):
    """Its pipe is full: neither the batch nor a cancellation can be sent."""
    monkeypatch.setattr(module, "_PROGRAM", "import time  # {}\ntime.sleep(600)")
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    worker = WorkerProcess(None)
    gone = []

    def exchange():
        try:
            worker.exchange([Job(1, "ocr", "a.png", bytes(5_000_000))], time.monotonic() + 1, lambda done: None)
        except WorkerGone as error:
            gone.append(str(error))

    thread = threading.Thread(target=exchange, daemon=True)
    began = time.monotonic()
    thread.start()
    time.sleep(0.3)
    worker.cancel(1)
    assert time.monotonic() - began < 1.2  # it did not wait for the worker's end
    thread.join(60)
    assert gone == ["it did not answer within the time limit"]
    assert not worker.runs


def test_a_worker_that_was_killed_is_described_with_the_keys_of_the_server(monkeypatch):
    monkeypatch.setattr(module, "_PROGRAM", "import time  # {}\ntime.sleep(600)")
    worker = WorkerProcess(None)
    worker.kill()
    with pytest.raises(WorkerGone, match="batch_images") as caught:
        worker.exchange([Job(1, "ocr", "a.png", b"")], time.monotonic() + 60, lambda done: None)
    assert "loader" not in str(caught.value)
