"""Compare a small recognizer that learns from labels alone with one that also learns from a larger recognizer.

python scripts/distill_check.py FOLDER --data DATA/sroie_rec [--steps 1500] [--seeds 0]

Two trainings per seed of the same student with the same lines, steps and batch (`experiment=tiny_rec_sroie` and
`distill_rec_sroie`), both validated on the validation list: once alone, once with PP-OCRv6's small recognizer as its
teacher (fetch it first: `python -m ocrexp fetch ppocrv6_small_rec`). Prints a table; exit code 1 where the teacher adds
less than 2 points of accuracy. What an earlier call with the same FOLDER has finished is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

GAIN = 0.02  # of accuracy, at least
RUNS = {"student alone": "tiny_rec_sroie", "with its teacher": "distill_rec_sroie"}  # experiments


def result(folder: Path) -> float | None:
    """The best accuracy of a finished run."""
    status = folder / "status.json"
    values = json.loads(status.read_text(encoding="utf-8")) if status.is_file() else {}
    return float(values["best_value"]) if values.get("state") == "done" else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("overrides", nargs="*", help="of both trainings")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    common = [f"dataset.root={given.data.absolute()}", f"trainer.max_steps={given.steps}", *given.overrides]
    gains = []
    for seed in given.seeds.split(","):
        found = []
        for name, experiment in RUNS.items():
            folder = given.folder.absolute() / f"{name.replace(' ', '_')}_{seed}"
            began = time.monotonic()
            if result(folder) is None:
                words = [f"experiment={experiment}", *common, f"seed={seed}", f"run_dir={folder}"]
                subprocess.run([sys.executable, "-m", "ocrexp", *words], check=True)
            accuracy = result(folder)
            assert accuracy is not None  # the run has ended with exit code 0
            found.append(accuracy)
            seconds = time.monotonic() - began
            print(f"seed {seed}  {name:<17} accuracy {accuracy:.3f}  ({seconds:.0f} s)", flush=True)
        gains.append(found[1] - found[0])
        print(f"seed {seed}  the teacher adds   {100 * gains[-1]:+.1f} points", flush=True)
    return 0 if min(gains) >= GAIN else 1


if __name__ == "__main__":
    sys.exit(main())
