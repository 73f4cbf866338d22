"""Times an evaluation with and without the validation loss, in turn, and prints what the loss adds.

    python scripts/bench_val_loss.py --repeats 5 model=db_mbv3 dataset=det_list dataset.root=DATA/sroie_det

All arguments but `--repeats` and `--images` are overrides of `python -m ocrexp`. The weights are random, which takes
the same time as trained ones but for the postprocess, which then finds nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from ocrexp.assemble.parts import assemble
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.task import with_default_model
from ocrexp.runs.hooks import prepare_process


def work() -> float:
    """Seconds that this process and its loader workers have spent on a core (Linux)."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    stats = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in ("self", *children)]
    return sum(int(one[11]) + int(one[12]) for one in stats) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print two lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="evaluations of each kind; the median is printed")
    parser.add_argument("--images", type=int, default=None, help="number of images (about, in whole batches)")
    arguments, overrides = parser.parse_known_args()
    config = compose("train", with_default_model(overrides))
    prepare_process(config)
    check(config)

    from ocrexp.engine.distributed import set_device
    from ocrexp.engine.evaluator import Evaluator

    set_device(str(config.trainer.device))
    parts = assemble(config)
    batch = int(config.loader.eval_batch_size or config.loader.batch_size)
    limit = None if arguments.images is None else max(1, arguments.images // batch)
    loaders = {name: parts.eval_loader_of(parts.source, targets=name == "with") for name in ("without", "with")}
    evaluators = {
        name: Evaluator(
            loader,
            parts.postprocess,
            parts.new_metric(),
            limit_batches=limit,
            nothing=parts.task.nothing_found,
            loss=parts.loss if name == "with" else None,
        )
        for name, loader in loaders.items()
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in evaluators}
    try:
        for repeat in range(arguments.repeats + 1):  # the first of each prepares kernels and workers
            for name, evaluator in evaluators.items():
                before = work()
                result = evaluator.run(parts.model)
                if repeat:
                    seconds[name].append((result.seconds, work() - before))
    finally:
        for loader in loaders.values():
            loader.close()
    for place, what in enumerate(("elapsed", "on a core, with the loader's workers")):
        plain, full = (statistics.median(figures[place] for figures in seconds[name]) for name in ("without", "with"))
        added = 100 * (full / plain - 1)
        print(
            f"{result.images} images, seconds {what}: {plain:.2f} without the loss, {full:.2f} with it ({added:+.0f} %)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
