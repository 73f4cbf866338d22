"""Drawn words of several aspects, and overrides that train a tiny recogniser on them in batches of several sizes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WORDS = ["ab1", "cab", "2b", "abc", "1c", "bca", "c12", "a", "2", "cab12", "bb1ca", "1abc2c"]
SIZES = [[32, 64], [32, 48], [32, 96], [32, 128]]

MODEL = [
    "model=crnn_mbv3",
    "model/backbone=rec_mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35",
    "model.neck.hidden_size=16",
    "model.image_shape=[32,64]",
    "loader=multi_scale",
    f"loader.multi_scale.sizes={SIZES}".replace(" ", ""),
    "trainer.device=cpu",
    "trainer.log_every_steps=1",
]
BY_RATIO = ["dataset=rec_list", "charset=from_labels", "loader.multi_scale.by_ratio=true"]


def draw_words(folder: Path) -> Path:
    """Word pictures in plain print with their lists: 3 of each to train, 1 to evaluate; returns the folder."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for number, word in enumerate(WORDS):
        for copy in range(4):
            image = np.full((40, 22 * len(word) + 16, 3), 235, np.uint8)
            cv2.putText(image, word, (6, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (30, 30, 30), 2)
            image = cv2.subtract(image, rng.integers(0, 20, image.shape, dtype=np.uint8))
            name = f"images/{number}_{copy}.png"
            cv2.imwrite(str(folder / name), image)
            lines["val" if copy == 3 else "train"].append(f"{name}\t{word}\n")
    for split, rows in lines.items():
        (folder / f"{split}_list.txt").write_text("".join(rows), encoding="utf-8")
    return folder
