"""Compare a small model that learns from labels alone with one that also learns from a larger model.

    python scripts/distill_check.py FOLDER --data DATA/sroie_rec [--seeds 0] [KEY=VALUE ...]
    python scripts/distill_check.py FOLDER --data DATA/sroie_det --task det

Two trainings per seed of the same student with the same images, steps and batch, both validated on the validation list:
once alone (`experiment=tiny_rec_sroie`, `tiny_det_sroie`) and once with PP-OCRv6's small model as its teacher
(`experiment=distill_rec_sroie`, `distill_det_sroie`; fetch `ppocrv6_small_rec`, `ppocrv6_small_det` first). Further
keys go to both trainings. Prints a table; exit code 1 where the teacher adds less than 2 points. What an earlier call
with the same FOLDER has finished is not run again, and what it has begun is resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GAIN = 0.02  # of accuracy or hmean, at least
EXPERIMENTS = {"alone": "tiny_{task}_sroie", "taught": "distill_{task}_sroie"}


def status_of(folder: Path) -> dict[str, Any]:
    """What a run states about itself; empty if there is none."""
    status = folder / "status.json"
    return dict(json.loads(status.read_text(encoding="utf-8"))) if status.is_file() else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", choices=("rec", "det"), default="rec")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("overrides", nargs="*", help="of both trainings")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    gains = []
    for seed in given.seeds.split(","):
        found = []
        for name, experiment in EXPERIMENTS.items():
            folder = given.folder.absolute() / f"{given.task}_{name}_{seed}"
            words = ["resume"]
            if not list((folder / "checkpoints").glob("latest.pdstates")):
                words = [f"experiment={experiment.format(task=given.task)}", f"dataset.root={given.data.absolute()}"]
                words += [*given.overrides, f"seed={seed}"]
            if status_of(folder).get("state") != "done":
                subprocess.run([sys.executable, "-m", "ocrexp", *words, f"run_dir={folder}"], check=True)
            status = status_of(folder)
            found.append(float(status["best_value"]))
            where = f"at step {status['best_step']} of {status['total_steps']}, {status['seconds']:.0f} s"
            print(f"seed {seed}  {name:<7} {status['best_metric']} {found[-1]:.3f} ({where})", flush=True)
        gains.append(found[1] - found[0])
        print(f"seed {seed}  the teacher adds {100 * gains[-1]:+.1f} points", flush=True)
    return 0 if min(gains) >= GAIN else 1


if __name__ == "__main__":
    sys.exit(main())
