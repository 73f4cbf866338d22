"""Times PaddleOCR's own detection data pipeline on a label list and prints JSON, for comparison with `ocrexp bench`.

Needs a Python of its own with the wheel `paddleocr==2.10.0`, `paddlepaddle` and numpy 2.3 (with numpy 2.4 its
transforms raise); nothing of ocrexp is imported.

    PADDLEOCR_PYTHON scripts/bench_paddleocr_pipeline.py --root DATA --labels train_list.txt --passes 5

The transforms are those of its det_mv3_db recipe: flip, rotation of 10 degrees, scale 0.5 to 3, crop of 640x640, all
maps. One process, as one of its workers, with one OpenCV thread, as a worker has a core at best; `--threads 0` leaves
the number of threads to OpenCV.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import statistics
import sys
import time
from pathlib import Path

TRANSFORMS = [
    {"DecodeImage": {"img_mode": "BGR", "channel_first": False}},
    {"DetLabelEncode": None},
    {
        "IaaAugment": {
            "augmenter_args": [
                {"type": "Fliplr", "args": {"p": 0.5}},
                {"type": "Affine", "args": {"rotate": [-10, 10]}},
                {"type": "Resize", "args": {"size": [0.5, 3]}},
            ]
        }
    },
    {"EastRandomCropData": {"size": [640, 640], "max_tries": 10, "keep_ratio": True}},
    {"MakeBorderMap": {"shrink_ratio": 0.4, "thresh_min": 0.3, "thresh_max": 0.7}},
    {"MakeShrinkMap": {"shrink_ratio": 0.4, "min_text_size": 8}},
    {
        "NormalizeImage": {
            "scale": "1./255.",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "order": "hwc",
        }
    },
    {"ToCHWImage": None},
    {"KeepKeys": {"keep_keys": ["image", "threshold_map", "threshold_mask", "shrink_map", "shrink_mask"]}},
]


def main() -> int:
    """Run the passes and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the list and its images")
    parser.add_argument("--labels", default="train_list.txt", help="label list, relative to the root")
    parser.add_argument("--passes", type=int, default=5, help="timed passes over the list; their median counts")
    parser.add_argument("--images", type=int, default=None, help="only the first N of the list")
    parser.add_argument("--threads", type=int, default=1, help="OpenCV's threads; 0: OpenCV's default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    spec = importlib.util.find_spec("paddleocr")
    if spec is None or spec.origin is None:
        print("paddleocr is not installed here: run this with the Python that has paddleocr==2.10.0", file=sys.stderr)
        return 1
    sys.path.insert(0, str(Path(spec.origin).parent))  # its modules import `ppocr` and `tools` from there

    import cv2
    import numpy as np
    from ppocr.data.simple_dataset import SimpleDataSet

    np.random.seed(arguments.seed)
    if arguments.threads:
        cv2.setNumThreads(arguments.threads)
    config = {
        "Global": {},
        "Train": {
            "dataset": {
                "data_dir": str(arguments.root),
                "label_file_list": [str(arguments.root / arguments.labels)],
                "ratio_list": [1.0],
                "transforms": TRANSFORMS,
            },
            "loader": {"shuffle": True},
        },
    }
    dataset = SimpleDataSet(config, "Train", logging.getLogger("ppocr"), arguments.seed)
    count = min(len(dataset), arguments.images or len(dataset))
    rates = []
    for _ in range(arguments.passes + 1):
        began = time.perf_counter()
        for index in range(count):
            dataset[index]
        rates.append(count / (time.perf_counter() - began))
    print(
        json.dumps(
            {
                "images_per_second": round(statistics.median(rates[1:]), 1),
                "passes": [round(rate, 1) for rate in rates[1:]],
                "images": count,
                "opencv": cv2.__version__,
                "opencv_threads": cv2.getNumThreads(),
                "numpy": np.__version__,
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
