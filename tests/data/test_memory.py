"""Warnings about memory, with what to set."""

import os

from ocrexp.data.memory import available_bytes, shared_memory_warning, slots_memory_warning


def test_available_memory_is_known_here():
    assert available_bytes() > 1 << 20


def test_slots_that_take_too_much():
    assert slots_memory_warning(100 << 20, available=1 << 30) is None
    line = slots_memory_warning(800 << 20, available=1 << 30)
    assert line.startswith("batches loaded in advance need 800 MB of the 1024 MB")
    assert "num_workers" in line


def test_shared_memory_of_a_container(monkeypatch, tmp_path):
    assert shared_memory_warning(1) is None

    class Small:
        f_bavail, f_frsize = 16384, 4096  # docker's 64 MB

    monkeypatch.setattr(os, "statvfs", lambda _: Small)
    assert "--shm-size=1g" in shared_memory_warning(2)
    assert "64 MB free, 4 GPU processes need 256 MB" in shared_memory_warning(4)
    monkeypatch.undo()
    assert "missing" in shared_memory_warning(2, str(tmp_path / "no"))
