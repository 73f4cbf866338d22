"""Times training steps of PaddleOCR's own CRNN and prints JSON, for comparison with `ocrexp bench what=[rec_step]`.

Needs a Python of its own with `paddlepaddle`, and a checkout of PaddleOCR 2.10.0, whose networks and losses its wheel
does not hold; nothing of ocrexp is imported.

    git clone --depth 1 --branch v2.10.0 https://github.com/PaddlePaddle/PaddleOCR
    PADDLEOCR_PYTHON scripts/bench_paddleocr_rec_step.py --source PaddleOCR --shape 32 100

The network, loss and optimizer are those of its rec_mv3_none_bilstm_ctc recipe with 36 characters, paddle is used as it
comes: no environment variable is set. Images are noise, normalized before, and labels have 3 to 10 characters.
Decoding the batch for the training accuracy, which its recipe does at each step, is omitted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import types
from pathlib import Path

CLASSES = 37  # 36 characters and the blank
PACKAGES = ("ppocr", "ppocr.modeling", "ppocr.modeling.backbones", "ppocr.modeling.necks", "ppocr.modeling.heads")


def open_packages(source: Path) -> None:
    """Make the modules of these packages importable one by one: the packages themselves import all of PaddleOCR."""
    for name in (*PACKAGES, "ppocr.losses"):
        package = types.ModuleType(name)
        package.__path__ = [str(source.joinpath(*name.split(".")))]
        sys.modules[name] = package


def main() -> int:
    """Run the steps and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="a checkout of PaddleOCR 2.10.0")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--shape", type=int, nargs=2, default=(32, 100), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=3, help="timed steps; their median counts")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    arguments = parser.parse_args()

    if not (arguments.source / "ppocr" / "modeling").is_dir():
        print(f"{arguments.source} is no checkout of PaddleOCR: it has no ppocr/modeling", file=sys.stderr)
        return 1
    open_packages(arguments.source)

    import numpy as np
    import paddle
    from ppocr.losses.rec_ctc_loss import CTCLoss
    from ppocr.modeling.backbones.rec_mobilenet_v3 import MobileNetV3
    from ppocr.modeling.heads.rec_ctc_head import CTCHead
    from ppocr.modeling.necks.rnn import SequenceEncoder

    paddle.seed(0)
    backbone = MobileNetV3(in_channels=3, scale=0.5, model_name="large")
    neck = SequenceEncoder(backbone.out_channels, "rnn", hidden_size=96)
    model = paddle.nn.Sequential(backbone, neck, CTCHead(neck.out_channels, CLASSES, fc_decay=0))
    loss = CTCLoss()
    optimizer = paddle.optimizer.Adam(0.0005, beta1=0.9, beta2=0.999, parameters=model.parameters())
    model.train()

    count, (height, width) = arguments.batch, arguments.shape
    rng = np.random.default_rng(0)
    arrays = (
        rng.uniform(-1, 1, (count, 3, height, width)).astype(np.float32),
        rng.integers(1, CLASSES, (count, 25)),
        rng.integers(3, 11, count),
    )
    seconds, value = [], float("nan")
    for _ in range(arguments.warmup + arguments.steps):
        began = time.perf_counter()
        batch = [paddle.to_tensor(array) for array in arrays]
        total = loss(model(batch[0]), batch)["loss"]
        total.backward()
        optimizer.step()
        optimizer.clear_grad()
        value = float(total)
        seconds.append(time.perf_counter() - began)
    counted = seconds[arguments.warmup :]
    print(
        json.dumps(
            {
                "images_per_second": round(count / statistics.median(counted), 2),
                "steps": [round(item, 3) for item in counted],
                "parameters": sum(int(p.size) for p in model.parameters() if not p.stop_gradient),
                "loss": round(value, 3),
                "paddle": paddle.__version__,
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
