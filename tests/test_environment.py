"""The process is set up for a CPU before paddle is imported, and a user's own settings win."""

import json
import os
import subprocess
import sys

import pytest

from ocrexp import environment

NAMES = (
    "OMP_NUM_THREADS",
    "FLAGS_paddle_num_threads",
    "KMP_BLOCKTIME",
    "OMP_WAIT_POLICY",
    "MKL_DEBUG_CPU_TYPE",
    "OCREXP_CPU_TUNING",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what the test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "_keep_freed_memory", lambda: False)


def test_threads_and_the_code_path_of_amd_are_set_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_is_amd", lambda: True)
    lines = environment.prepare(threads=3)
    assert [os.environ[name] for name in NAMES[:2]] == ["3", "3"]
    assert os.environ["MKL_DEBUG_CPU_TYPE"] == "5"
    assert "OMP_NUM_THREADS=3" in lines
    assert environment.tuned()


def test_other_processors_and_machines_keep_their_code_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_is_amd", lambda: False)
    environment.prepare()
    assert "MKL_DEBUG_CPU_TYPE" not in os.environ
    assert int(os.environ["OMP_NUM_THREADS"]) == environment.available_cores()


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lines = environment.prepare(threads=3)
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert not [line for line in lines if line.startswith("OMP_NUM_THREADS")]


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("OCREXP_CPU_TUNING", "0")
    assert environment.prepare(enabled=how == "variable") == []
    assert "OMP_NUM_THREADS" not in os.environ
    assert not environment.tuned()


def test_freed_memory_is_kept_by_a_fresh_process_without_importing_paddle() -> None:
    code = (
        "import json, sys; from ocrexp.environment import prepare;"
        "print(json.dumps([prepare(), 'paddle' in sys.modules]))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    output = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True).stdout
    lines, imported = json.loads(output)
    assert not imported
    if sys.platform == "linux":
        assert "malloc keeps freed memory" in lines
