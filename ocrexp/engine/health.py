"""Problems of a training, reported in one line with what to try: NaN, memory, a slow loader, a metric of 0."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle

from ocrexp.engine import distributed
from ocrexp.environment import available_cores
from ocrexp.errors import TrainingError
from ocrexp.report.causes import learning_rate_causes
from ocrexp.results import ZeroEvidence
from ocrexp.types import Batch

logger = logging.getLogger(__name__)

STARVING_SHARE = 0.3
STARVING_AFTER_STEPS = 20
ZERO_EVALUATIONS = 3
SKIPS_IN_ROW = 10
HUGE_LOSS = 1e7  # no loss of a training that learns; float32 itself ends at 3e38
_GROWTH = 10.0  # of an interval's mean loss over the lowest one, to be reported


class FiniteCheck:
    """Whether a loss is finite and not huge, known before the weights are updated and without holding up a GPU.

    On a GPU the flag is copied to the host behind the forward pass and an event marks the copy; `passed`, asked after
    the backward pass has been queued, waits only for that event, while the GPU continues with the backward pass. With
    several processes all get the same answer, so that they stop at the same step.
    """

    def __init__(self, loss: paddle.Tensor, limit: bool = True) -> None:
        value = loss.detach().astype("float32")
        # A comparison with NaN is false.
        flag = (value.abs() < HUGE_LOSS if limit else paddle.isfinite(value)).all().astype("int32")
        if distributed.world_size() > 1:
            paddle.distributed.all_reduce(flag, op=paddle.distributed.ReduceOp.MIN)
        self._event: Any = None
        if flag.place.is_gpu_place():
            flag = flag._copy_to(paddle.CUDAPinnedPlace(), False)
            self._event = paddle.device.Event()
            self._event.record()
        self._flag = flag

    def passed(self) -> bool:
        """True for a value within the limits."""
        if self._event is not None:
            self._event.synchronize()
        return bool(self._flag.numpy())


def sums(tensors: Iterable[paddle.Tensor]) -> paddle.Tensor:
    """One number that is finite exactly when all floats of the tensors are, unless they exceed float32 together."""
    floats = [tensor.astype("float32") for tensor in tensors if tensor.is_floating_point()]
    return paddle.add_n([tensor.sum() for tensor in floats])


def weights_line(which: str | None, step: int, lr: float, run_dir: Path) -> str:
    """Which weights are not finite since when, and what to do; None: those of another process."""
    which = which or "the weights of another process are not finite"
    latest = run_dir / "checkpoints" / "latest.pdparams"
    earlier = f", with model.pretrained={latest} if its weights are still useful" if latest.exists() else ""
    return (
        f"the training has diverged: {which} after step {step} with lr {lr:g}, so nothing can be saved; start "
        f"a new run with a lower optim.lr, a warm-up (optim.schedule.warmup_steps) or optim.clip_norm=5{earlier}"
    )


class LossWatch:
    """Reports a loss that grows, once for each time that it has come down again."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._lowest = math.inf
        self._told = False

    def add(self, loss: float, step: int, lr: float) -> None:
        """Look at an interval's mean loss."""
        if self._first is None:
            self._first = loss
        grown = loss > _GROWTH * self._lowest and loss > 2 * self._first
        if grown and not self._told:
            logger.warning(
                "the loss has grown from %.4g to %.4g at step %d with lr %g: the training may be diverging; "
                "try a lower optim.lr, a warm-up (optim.schedule.warmup_steps) or optim.clip_norm=5",
                self._lowest, loss, step, lr,
            )  # fmt: skip
        self._told = grown
        self._lowest = min(self._lowest, loss)


def nonfinite_line(parts: Mapping[str, Any], batch: Batch, step: int, lr: float, name: Callable[[int], str]) -> str:
    """Step, images, loss parts and rate of a loss that is not finite, and what to try."""
    values = {part: _number(value) for part, value in parts.items()}
    bad = [f"{part}={value}" for part, value in values.items() if not math.isfinite(value) and part != "loss"]
    total = values.get("loss", math.nan)
    what = f"has grown to {total:.3g}" if math.isfinite(total) else "is not finite"
    paths = sample_names(batch, name)
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return (
        f"the loss {what} at step {step + 1}: {', '.join(bad) or 'loss=' + str(values.get('loss'))}"
        f" with lr {lr:g} on {shown or 'images without names'}"
    )


DIVERGED = (
    "the training has diverged; start a new run with a lower optim.lr, a warm-up (optim.schedule.warmup_steps) or "
    "optim.clip_norm=5, and check the labels of these images"
)
WHAT_TO_TRY = (
    "the weights are those from before this step; try a lower optim.lr, a warm-up (optim.schedule.warmup_steps), "
    "optim.clip_norm=5, or trainer.amp_dtype=bfloat16 if float16 overflowed, and check the labels of these images"
)


def save_batch(batch: Batch, parts: Mapping[str, Any], path: Path, name: Callable[[int], str]) -> None:
    """Write a batch's arrays to `path` (.npz) and its image paths and loss parts beside it (.json)."""
    arrays: dict[str, Any] = {key: value for key, value in batch.items() if isinstance(value, np.ndarray)}
    np.savez_compressed(path, **arrays)
    about = {
        "images": sample_names(batch, name),
        "loss": {part: str(_number(value)) for part, value in parts.items()},
    }
    path.with_suffix(".json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def sample_names(batch: Batch, name: Callable[[int], str]) -> list[str]:
    """The image paths of a batch."""
    return [name(int(index)) for index in batch.get("index", ())]


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception reports that memory ran out; paddle has several of them."""
    text = str(error)
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("ResourceExhausted", "Out of memory", "bad_alloc", "Cannot allocate memory")
    )


def out_of_memory_error(step: int, batch_size: int, accumulate: int) -> TrainingError:
    """What to try when memory ran out."""
    if batch_size > 1:
        half = batch_size // 2
        advice = (
            f"try loader.batch_size={half} trainer.accumulate={accumulate * 2} (the same number of images per step)"
        )
    else:
        advice = "the batch has one image, so try smaller training images, a smaller model or trainer.precision=amp_o1"
    return TrainingError(f"out of memory at step {step + 1} with loader.batch_size={batch_size}: {advice}")


class LoaderWatch:
    """Names a loader that keeps the training waiting, once."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers
        self._steps = 0
        self._waited = 0.0
        self._seconds = 0.0
        self._told = False

    def add(self, steps: int, waited: float, seconds: float) -> None:
        """Record the seconds of some steps, and the share in which the training waited for data."""
        if self._told:
            return
        if self._steps == 0 and steps > 0:
            waited = 0.0  # the first batches wait for the workers to start, whatever their number
        self._steps += steps
        self._waited += waited
        self._seconds += seconds
        if self._steps < STARVING_AFTER_STEPS or self._waited <= STARVING_SHARE * self._seconds:
            return
        self._told = True
        logger.warning("%s", self.line())

    def line(self) -> str:
        """The advice: as many workers as would keep up, as far as there are cores for them."""
        share = self._waited / self._seconds
        cores = available_cores()
        workers = self._workers or 0
        wanted = min(math.ceil(max(workers, 1) / max(1 - share, 0.1)), cores) if workers else min(2, cores)
        now = f"the training waits for data {share:.0%} of the time with loader.num_workers={workers}"
        if wanted > workers:
            return f"{now}; try loader.num_workers={wanted} (this machine has {cores} cores)"
        return f"{now}, the maximum for this machine's {cores} cores; try smaller stored images or a lighter augment=…"


class EmptyTargets:
    """Counts the training samples whose targets have nothing to learn, if a batch states it.

    `learnable(batch)` gives which samples have something to learn, bool [N], or None.
    """

    def __init__(self, learnable: Callable[[Batch], npt.NDArray[np.bool_] | None]) -> None:
        self._learnable = learnable
        self.samples = 0
        self.empty = 0

    def add(self, batch: Batch) -> None:
        """Look at one batch."""
        filled = self._learnable(batch)
        if filled is None:
            return
        self.samples += len(filled)
        self.empty += int(len(filled) - filled.sum())

    @property
    def share(self) -> float | None:
        """The share of empty ones, 0..1; None if no batch stated it."""
        return self.empty / self.samples if self.samples else None


Causes = Callable[[ZeroEvidence], list[str]]


def zero_metric_lines(main: str, lr: float, evidence: ZeroEvidence, causes: Causes) -> list[str]:
    """What to check when evaluations keep giving 0; `causes` knows the task."""
    rate = learning_rate_causes(lr, evidence.first_loss, evidence.losses.get("train/loss"))
    return [
        f"{main} has been 0 in {ZERO_EVALUATIONS} evaluations; causes to check:",
        *(f"- {cause}" for cause in [*causes(evidence), *rate]),
    ]


def _number(value: Any) -> float:
    return float(value.astype("float32").mean()) if isinstance(value, paddle.Tensor) else float(value)
