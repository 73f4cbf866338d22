"""Whether a batch fits the memory: training steps with it, in a process of its own.

Two steps of the configured training (forward, loss, backward, optimizer, with its precision and its average of weights)
on the largest shape that its batches have. The second step has the optimizer's state in memory as well.

python batch_try.py    a JSON object on its standard input, one on its output
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrexp.assemble.parts import Parts
    from ocrexp.types import Batch

_STEPS = 2
_SAMPLES = 8  # that are loaded and repeated: memory depends on shapes alone
_TRIED = 64  # samples until one is usable


def main() -> int:
    """Try a batch; returns the exit code."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # a script's folder must not shadow top-level modules
    from ocrexp.runs.asking import answer

    return answer(_answer)


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """See `try_batch`, with the configuration as text in `config`."""
    with contextlib.suppress(OSError):  # the system ends this process first where memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    from omegaconf import OmegaConf

    from ocrexp.runs.hooks import prepare_process

    config = OmegaConf.create(question["config"])
    prepare_process(config)
    return try_batch(config)


def try_batch(config: Any) -> dict[str, Any]:
    """Train two steps with `loader.batch_size` images in this process.

    Returns peak (bytes of this process, or of the GPU), total (bytes of the GPU, None on a CPU), seconds of a step,
    images and size of the batch, and its bytes; or out_of_memory, the message of the failure.
    """
    from ocrexp.assemble import assemble
    from ocrexp.data.shared import array_bytes
    from ocrexp.engine import distributed
    from ocrexp.engine.health import out_of_memory
    from ocrexp.engine.memory import PeakMemory, gpu_peak_mb, gpu_total_mb
    from ocrexp.engine.seed import seed_everything
    from ocrexp.errors import nothing_done

    distributed.set_device(str(config.trainer.device))
    seed_everything(config.seed)
    with nothing_done():
        parts = assemble(config)
    try:
        with nothing_done():
            batch = largest_batch(parts)
        seconds = _train(parts, batch)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return {"out_of_memory": str(error).strip().splitlines()[-1] if str(error).strip() else "out of memory"}
    gpu = gpu_peak_mb()
    total = gpu_total_mb()
    return {
        "peak": int((PeakMemory().mb if gpu is None else gpu) * 2**20),
        "total": None if total is None else int(total * 2**20),
        "seconds": seconds,
        "images": len(batch["image"]),
        "size": list(batch["image"].shape[1:3]),
        "batch_bytes": array_bytes(batch),
    }


def largest_batch(parts: Parts) -> Batch:
    """A batch of the run with the most pixels: of the sampler's shapes, with real samples, repeated to its number."""
    import numpy as np

    from ocrexp.data.sampler import Planned
    from ocrexp.data.worker import load_batch
    from ocrexp.errors import DataError

    loader = parts.train_loader
    size, images = max(
        loader.sampler.shapes(), key=lambda shape: shape[1] * (1 if shape[0] is None else shape[0][0] * shape[0][1])
    )
    indices = loader.sampler.first_indices(_TRIED)
    reasons: list[tuple[str, str]] = []
    for start in range(0, len(indices), _SAMPLES):
        planned = Planned(np.asarray(indices[start : start + min(_SAMPLES, images)]), size)
        batch, rejections, _ = load_batch(loader.pipeline, parts.task.collate_train, 0, planned)
        reasons += rejections
        if batch:
            return _repeated(batch, images)
    why, where = reasons[0]
    raise DataError(f"none of the first {len(indices)} training images can be used ({where}: {why})")


def _repeated(batch: Batch, images: int) -> Batch:
    """The samples of a batch again and again, up to a number."""
    import numpy as np

    count = len(batch["image"])
    rows = np.arange(images) % count
    repeated: Any = {}
    for name, value in batch.items():
        if isinstance(value, np.ndarray) and value.shape[:1] == (count,):
            repeated[name] = value[rows]
        elif isinstance(value, list) and len(value) == count:
            repeated[name] = [value[row] for row in rows]
        else:
            repeated[name] = value
    return repeated


def _train(parts: Parts, batch: Batch) -> float:
    """Seconds of the last step."""
    from ocrexp.engine.step import NonFiniteLoss, Stepper
    from ocrexp.optim.ema import WeightAverage

    settings = parts.settings
    stepper = Stepper(parts.model, parts.loss, parts.optimizer, settings)
    average = WeightAverage(parts.learns, settings.ema_decay) if settings.ema_decay else None
    parts.model.train()
    seconds = 0.0
    for step in range(_STEPS):
        began = time.perf_counter()
        planned = min(settings.accumulate, 2)  # with a second one, gradients are in memory during a forward pass
        with contextlib.suppress(NonFiniteLoss):  # the training itself reports it
            stepper.run(_same(batch, planned), planned, 0.0, lambda: False)
            if average is not None:
                average.update(parts.learns, step + 1, stepper.masters)
        stepper.weights_are_finite()
        seconds = time.perf_counter() - began
    return seconds


def _same(batch: Batch, count: int) -> Iterator[Batch]:
    for _ in range(count):
        yield dict(batch)


if __name__ == "__main__":
    sys.exit(main())
