"""The short form of scripts/fuzz.py: each target for a moment, the same inputs in each run."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"
pytest.importorskip("hypothesis", reason="extra 'dev' is not installed")


def test_damaged_files_are_refused_in_one_line(tmp_path):
    command = [sys.executable, str(SCRIPT), "--inputs", "8", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    kept = "".join(path.read_text() for path in sorted(tmp_path.glob("*/kind.txt")))
    assert done.returncode == 0, done.stdout + done.stderr + kept
    targets = [line for line in done.stdout.splitlines() if " 8 executions (" in line and " 0 findings" in line]
    assert len(targets) == 10
