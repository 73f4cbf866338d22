"""Time and memory of reading label lists of a million lines.

    python scripts/bench_lists.py [LINES] [--paddleocr PYTHON]

Each list is read in a process of its own, from an empty one to records whose images have been looked up and whose
labels have been checked: what training does before its first step, without paddle and the model. With the Python of an
environment with `paddleocr==2.10.0`, its SimpleDataSet reads the same lists. It keeps the lines as they are: labels are
parsed and images are looked up when a sample is loaded. Its imports, which include paddle, are not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
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


PADDLEOCR = """
import importlib.util, logging, resource, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(importlib.util.find_spec("paddleocr").origin).parent))
from ppocr.data.simple_dataset import SimpleDataSet
root, name = sys.argv[1:]
dataset = {"data_dir": root, "label_file_list": [f"{root}/{name}.txt"], "ratio_list": [1.0], "transforms": []}
config = {"Global": {}, "Train": {"dataset": dataset, "loader": {"shuffle": True}}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, cpu = time.perf_counter(), time.process_time()
data = SimpleDataSet(config, "Train", logging.getLogger("ppocr"), 0)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(f"PaddleOCR {name}: {len(data)} lines, {seconds:.1f} s ({cpu:.1f} s CPU), {more:.0f} MB more than before")
"""


def main() -> None:
    """Write both lists, and read each in a fresh process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lines", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--paddleocr", metavar="PYTHON", help="Python with paddleocr==2.10.0")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_lists(Path(folder), given.lines)
        for name in ("rec", "det"):
            process = multiprocessing.get_context("spawn").Process(target=read, args=(Path(folder), name))
            process.start()
            process.join()
            if given.paddleocr:
                subprocess.run([given.paddleocr, "-c", PADDLEOCR, folder, name], check=True)


if __name__ == "__main__":
    main()
