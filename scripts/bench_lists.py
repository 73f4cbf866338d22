"""Time and memory of reading label lists of a million lines: python scripts/bench_lists.py [lines].

Each list is read in a process of its own, from an empty one to records whose images have been looked up and whose
labels have been checked: what training does before its first step, without paddle and the model.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
IMAGES = 64


def write_lists(root: Path, lines: int) -> None:
    """`rec.txt`, words of 2 to 12 characters, and `det.txt`, two quadrilaterals an image."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    for i in range(IMAGES):
        (root / "images" / f"{i}.jpg").touch()
    with (root / "rec.txt").open("w") as rec, (root / "det.txt").open("w") as det:
        for i in range(lines):
            word = "".join(CHARACTERS[k] for k in rng.integers(0, len(CHARACTERS), rng.integers(2, 13)))
            rec.write(f"images/{i % IMAGES}.jpg\t{word}\n")
            x, y = (int(value) for value in rng.integers(0, 400, 2))
            points = [[x, y], [x + 80, y], [x + 80, y + 20], [x, y + 20]]
            regions = [{"transcription": word, "points": points}, {"transcription": "###", "points": points}]
            det.write(f"images/{i % IMAGES}.jpg\t{json.dumps(regions)}\n")


def read(root: Path, name: str) -> None:
    """Read a list for training and validation, and print what it took."""
    began, cpu = time.perf_counter(), time.process_time()
    from ocrexp.charset.sources import from_labels
    from ocrexp.data.label_check import check_labels, check_val_labels
    from ocrexp.data.lists import DetLists
    from ocrexp.data.rec_lists import RecLists
    from ocrexp.data.records import all_texts, list_sizes
    from ocrexp.data.regions import crossing_lines

    source = (RecLists if name == "rec" else DetLists)(root, f"{name}.txt", f"{name}.txt")
    records = source.train_records()
    source.val_records()
    source.report()
    source.fingerprint()
    list_sizes(records, 1)
    if name == "rec":
        charset = from_labels(all_texts(records))
        check_labels(records, charset, ["ctc"], 25, lambda width: width // 4, 100)
        check_val_labels(source.val_records(), charset)
    else:
        crossing_lines("train", records)
        crossing_lines("val", source.val_records())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - began
    print(f"{name}: {len(records)} records, {seconds:.1f} s ({time.process_time() - cpu:.1f} s CPU), {memory:.0f} MB")


def main() -> None:
    """Write both lists, and read each in a fresh process."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        write_lists(Path(folder), lines)
        for name in ("rec", "det"):
            process = multiprocessing.get_context("spawn").Process(target=read, args=(Path(folder), name))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
