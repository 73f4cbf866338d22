"""Compare a small model that learns from labels alone with one that also learns from a larger model.

    python scripts/distill_check.py FOLDER --data DATA/sroie_rec [--seeds 0] [KEY=VALUE ...]
    python scripts/distill_check.py FOLDER --data DATA/sroie_det --task det [--labeled 10]

Two trainings per seed of the same student with the same labels, steps and batch, both validated on the validation list:
once alone (`experiment=tiny_rec_sroie`, `tiny_det_sroie`) and once with PP-OCRv6's small model as its teacher
(`experiment=distill_rec_sroie`, `distill_det_sroie`; fetch `ppocrv6_small_rec`, `ppocrv6_small_det` first). Further
keys go to both trainings. Prints a table; exit code 1 where the teacher adds less than 2 points. What an earlier call
with the same FOLDER has finished is not run again, and what it has begun is resumed.

Detectors: only the first `labeled` images keep their labels. The teacher is first fine-tuned on them, so that it marks
regions as these labels do, and then teaches on all images of the training list.
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


def train(folder: Path, *words: str) -> dict[str, Any]:
    """Train in a run folder, or resume it, unless it is done; what it states about itself."""
    if status_of(folder).get("state") != "done":
        begun = list((folder / "checkpoints").glob("latest.pdstates"))
        ocrexp(*(["resume"] if begun else words), f"run_dir={folder}")
    return status_of(folder)


def ocrexp(*words: str) -> None:
    """Run a command; one that fails has said why, and its exit code ends this script."""
    if code := subprocess.run([sys.executable, "-m", "ocrexp", *words], check=False).returncode:
        sys.exit(code)


def quoted(path: Path) -> str:
    """A path as a value of a configuration, with any characters."""
    return json.dumps(str(path), ensure_ascii=False)


def words_of_lists(folder: Path, data: Path, labeled: int) -> dict[str, list[str]]:
    """The further words of both trainings of a detector, with few labeled images; its teacher is trained."""
    lines = (data / "train_list.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    few, unlabeled = folder / f"labeled_{labeled}.txt", folder / "unlabeled"
    few.write_text("".join(lines[:labeled]), encoding="utf-8")
    if not unlabeled.is_dir():
        ocrexp("convert", "from=unlabeled", f"root={data / 'train_images'}", f"out={unlabeled}")
    teacher = folder / f"det_{labeled}_teacher"
    lists = [f"dataset.root={data}", f"dataset.train_labels={quoted(few)}"]
    train(teacher, "experiment=finetune_det_sroie_v6", *lists)
    both = f"[{quoted(few)},{quoted(unlabeled / 'train_list.txt')}]"
    last = teacher / "checkpoints" / "latest.pdparams"  # whatever it is worth on the validation images
    taught = [f"dataset.train_labels={both}", "loader.batch_shares=[1,1]", f"model.teacher.pretrained={last}"]
    return {"alone": lists, "taught": [lists[0], *taught]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", choices=("rec", "det"), default="rec")
    parser.add_argument("--labeled", type=int, default=10, help="images with labels, for detectors")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("overrides", nargs="*", help="of both trainings")
    given = parser.parse_intermixed_args()
    folder, data = given.folder.absolute(), given.data.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    words = {name: [f"dataset.root={data}"] for name in EXPERIMENTS}
    kind = given.task
    if kind == "det":
        words, kind = words_of_lists(folder, data, given.labeled), f"det_{given.labeled}"
    gains = []
    for seed in given.seeds.split(","):
        found = []
        for name, experiment in EXPERIMENTS.items():
            of_both = [f"experiment={experiment.format(task=given.task)}", *given.overrides, f"seed={seed}"]
            status = train(folder / f"{kind}_{name}_{seed}", *of_both, *words[name])
            found.append(float(status["best_value"]))
            where = f"at step {status['best_step']} of {status['total_steps']}, {status['seconds']:.0f} s"
            print(f"seed {seed}  {name:<7} {status['best_metric']} {found[-1]:.3f} ({where})", flush=True)
        gains.append(found[1] - found[0])
        print(f"seed {seed}  the teacher adds {100 * gains[-1]:+.1f} points", flush=True)
    return 0 if min(gains) >= GAIN else 1


if __name__ == "__main__":
    sys.exit(main())
