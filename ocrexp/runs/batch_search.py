"""The largest batch that fits the memory: doubled until it does not, then bisected, each try in its own process."""

from __future__ import annotations

import logging
import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

AUTO = "auto"
_USUAL_START = 8
_LARGEST_SHARE = 4  # a step sees a quarter of the training images at most
_SECONDS_BETWEEN_LOOKS = 0.05  # memory grows by some GB per second
_GB = 2**30
_TRY = Path(__file__).with_name("batch_try.py")
_KILLERS = (-9, -6)  # SIGKILL of the out-of-memory killer, SIGABRT of an allocation that failed within a library
_KEY = "loader.batch_size"
_BESIDE = ("joblib", "jobslauncher", "slurmlocal")  # launchers whose jobs run side by side on this machine


@dataclass(frozen=True)
class BatchLimits:
    """What a search may use.

    Args:
        start: the first batch; None: loader.batch_size.
        most: the largest one to try; None: a quarter of the training images.
        memory: GB that training may use, all processes of a CPU together or one GPU; None: what is free on the CPU (the
            machine's or the container's), or the whole GPU.
        reserve: share of the memory that stays free.
        tolerance: the search ends when the next larger batch that was tried is within this share.

    Raises ValueError for invalid values.
    """

    start: int | None = None
    most: int | None = None
    memory: float | None = None
    reserve: float = 0.1
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        for name in ("start", "most"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name}: expected a whole number, 1 or more, or null, got {value!r}")
        if self.memory is not None and not 0 < self.memory < math.inf:
            raise ValueError(f"memory: expected a number of GB above 0, or null, got {self.memory:g}")
        for name in ("reserve", "tolerance"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a share from 0 to below 1, got {getattr(self, name):g}")


@dataclass(frozen=True)
class BatchTry:
    """A batch that was tried: the peak of memory of a process in bytes, None where it is unknown; `why` it does not
    fit; `size` is (height, width)."""

    batch: int
    fits: bool
    peak: int | None = None
    seconds: float | None = None
    size: tuple[int, int] | None = None
    why: str = ""


@dataclass(frozen=True)
class BatchFound:
    """The largest batch, what was tried, and the bytes that a process may use (None: not known)."""

    batch: int
    tries: list[BatchTry]
    usable: int | None
    most: int

    @property
    def reason(self) -> str:
        """What limits the batch."""
        if self.batch >= self.most:
            return f"it fits, and {self.most} is the largest one to try"
        peak = next((one.peak for one in self.tries if one.batch == self.batch), None)
        used = "" if peak is None else f"{peak / _GB:.2f} GB"
        return f"{used} of {self.usable / _GB:.2f} GB" if self.usable else f"{used}, and larger ones do not fit"


def find_batch(config: DictConfig, limits: BatchLimits | None = None) -> BatchFound:
    """Search the largest batch per process of a training.

    Args:
        config: composed and checked, with its trainer.devices settled; its loader.batch_size may be auto.
        limits: what the search may use.

    Raises ConfigError or TrainingError where it cannot train, or where not even one image fits.
    """
    from ocrexp.assemble.data import build_source
    from ocrexp.engine.devices import process_count, uses_gpu

    limits = limits or BatchLimits()
    processes = process_count(config.trainer.devices)
    gpu = uses_gpu(str(config.trainer.device))
    records = len(build_source(config.dataset).train_records())
    per_step = processes * config.trainer.accumulate
    most = limits.most or max(1, records // _LARGEST_SHARE // per_step)
    usable = _usable(limits, 1 if gpu else processes, gpu)
    configured = config.loader.batch_size
    start = limits.start or (configured if isinstance(configured, int) else _USUAL_START)
    tries: list[BatchTry] = []

    def fits(batch: int) -> bool:
        tried = _attempt(config, batch, usable, gpu, limits.reserve)
        tries.append(tried)
        peak = "" if tried.peak is None else f", peak {tried.peak / _GB:.2f} GB"
        log.info("%s=%d %s%s%s", _KEY, batch, "fits" if tried.fits else "does not fit", peak, _behind(tried.why))
        return tried.fits

    batch = largest(fits, start, most, limits.tolerance)
    if batch == 0:
        last = min(tries, key=lambda one: one.batch)
        raise TrainingError(
            f"{_KEY}: not even {last.batch} image fits ({last.why}); use smaller training images, a smaller model or "
            "trainer.precision=amp_o1 on a GPU, or raise memory"
        )
    return BatchFound(batch, tries, usable, most)


def largest(fits: Callable[[int], bool], start: int, most: int, tolerance: float) -> int:
    """The largest number up to `most` that fits, by doubling from `start` and bisection; 0 if 1 does not fit.

    `fits` is not asked for a number between one that fits and one that does not, if they are within `tolerance` (a
    share of the first).
    """
    low, high = 0, most + 1
    size = min(start, most)
    while low < most and fits(size):
        low, size = size, min(2 * size, most)
    if low < most:
        high = size
    while high - low > max(1, int(low * tolerance)):
        size = (low + high) // 2
        if fits(size):
            low = size
        else:
            high = size
    return low


def _usable(limits: BatchLimits, processes: int, gpu: bool) -> int | None:
    """Bytes that one process may use; None where only the try itself knows, or nobody."""
    from ocrexp.data.memory import available_bytes
    from ocrexp.engine.memory import own_bytes

    total = None if limits.memory is None else limits.memory * _GB
    if total is None and not gpu:
        free = available_bytes()
        total = None if free is None else free + own_bytes()  # this process ends, or is the one that trains
    return None if total is None else int(total * (1 - limits.reserve) / processes)


def _attempt(config: DictConfig, batch: int, usable: int | None, gpu: bool, reserve: float) -> BatchTry:
    """Train with a batch in a process of its own, which is ended as soon as it uses too much."""
    from omegaconf import OmegaConf

    from ocrexp.engine.memory import resident_bytes
    from ocrexp.runs.asking import answer_of, ask

    process = ask(_TRY, {"config": OmegaConf.to_yaml(configured_for(config, batch), resolve=True)})
    peak = 0
    try:
        while True:
            try:
                out, err = process.communicate(timeout=_SECONDS_BETWEEN_LOOKS)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, resident_bytes(process.pid))
                if usable is not None and not gpu and peak > usable:
                    return BatchTry(batch, False, peak, why=f"more than {usable / _GB:.2f} GB")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode in _KILLERS:
        return BatchTry(batch, False, peak or None, why="the process was killed, out of memory")
    failed = (
        f"{_KEY}={batch}: training steps were tried and failed: {{}}; see it with {_KEY}={batch} trainer.max_steps=1"
    )
    killed = f"{_KEY}={batch}: the process that tried it was killed by {{}}"
    answer = answer_of(process, out, err, failed, killed)
    if "out_of_memory" in answer:
        return BatchTry(batch, False, peak or None, why=str(answer["out_of_memory"]))
    return _judged(config, batch, answer, usable, reserve)


def _judged(config: DictConfig, batch: int, answer: dict[str, Any], usable: int | None, reserve: float) -> BatchTry:
    from ocrexp.data.loaders import resolve_workers
    from ocrexp.engine.devices import process_count

    peak, size = int(answer["peak"]), (int(answer["size"][0]), int(answer["size"][1]))
    if answer["total"] is not None:
        usable = int(answer["total"] * (1 - reserve)) if usable is None else usable
    else:  # batches that the loader's processes make in advance, which the try has not
        workers = resolve_workers(config.loader.num_workers, process_count(config.trainer.devices))
        peak += (workers * config.loader.prefetch + 2) * int(answer["batch_bytes"]) if workers else 0
    fits = usable is None or peak <= usable
    why = "" if fits or usable is None else f"more than {usable / _GB:.2f} GB"
    return BatchTry(batch, fits, peak, float(answer["seconds"]), size, why)


def configured_for(config: DictConfig, batch: int) -> DictConfig:
    """The configuration of a try: the training's, without what takes time and no memory of a step."""
    from omegaconf import OmegaConf

    own = config.copy()
    OmegaConf.set_struct(own, False)
    own.loader.batch_size = batch
    own.loader.num_workers = 0
    own.loader.drop_last = False
    own.loader.batch_shares = None
    if own.loader.multi_scale is not None:
        own.loader.multi_scale.by_ratio = False  # the shapes are the same, and no image headers are read
    own.model.pretrained = None
    if own.model.get("unfreeze_after_steps") is not None:  # the step after it needs more
        own.model.unfreeze_after_steps = None
        own.model.freeze = []
    return own


def check_auto(config: DictConfig, launcher: str = "") -> None:
    """Raises ConfigError where `loader.batch_size=auto` cannot be used; nothing for a number."""
    from ocrexp.engine.devices import uses_gpu
    from ocrexp.runs.folder import machines

    if config.loader.batch_size != AUTO:
        return
    hint = f"set a number, which `python -m ocrexp find-batch` finds, instead of {_KEY}=auto"
    if config.get("adapt") is not None:
        raise ConfigError(f"{_KEY}=auto: adapt chooses the batch itself; remove one of the two")
    if machines(config) is not None:
        raise ConfigError(f"{_KEY}=auto: several machines could find different batches; {hint}")
    if any(name in launcher.lower() for name in _BESIDE) and not uses_gpu(str(config.trainer.device)):
        raise ConfigError(f"{_KEY}=auto: jobs that run at the same time share the memory; {hint}")


def rate_line(config: DictConfig, batch: int) -> str:
    """What a change of the batch means for the learning rate."""
    from ocrexp.engine.devices import process_count

    optim, configured = config.optim, config.loader.batch_size
    per_step = config.trainer.accumulate * process_count(config.trainer.devices)
    if optim.scale_lr:
        return "the learning rate follows the batch (optim.scale_lr=true)"
    reference = optim.reference_batch or (configured * per_step if isinstance(configured, int) else None)
    measure = "`python -m ocrexp find-lr` measures it"
    if reference is None or reference == batch * per_step:
        return f"optim.lr={optim.lr:g} stays as it is; {measure}"
    scaled = optim.lr * batch * per_step / reference
    return (
        f"optim.lr={optim.lr:g} stays as it is; in proportion to the batch (from {reference} to {batch * per_step} "
        f"images per step; Goyal et al. 2017) it would be optim.lr={scaled:.2g}; {measure}"
    )


def _behind(why: str) -> str:
    return f" ({why})" if why else ""
