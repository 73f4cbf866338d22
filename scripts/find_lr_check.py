"""Compare trainings at the rate that `find-lr` suggests with trainings at five fixed rates, for three small models.

python scripts/find_lr_check.py FOLDER [--models det,rec,finetune] [--steps N]

A detector on drawn images, a recognizer on drawn words, and PP-OCRv4's deployed recognizer that learns the capital
letters of Greek (fetched first: `python -m ocrexp fetch ppocrv4_rec`). For each it runs `find-lr`, then a sweep over
1e-4, 3e-4, 1e-3, 3e-3, 1e-2 and the suggested rate, each a whole short training, and prints their metrics and losses.
Exit code 1 where the metric at the suggestion is more than 5 % below the best of the five. With the FOLDER of an
earlier call, what is done is not run again. Takes about 12 CPU minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
WORSE = 0.05  # of the best metric of the grid
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
        "augment.warp.size=[128,128]",
        "preprocess.resize.limit_side_len=128",
        "preprocess.resize.limit_type=max",
        "loader.batch_size=4",
        "loader.eval_batch_size=1",
        "trainer.max_steps=240",
    ],
    "rec": [
        "model=crnn_mbv3",
        "model/backbone=rec_mobilenetv3_small_x0_5",
        "model.backbone.scale=0.35",
        "model.neck.hidden_size=48",
        "model.image_shape=[32,96]",
        "dataset=rec_list",
        "dataset.root={data}/rec",
        "augment=rec_none",
        "charset=digits",
        "loader.batch_size=16",
        "trainer.max_steps=400",
    ],
    "finetune": [
        "model=ppocrv4_rec_ctc",
        "model.pretrained=ppocrv4_rec",
        "model.image_shape=[48,96]",
        "dataset=synth_rec",
        "dataset.cache_dir={data}/words",
        "dataset.train_words=400",
        "dataset.val_words=100",
        "dataset.scripts=[greek]",
        "dataset.max_length=4",
        "dataset.difficulty=0.2",
        "dataset.punctuation=0.0",
        "dataset.cases={{lower: 0, title: 0, upper: 1}}",
        "dataset.texts={{word: 1, number: 0, price: 0, date: 0, code: 0, random: 0, phrase: 0}}",
        "charset=characters",
        "charset.characters=ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
        "augment=rec_none",
        "loader.batch_size=8",
        "trainer.max_steps=60",
    ],
}


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
    image = np.full((128, 128, 3), 200, np.uint8) + rng.integers(0, 40, (128, 128, 3), dtype=np.uint8)
    regions = []
    for top in (4, 66):
        x, y = int(rng.integers(2, 30)), top + int(rng.integers(0, 22))
        cv2.putText(image, "WORD", (x, y + 28), cv2.FONT_HERSHEY_SIMPLEX, 0.95, (20, 20, 20), 2)
        regions.append(
            {"transcription": "WORD", "points": [[x, y + 4], [x + 88, y + 4], [x + 88, y + 32], [x, y + 32]]}
        )
    return image, json.dumps(regions)


def _number(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    text = "".join(map(str, rng.integers(0, 10, rng.integers(2, 6))))
    image = np.full((40, 20 * len(text) + 16, 3), 225, np.uint8) - rng.integers(0, 60, dtype=np.uint8)
    tilt = rng.integers(-3, 4)
    cv2.putText(image, text, (int(rng.integers(2, 10)), 30 + int(tilt)), rng.integers(0, 5), 0.8, (40, 40, 40), 2)
    return cv2.subtract(image, rng.integers(0, 50, image.shape, dtype=np.uint8)), text


def ocrexp(words: list[str], log: Path) -> None:
    """Run a command; its output goes into a file."""
    with log.open("ab") as file:
        code = subprocess.run(
            [sys.executable, "-m", "ocrexp", *words], stdout=file, stderr=file, check=False
        ).returncode
    if code:
        raise SystemExit(f"exit code {code}; see {log}")


def check(name: str, root: Path, steps: int | None) -> bool:
    """Find the rate of a model and compare it with the grid; prints the table."""
    began = time.monotonic()
    given = [*COMMON, *(word.format(data=root / "data") for word in MODELS[name])]
    if steps is not None:
        given.append(f"trainer.max_steps={steps}")
    folder, log = root / name, root / f"{name}.log"
    folder.mkdir(exist_ok=True)
    if not (folder / "range" / "lr_range.json").is_file():
        ocrexp(["find-lr", *given, f"output={folder / 'range'}"], log)
    found = json.loads((folder / "range" / "lr_range.json").read_text())
    rates = {one: float(f"{values['rate']:.2g}") for one, values in found["suggestions"].items()}
    suggested = rates[found["recommended"]]
    tried = [*GRID, *([] if suggested in GRID else [suggested])]
    lr = ",".join(f"{rate:.2g}" for rate in tried)
    ocrexp(["-m", *given, f"sweep_dir={folder / 'sweep'}", f"optim.lr={lr}"], log)
    results = [json.loads((folder / "sweep" / str(job) / "status.json").read_text()) for job in range(len(tried))]
    metrics = dict(zip(tried, (result["best_value"] for result in results), strict=True))
    best = max(metrics[rate] for rate in GRID)
    passed = metrics[suggested] >= (1 - WORSE) * best
    print(
        f"{name}: {', '.join(f'{one} {rate:.2g}' for one, rate in rates.items())}; recommended {found['recommended']}"
    )
    for rate, result in sorted(zip(tried, results, strict=True), key=lambda pair: pair[0]):
        mark = "  <- find-lr" if rate == suggested else ""
        value = f"{result['best_metric']} {result['best_value']:.4f}, validation loss {result['val_loss']:.4f}"
        print(f"  optim.lr={rate:<8.2g} {value}{mark}")
    share = metrics[suggested] / best - 1 if best else 0.0
    words = f"{share:+.1%} of the best of the grid: {'passed' if passed else 'FAILED'}"
    print(f"  {words}, {time.monotonic() - began:.0f} s", flush=True)
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
    passed = [check(name, root, given.steps) for name in given.models.split(",")]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
