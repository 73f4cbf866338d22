"""Compare trainings at the rate that `find-lr` suggests with trainings at five fixed rates, for three small models.

python scripts/find_lr_check.py FOLDER [--models det,rec,finetune] [--steps N]

A detector on drawn images, a recognizer on drawn numbers, and PP-OCRv4's deployed recognizer that learns the capital
letters of Greek (fetched first: `python -m ocrexp fetch ppocrv4_rec`). For each it runs `find-lr`, then trains whole
short runs at 1e-4, 3e-4, 1e-3, 3e-3, 1e-2 and at the suggestion (`find-lr rates=[...]` with as many steps as the run
has: its schedule, without checkpoints), and prints their metrics and losses. Exit code 1 where the metric at the
suggestion is more than 5 % below the best of the five; where none has a metric of 0.5, its validation loss is compared.
With the FOLDER of an earlier call, what is done is not run again. Takes about 40 CPU minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WORSE = 0.05  # of the best of the grid
LEARNED = 0.5  # of the metric; where the best of the grid is below, the validation losses are compared
COMMON = [
    "loader.num_workers=0",
    "loader.eval_batch_size=16",
    "callbacks=none",
    "trainer.devices=1",
    "trainer.eval_every_epochs=null",
    "trainer.eval_at_start=false",
    "trainer.max_epochs=null",
    "optim.schedule.warmup_epochs=0.0",
]
MODELS = {
    "det": [
        "dataset=det_list",
        "dataset.root={data}/det",
        "model/backbone=mobilenetv3_small_x0_5",
        "model.backbone.scale=0.35",
        "model.neck.out_channels=24",
        "augment.warp.size=[96,96]",
        "preprocess.resize.limit_side_len=96",
        "preprocess.resize.limit_type=max",
        "loader.batch_size=4",
        "loader.eval_batch_size=1",
    ],
    "rec": [
        "model=crnn_mbv3",
        "model/backbone=rec_mobilenetv3_small_x0_5",
        "model.backbone.scale=0.35",
        "model.neck.hidden_size=48",
        "model.image_shape=[32,48]",
        "dataset=rec_list",
        "dataset.root={data}/rec",
        "augment=rec_none",
        "charset=digits",
        "loader.batch_size=16",
    ],
    "finetune": [
        "model=ppocrv4_rec_ctc",
        "model.pretrained=ppocrv4_rec",
        "model.image_shape=[48,64]",
        "dataset=synth_rec",
        "dataset.cache_dir={data}/words",
        "dataset.train_words=160",
        "dataset.val_words=60",
        "dataset.scripts=[greek]",
        "dataset.max_length=3",
        "dataset.difficulty=0.2",
        "dataset.punctuation=0.0",
        "dataset.cases={{lower: 0, title: 0, upper: 1}}",
        "dataset.texts={{word: 1, number: 0, price: 0, date: 0, code: 0, random: 0, phrase: 0}}",
        "charset=characters",
        "charset.characters=ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
        "augment=rec_none",
        "loader.batch_size=4",
    ],
}
STEPS = {"det": 200, "rec": 1000, "finetune": 150}
RAMP = {"finetune": ["steps=60"]}


def draw(root: Path) -> None:
    """Images with two words each and their regions, and images of numbers."""
    rng = np.random.default_rng(0)
    for kind, counts in (("det", (48, 24)), ("rec", (800, 200))):
        folder = root / kind
        folder.mkdir(parents=True)
        for split, count in zip(("train", "val"), counts, strict=True):
            lines = []
            for number in range(count):
                name = f"{split}_{number}.png"
                image, label = (_page if kind == "det" else _number)(rng)
                cv2.imwrite(str(folder / name), image)
                lines.append(f"{name}\t{label}\n")
            (folder / f"{split}_list.txt").write_text("".join(lines), encoding="utf-8")


def _page(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    image = np.full((96, 96, 3), 200, np.uint8) + rng.integers(0, 40, (96, 96, 3), dtype=np.uint8)
    regions = []
    for top in (2, 48):
        x, y = int(rng.integers(2, 26)), top + int(rng.integers(0, 16))
        cv2.putText(image, "WORD", (x, y + 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
        regions.append(
            {"transcription": "WORD", "points": [[x, y + 5], [x + 65, y + 5], [x + 65, y + 30], [x, y + 30]]}
        )
    return image, json.dumps(regions)


def _number(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    text = "".join(map(str, rng.integers(0, 10, rng.integers(1, 4))))
    image = np.full((40, 20 * len(text) + 16, 3), 225, np.uint8)
    place = (int(rng.integers(2, 10)), int(rng.integers(28, 34)))
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (40, 40, 40), 2)
    return cv2.subtract(image, rng.integers(0, 50, image.shape, dtype=np.uint8)), text


def ocrexp(words: list[str], log: Path) -> None:
    """Run a command; its output goes into a file."""
    with log.open("ab") as file:
        code = subprocess.run(
            [sys.executable, "-m", "ocrexp", *words], stdout=file, stderr=file, check=False
        ).returncode
    if code:
        raise SystemExit(f"exit code {code}; see {log}")


def read(folder: Path) -> list[dict[str, Any]]:
    """The trainings that are done, by rate."""
    files = folder.glob("trainings*/lr_trainings.json")
    found = [one for file in files for one in json.loads(file.read_text())["trainings"]]
    return sorted(found, key=lambda one: float(one["rate"]))


def check(name: str, root: Path, steps: int) -> bool:
    """Find the rate of a model and compare it with the grid; prints the table."""
    began = time.monotonic()
    given = [*COMMON, *(word.format(data=root / "data") for word in MODELS[name]), f"trainer.max_steps={steps}"]
    folder, log = root / name, root / f"{name}.log"
    folder.mkdir(exist_ok=True)
    if not (folder / "range" / "lr_range.json").is_file():
        ocrexp(["find-lr", *given, *RAMP.get(name, []), f"output={folder / 'range'}"], log)
    found = json.loads((folder / "range" / "lr_range.json").read_text())
    rates = {one: float(f"{values['rate']:.2g}") for one, values in found["suggestions"].items()}
    suggested = rates[found["recommended"]]
    wanted = {*GRID, suggested}
    trained = read(folder)
    if missing := sorted(wanted - {one["rate"] for one in trained}):
        listed, number = ",".join(f"{rate:.2g}" for rate in missing), len(list(folder.glob("trainings*"))) + 1
        ocrexp(
            ["find-lr", *given, f"rates=[{listed}]", f"steps={steps}", f"output={folder / f'trainings{number}'}"], log
        )
    trained = [one for one in read(folder) if one["rate"] in wanted]
    print(
        f"{name}: {', '.join(f'{one} {rate:.2g}' for one, rate in rates.items())}; recommended {found['recommended']}"
    )
    for one in trained:
        mark, result = "  <- find-lr" if one["rate"] == suggested else "", one["result"]
        value = f"metric {result['metric']:.4f}, validation loss {result['val_loss']:.4g}" if result else one["ended"]
        print(f"  optim.lr={one['rate']:<8.2g} {value}{mark}")
    results = {one["rate"]: one["result"] for one in trained if one["result"]}
    at_grid = [results[rate] for rate in GRID if rate in results]
    metric, loss = max(one["metric"] for one in at_grid), min(one["val_loss"] for one in at_grid)
    ours = results.get(suggested, {"metric": 0.0, "val_loss": float("inf")})
    if metric >= LEARNED:
        what, passed = f"metric {ours['metric'] / metric - 1:+.1%}", ours["metric"] >= (1 - WORSE) * metric
    else:
        what, passed = f"validation loss {ours['val_loss'] / loss - 1:+.1%}", ours["val_loss"] <= (1 + WORSE) * loss
    verdict = "passed" if passed else "FAILED"
    print(f"  {what} against the best of the grid: {verdict}, {time.monotonic() - began:.0f} s", flush=True)
    return bool(passed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    root = given.folder.absolute()
    if not (root / "data").is_dir():
        draw(root / "data")
    passed = [check(name, root, given.steps or STEPS[name]) for name in given.models.split(",")]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
