"""Time and memory of `ocrexp check-data images=false` on recognition lists of 100 000 and a million lines.

    python scripts/bench_check_data.py [LINES ...]

Writes lists into a temporary folder, with words of several scripts and spaces at ends among them; empty files take the
place of images, which are looked up and not opened. The command runs in a process of its own.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES = (100_000, 1_000_000)
PER_FOLDER = 1000
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-"
OTHERS = "éüñçßøåöäıłśżčďěř你好世界漢字かなカナ한글абвгд"


def write_list(root: Path, lines: int) -> None:
    """A training list of this many lines, and a validation list of a tenth."""
    rng = random.Random(0)
    for split, count in (("train", lines), ("val", lines // 10)):
        with (root / f"{split}_list.txt").open("w", encoding="utf-8") as file:
            for i in range(count):
                folder, name = f"{split}/{i // PER_FOLDER}", f"{i % PER_FOLDER}.jpg"
                if i % PER_FOLDER == 0:
                    (root / folder).mkdir(parents=True)
                (root / folder / name).touch()
                letters = LETTERS if rng.random() < 0.9 else LETTERS + OTHERS * 3
                text = "".join(rng.choices(letters, k=rng.randint(2, 24)))
                if rng.random() < 0.001:
                    text += " "
                file.write(f"{folder}/{name}\t{text}\n")


def main() -> None:
    """Print a line for each number of lines."""
    for lines in [int(argument) for argument in sys.argv[1:]] or LINES:
        with tempfile.TemporaryDirectory() as folder:
            write_list(Path(folder), lines)
            command = [
                sys.executable, "-m", "ocrexp", "check-data", "dataset=rec_list", f"dataset.root={folder}",
                "images=false", "page=false", f"output={folder}/checked", "charset=from_labels", "targets.ctc_steps=25",
            ]  # fmt: skip
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            begun = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
            seconds = time.perf_counter() - begun
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode not in (0, 1):
                sys.exit(done.stderr)
            size = (Path(folder) / "train_list.txt").stat().st_size / 1e6
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"{lines} lines ({size:.0f} MB), a tenth as many for validation: {seconds:.1f} s, {used:.1f} s of CPU "
                f"time, peak {after.ru_maxrss // 1024} MB"
            )


if __name__ == "__main__":
    main()
