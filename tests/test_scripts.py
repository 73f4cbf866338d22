"""The arguments of the scripts, as their descriptions have them."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize("name", ["distill_check.py", "style_check.py"])
def test_keys_may_follow_options(tmp_path: Path, name: str) -> None:
    (tmp_path / "train_list.txt").write_text("a.png\tA\n", encoding="utf-8")
    words = [str(SCRIPTS / name), str(tmp_path / "out"), "--data", str(tmp_path), "optim.lrr=1"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, check=False)
    assert "unrecognized arguments" not in done.stderr
    assert "optim.lrr" in done.stderr  # the training refuses the key, so it was given
