"""Warnings about memory, with what to set."""

import os

import pytest

from ocrexp.data.memory import available_bytes, shared_memory_warning, slots_memory_warning


def test_available_memory_is_known_here():
    assert available_bytes() > 1 << 20


@pytest.mark.parametrize(
    ("folder", "names", "files"),
    [
        ("", ("memory.max", "memory.current"), "inactive_file"),
        ("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file"),
    ],
)
def test_the_limit_of_a_container_counts_and_its_cached_files_are_free(tmp_path, folder, names, files):
    meminfo, cgroup = tmp_path / "meminfo", tmp_path / "cgroup"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    assert available_bytes(meminfo, cgroup) == 8000 * 1024
    (cgroup / folder).mkdir(parents=True)
    (cgroup / folder / names[0]).write_text("max\n" if not folder else f"{2**63 - 4096}\n")
    (cgroup / folder / names[1]).write_text("3000000\n")
    assert available_bytes(meminfo, cgroup) == 8000 * 1024
    (cgroup / folder / names[0]).write_text("4000000\n")
    assert available_bytes(meminfo, cgroup) == 1_000_000
    (cgroup / folder / "memory.stat").write_text(f"anon 12\n{files} 2500000\n")
    assert available_bytes(meminfo, cgroup) == 3_500_000
    assert available_bytes(tmp_path / "none", tmp_path / "none") is None


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
