"""The pace of a run on this machine: some training steps and a part of an evaluation, in processes of their own.

As many processes as the run will have measure at the same time, with the threads that each of them will have, so that
they share cores and memory as in training. The process that trains starts from scratch afterwards: nothing of the
measurement reaches its weights, its random numbers or its memory.

python measure.py    one of these processes: a JSON object on its standard input, one on its output
"""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.adapt.base import Pace
    from ocrexp.assemble.parts import Parts
    from ocrexp.engine.evaluator import Evaluator
    from ocrexp.types import Batch

_SECONDS, _SHORT = 10.0, 2.0  # of counted steps; of enough of them
_PLANNED = 2000  # batches of an epoch whose sizes are averaged; those of shards are known when they are reached
_WARM, _LEAST, _ENOUGH = 2, 4, 30  # steps: the first ones allocate memory and compile kernels
_FAILED = "adapt: some training steps were tried and failed: {}; see it with adapt=none"
_KILLED = "adapt: the measuring process was killed by {}"


def measure(config: DictConfig, ranks: int, world_size: int) -> Pace:
    """The pace of a run with this configuration. Raises OcrexpError where it cannot train.

    Args:
        config: of the run.
        ranks: how many of its processes measure.
        world_size: how many processes it has.
    """
    from omegaconf import OmegaConf

    from ocrexp.adapt.base import Pace
    from ocrexp.runs.asking import answer_of, ask

    text = OmegaConf.to_yaml(config, resolve=True)
    running: list[subprocess.Popen[str]] = []
    try:
        for rank in range(ranks):
            running.append(ask(Path(__file__), {"config": text, "rank": rank, "world_size": world_size}))
        answers = [answer_of(process, *process.communicate(), _FAILED, _KILLED) for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()
    return Pace(
        max(answer["step"] for answer in answers),
        max(answer["evaluation"] for answer in answers),
        int(answers[0]["steps_per_epoch"]),
    )


def main() -> int:
    """Measure; returns the exit code."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # a script's folder must not shadow top-level modules
    from ocrexp.runs.asking import answer

    return answer(_measure)


def _measure(question: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of a step and of an evaluation, and steps per epoch, of one rank."""
    from omegaconf import OmegaConf

    from ocrexp.runs.hooks import prepare_process

    config = OmegaConf.create(question["config"])
    prepare_process(config)
    from ocrexp.assemble import assemble
    from ocrexp.engine import distributed
    from ocrexp.engine.seed import seed_everything
    from ocrexp.errors import nothing_done

    distributed.set_device(str(config.trainer.device))
    seed_everything(config.seed)
    with nothing_done():
        parts = assemble(config, rank=question["rank"], world_size=question["world_size"])
        loader, validation = parts.train_loader, parts.validation
    try:
        step = _time_steps(parts)
        evaluators = (validation.evaluator, *validation.others.values())
        evaluation = sum(_time_evaluation(parts, evaluator) for evaluator in evaluators)
        batches = min(len(loader), parts.settings.limit_train_batches or len(loader))
        steps = math.ceil(batches / parts.settings.accumulate)
        return {"step": step, "evaluation": evaluation, "steps_per_epoch": steps}
    finally:
        loader.close()
        validation.close()


def _time_steps(parts: Parts) -> float:
    """Seconds of a step, averaged over the image sizes of an epoch: a step takes as long as its pixels are many."""
    from ocrexp.engine.step import NonFiniteLoss, Stepper
    from ocrexp.optim.ema import WeightAverage

    settings = parts.settings
    stepper = Stepper(parts.model, parts.loss, parts.optimizer, settings)
    average = WeightAverage(parts.learns, settings.ema_decay) if settings.ema_decay else None
    parts.model.train()
    batches = _endless(parts)
    plan = [_pixels(planned) for planned in islice(parts.train_loader.sampler.plan(0), _PLANNED)]
    seconds = pixels = 0.0
    counted = made = 0
    while counted < _LEAST or seconds < (_SECONDS if counted < _ENOUGH else _SHORT):
        began = time.perf_counter()
        first = made * settings.accumulate
        with contextlib.suppress(NonFiniteLoss):  # the training itself reports it
            stepper.run(batches, settings.accumulate, 0.0, lambda: False)
            if average is not None:
                average.update(parts.learns, made + 1, stepper.masters)
        made += 1
        if made > _WARM:
            seconds += time.perf_counter() - began
            pixels += sum(plan[(first + i) % len(plan)] for i in range(settings.accumulate))
            counted += 1
    per_batch = sum(plan) / len(plan)
    return seconds / pixels * per_batch * settings.accumulate


def _endless(parts: Parts) -> Iterator[Batch]:
    """The batches of epoch 0 again and again."""
    while True:
        yield from parts.train_loader.epoch(0)


def _pixels(planned: Any) -> float:
    """The size of a batch, in pixels; in images where they have one size."""
    images = len(planned.indices)
    return float(images if planned.size is None else images * planned.size[0] * planned.size[1])


def _time_evaluation(parts: Parts, evaluator: Evaluator) -> float:
    """Seconds of an evaluation, from as many of its batches as the time allows."""
    limit = evaluator.limit_batches
    whole = len(evaluator.loader) if limit is None else min(limit, len(evaluator.loader))
    spent, batches, tried = 0.0, 0, 1
    while True:
        evaluator.limit_batches = min(tried, whole)
        began = time.perf_counter()
        evaluator.run(parts.model)
        spent, batches = time.perf_counter() - began, min(tried, whole)
        more = int(_SECONDS / 2 / max(spent / batches, 1e-6))
        if batches == whole or spent > _SECONDS / 3 or more <= batches:
            break
        tried = more
    evaluator.limit_batches = limit
    return spent / max(batches, 1) * whole


if __name__ == "__main__":
    sys.exit(main())
