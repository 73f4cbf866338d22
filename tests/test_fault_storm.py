"""The short form of scripts/fault_storm.py: a drawing that is killed, and saves cut off at their file operations."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "fault_storm.py"


def test_nothing_is_lost_by_a_kill_or_a_power_failure() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "1", "--crash-points", "60", "--kinds", "drawing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 crash points of saves: 0 lost" in done.stdout
    assert "nothing lost, no orphan left, bit-equal ends" in done.stdout
