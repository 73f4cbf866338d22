"""Times PaddleOCR's own recognition data pipeline on a label list and prints JSON, for comparison with `ocrexp bench`.

Needs a Python of its own with the wheel `paddleocr==2.10.0`, `paddlepaddle` and numpy 2.3; nothing of ocrexp is
imported.

    PADDLEOCR_PYTHON scripts/bench_paddleocr_rec_pipeline.py --root DATA --labels train_list.txt --shape 32 320

The transforms are those of its CRNN recipe with RecAug, whose probabilities are its defaults of 0.4 each. One process,
as one of its workers, with one OpenCV thread, as a worker has a core at best; `--threads 0` leaves the number of
threads to OpenCV. Batches are not put together, which ours are.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any


def transforms(height: int, width: int) -> list[dict[str, Any]]:
    """The recipe's list."""
    return [
        {"DecodeImage": {"img_mode": "BGR", "channel_first": False}},
        {"RecAug": None},
        {"CTCLabelEncode": None},
        {"RecResizeImg": {"image_shape": [3, height, width]}},
        {"KeepKeys": {"keep_keys": ["image", "label", "length"]}},
    ]


def main() -> int:
    """Run the passes and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the list and its images")
    parser.add_argument("--labels", default="train_list.txt", help="label list, relative to the root")
    parser.add_argument("--shape", type=int, nargs=2, default=(32, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--passes", type=int, default=5, help="timed passes over the list; their median counts")
    parser.add_argument("--threads", type=int, default=1, help="OpenCV's threads; 0: OpenCV's default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    spec = importlib.util.find_spec("paddleocr")
    if spec is None or spec.origin is None:
        print("paddleocr is not installed here: run this with the Python that has paddleocr==2.10.0", file=sys.stderr)
        return 1
    package = Path(spec.origin).parent
    sys.path.insert(0, str(package))  # its modules import `ppocr` and `tools` from there

    import cv2
    import numpy as np
    from ppocr.data.simple_dataset import SimpleDataSet

    np.random.seed(arguments.seed)
    random.seed(arguments.seed)
    if arguments.threads:
        cv2.setNumThreads(arguments.threads)
    dictionary = package / "ppocr" / "utils" / "en_dict.txt"
    config = {
        "Global": {"character_dict_path": str(dictionary), "max_text_length": 200, "use_space_char": True},
        "Train": {
            "dataset": {
                "data_dir": str(arguments.root),
                "label_file_list": [str(arguments.root / arguments.labels)],
                "ratio_list": [1.0],
                "transforms": transforms(*arguments.shape),
            },
            "loader": {"shuffle": True},
        },
    }
    dataset = SimpleDataSet(config, "Train", logging.getLogger("ppocr"), arguments.seed)
    rates = []
    for _ in range(arguments.passes + 1):
        began = time.perf_counter()
        for index in range(len(dataset)):
            dataset[index]
        rates.append(len(dataset) / (time.perf_counter() - began))
    print(
        json.dumps(
            {
                "images_per_second": round(statistics.median(rates[1:]), 1),
                "passes": [round(rate, 1) for rate in rates[1:]],
                "images": len(dataset),
                "opencv": cv2.__version__,
                "opencv_threads": cv2.getNumThreads(),
                "numpy": np.__version__,
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
