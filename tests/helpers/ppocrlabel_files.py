"""PPOCRLabel's files, read and written as version 3.1 does it."""

import json
from pathlib import Path
from typing import Any

Labels = dict[str, list[dict[str, Any]]]


def opened(path: Path) -> Labels:
    """The labels that the program shows."""
    labels = {}
    for line in path.read_text("utf-8").splitlines():
        name, label = line.split("\t")
        words = label.replace("false", "False").replace("true", "True").replace("null", "None")
        labels[name] = eval(words)
    return labels


def confirmed(folder: Path, labels: Labels) -> None:
    """Write what the program writes for confirmed images: those without a region are in fileState.txt only."""
    lines = [f"{name}\t{json.dumps(label, ensure_ascii=False)}\n" for name, label in labels.items() if label]
    (folder / "Label.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "fileState.txt").write_text("".join(f"{name}\t1\n" for name in labels), encoding="utf-8")
