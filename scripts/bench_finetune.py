"""Times training steps of PP-OCRv4's and v5's mobile recognizer: fused, with its branches, and PaddleOCR's own.

    python scripts/bench_finetune.py --paddleocr PaddleOCR

`--paddleocr` is a checkout of PaddleOCR 2.10, whose networks its wheel does not hold; without it these columns are left
out. Only its network and its CTC loss run here, in a process of their own:

    git clone --depth 1 --branch v2.10.0 https://github.com/PaddlePaddle/PaddleOCR

All have the same layers, CTC loss, Adam and batch: noise with labels of 3 to 10 characters. Each runs in a process of
its own; they take their steps in turns, one at a time, so that other work on the machine slows all alike. PaddleOCR
runs as it comes, and once more with the threads, matrix library and allocator that ocrexp sets. Medians count; the
processor's time (of all threads) is what other work on the machine influences least.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench_paddleocr_rec_step import open_packages

from ocrexp import environment

Batch = dict[str, Any]
FUSED, BRANCHES, THEIRS, TUNED = "fused", "branches", "PaddleOCR", "PaddleOCR, our environment"


def our_step(arguments: argparse.Namespace, fused: bool) -> Callable[[Batch], Any]:
    """The loss of a batch by our network."""
    from ocrexp.assemble import build_model
    from ocrexp.charset.sources import from_characters
    from ocrexp.config.compose import compose, setup_hydra
    from ocrexp.losses.ctc import CTCLoss

    setup_hydra()
    config = compose("train", ["model=ppocrv4_rec_ctc", f"model.backbone.fused={str(fused).lower()}"])
    model = build_model(config, from_characters([chr(0x4E00 + i) for i in range(arguments.classes - 1)]))
    loss = CTCLoss()
    model.train()
    return _Step(model, lambda batch: loss(model(batch["image"], batch), batch)["loss"])


def their_step(arguments: argparse.Namespace) -> Callable[[Batch], Any]:
    """The same of PaddleOCR's network."""
    open_packages(arguments.paddleocr)
    import paddle
    from ppocr.losses.rec_ctc_loss import CTCLoss
    from ppocr.modeling.backbones.rec_lcnetv3 import PPLCNetV3
    from ppocr.modeling.heads.rec_ctc_head import CTCHead
    from ppocr.modeling.necks.rnn import SequenceEncoder

    backbone = PPLCNetV3(scale=0.95)
    neck = SequenceEncoder(
        backbone.out_channels, "svtr", dims=120, depth=2, hidden_dims=120, kernel_size=[1, 3], use_guide=False
    )
    head = CTCHead(neck.out_channels, arguments.classes, fc_decay=1e-5)
    model = paddle.nn.Sequential(backbone, neck, head)
    loss = CTCLoss()
    model.train()

    def forward(batch: Batch) -> Any:
        image = (batch["image"].transpose([0, 3, 1, 2]).astype("float32") / 255 - 0.5) / 0.5
        return loss(model(image), [None, batch["label_ctc"], batch["length"]])["loss"]

    return _Step(model, forward)


class _Step:
    """Forward, loss, backward and optimizer."""

    def __init__(self, model: Any, forward: Callable[[Batch], Any]) -> None:
        import paddle

        self.parameters = sum(int(p.size) for p in model.parameters() if not p.stop_gradient)
        self._optimizer = paddle.optimizer.Adam(5e-4, parameters=model.parameters())
        self._forward = forward

    def __call__(self, batch: Batch) -> float:
        loss = self._forward(batch)
        loss.backward()
        self._optimizer.step()
        self._optimizer.clear_grad()
        return float(loss)


def work(arguments: argparse.Namespace) -> None:
    """A step for each line of standard input; answers with its seconds, those of the processor and the loss, after a
    first line with the size."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not touch the answers
    if arguments.worker != THEIRS:
        environment.prepare(True, None)
    import numpy as np
    import paddle

    paddle.seed(0)
    if arguments.worker in (FUSED, BRANCHES):
        step = our_step(arguments, arguments.worker == FUSED)
    else:
        step = their_step(arguments)
    count, (height, width) = arguments.batch, arguments.shape
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8),
        "label_ctc": rng.integers(1, arguments.classes, (count, 25)),
        "length": rng.integers(3, 11, count),
    }
    print(step.parameters, file=answer, flush=True)  # type: ignore[attr-defined]
    for _ in sys.stdin:
        began, worked = time.perf_counter(), time.process_time()
        value = step({name: paddle.to_tensor(array) for name, array in arrays.items()})
        taken = time.perf_counter() - began, time.process_time() - worked
        print(json.dumps([*taken, value]), file=answer, flush=True)


def main() -> int:
    """Run the steps in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paddleocr", type=Path, metavar="DIR", help="a checkout of PaddleOCR 2.10")
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    parser.add_argument("--shape", type=int, nargs=2, default=(48, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--classes", type=int, default=97, help="blank included: 97 English, 6625 Chinese of PP-OCRv4")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each; their median counts")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return 0
    names = [FUSED, BRANCHES]
    if arguments.paddleocr is not None:
        if not (arguments.paddleocr / "ppocr" / "modeling").is_dir():
            print(f"{arguments.paddleocr} is no checkout of PaddleOCR: it has no ppocr/modeling", file=sys.stderr)
            return 1
        names += [THEIRS, TUNED]
    command = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--worker"]
    workers = {
        name: subprocess.Popen(
            [*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment.untouched()
        )
        for name in names
    }
    try:
        sizes = {name: int(_line(worker)) for name, worker in workers.items()}
        steps: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(arguments.warmup + arguments.steps):
            for name, worker in workers.items():
                assert worker.stdin is not None
                worker.stdin.write("step\n")
                worker.stdin.flush()
                taken, worked, _ = json.loads(_line(worker))
                if number >= arguments.warmup:
                    steps[name].append((taken, worked))
    finally:
        for worker in workers.values():
            worker.kill()
    print(f"batch {arguments.batch}, {'x'.join(map(str, arguments.shape))}, {arguments.classes} classes")
    print(f"{'':27s} M parameters  s a step  images/s  x fused   CPU s  x fused")
    medians = {name: [statistics.median(values) for values in zip(*steps[name], strict=True)] for name in names}
    for name, (taken, worked) in medians.items():
        print(
            f"{name:27s} {sizes[name] / 1e6:12.2f} {taken:9.2f} {arguments.batch / taken:9.2f} "
            f"{taken / medians[FUSED][0]:8.2f} {worked:7.2f} {worked / medians[FUSED][1]:8.2f}"
        )
    return 0


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a process has ended: {' '.join(map(str, worker.args[-1:]))}")  # type: ignore[index]
    return line


if __name__ == "__main__":
    raise SystemExit(main())
