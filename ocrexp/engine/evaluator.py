"""Run a model over evaluation images: forward passes here, postprocessing beside them in threads."""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import paddle

from ocrexp.data.sample_counts import SampleCounts, sum_counts
from ocrexp.engine import distributed
from ocrexp.engine.outcomes import ImageOutcomes
from ocrexp.engine.seed import seed_step
from ocrexp.engine.step import Loss, to_float32
from ocrexp.environment import available_cores
from ocrexp.results import DetPrediction, EvalResult, EvalSample, HasDetails, HasSeverity, Metric, Noted, Postprocess
from ocrexp.types import IMAGE_FACTS, Batch


class EvalLoader(Protocol):
    """What gives evaluation batches: lists of sub-batches, each of one image shape."""

    counts: SampleCounts

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class EvaluationStopped(Exception):
    """`should_stop` asked for it; the evaluation has no result."""


class Evaluator:
    """Evaluates on every image once; `metric` sees raw ground truth.

    Args:
        loader: gives batches as lists of `{"image", "shape", "references", "index", "paths"}`. Images that could not be
            read come with `image` None: they count as "nothing found" and are reported.
        limit_batches: use only the first N batches.
        keep_samples: how many images to keep with prediction and reference, for pictures.
        keep_worst: how many of the most wrong ones to keep beside them, of a metric that has `severity`.
        keep_outcomes: of how many images, the first of the list, to keep what became of them (see HasOutcomes).
        nothing: what stands for "nothing found" in one image.
        loss: of training; the batches then need `targets` and the model `evaluated` (see OCRModel). It is computed on
            the evaluation images, as the metric sees them, with the model in evaluation mode. The result has the mean
            over the batches, weighted by their images. Not as in training: no augmentation, no dropout, the running
            statistics of the norms, and the average of the weights where there is one.

    With several processes each has its own part of the images; all return the same result.
    """

    def __init__(
        self,
        loader: EvalLoader,
        postprocess: Postprocess,
        metric: Metric,
        limit_batches: int | None = None,
        keep_samples: int = 30,
        nothing: Callable[[], Any] = lambda: DetPrediction([], []),
        keep_worst: int = 24,
        loss: Loss | None = None,
        keep_outcomes: int = 0,
    ) -> None:
        self.loader = loader
        self.postprocess = postprocess
        self.metric = metric
        self.limit_batches = limit_batches
        self.keep_samples = keep_samples
        self.keep_worst = keep_worst
        self.keep_outcomes = keep_outcomes
        self.loss = loss
        self._nothing = nothing

    @property
    def main(self) -> str:
        """Name of the value that decides which model is best."""
        return self.metric.main

    def run(
        self,
        model: paddle.nn.Layer,
        should_stop: Callable[[], bool] = lambda: False,
        precision: Callable[[], AbstractContextManager[None]] = nullcontext,
        epoch: int = 0,
    ) -> EvalResult:
        """Evaluate the model, and leave it in the mode (training or not) that it was in.

        Each forward pass runs inside a `precision()`, the context that the model is trained in. `epoch` counts for
        targets that change with it, as DB's shrink ratio may.

        Raises EvaluationStopped when `should_stop` turns true between batches.
        """
        started = time.perf_counter()
        was_training = model.training
        self.metric.reset()
        tally = _Results(self.metric, self.keep_samples, self.keep_worst, self.keep_outcomes)
        threads = max(1, min(4, available_cores() - 1))
        waiting: deque[tuple[Future[list[Any]], Batch]] = deque()
        model.eval()
        if self.loss is not None:
            seed_step(0, 0, distributed.rank())  # PARSeq's loss draws orders: the same ones in each evaluation
        try:
            # More threads than cores, or more maps in waiting than threads, would only take memory.
            with ThreadPoolExecutor(threads, thread_name_prefix="postprocess") as pool, paddle.no_grad():
                try:
                    for part in self._parts(epoch):
                        if should_stop():
                            raise EvaluationStopped
                        waiting.append((self._predict(model, part, pool, precision, tally.losses), part))
                        while len(waiting) > 2 * threads:
                            tally.add(*waiting.popleft())
                    while waiting:
                        tally.add(*waiting.popleft())
                finally:
                    for future, _ in waiting:
                        future.cancel()
        finally:
            if was_training:
                model.train()
        return tally.result(time.perf_counter() - started, self.loader.counts)

    def _parts(self, epoch: int) -> Iterator[Batch]:
        for number, parts in enumerate(self.loader.epoch(epoch)):
            if self.limit_batches is not None and number >= self.limit_batches:
                break
            yield from parts

    def _predict(
        self,
        model: paddle.nn.Layer,
        part: Batch,
        pool: ThreadPoolExecutor,
        precision: Callable[[], AbstractContextManager[None]],
        losses: _Losses,
    ) -> Future[list[Any]]:
        if part["image"] is None:
            done: Future[list[Any]] = Future()
            done.set_result([self._nothing() for _ in part["references"]])
            return done
        known = {name: paddle.to_tensor(part[name]) for name in IMAGE_FACTS if name in part}
        targets = part.pop("targets", {}) if self.loss is not None else {}
        tensors = {name: paddle.to_tensor(value) for name, value in targets.items()}
        learned = None
        with precision():
            images = paddle.to_tensor(part["image"])
            if tensors:
                rows = part["target_rows"]
                some = None if len(rows) == len(part["image"]) else paddle.to_tensor(rows)
                outputs, learned = model.evaluated(images, known, tensors, some)
            else:
                outputs = model(images, targets=known) if known else model(images)
        if self.loss is not None:
            losses.not_counted.update(part.get("no_targets", ()))
            if learned is not None:
                learned = {name: to_float32(value) for name, value in learned.items()}
                losses.add(self.loss(learned, tensors), len(part["target_rows"]))
        arrays = {name: _array(value) for name, value in outputs.items()}
        return pool.submit(self.postprocess, arrays, part)


class _Losses:
    """The loss and its parts, each image counted once."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.images = 0
        self.not_counted: Counter[str] = Counter()

    def add(self, parts: dict[str, paddle.Tensor], images: int) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * images
        self.images += images

    def merge(self, others: list[_Losses]) -> None:
        """Become the sum of all processes'."""
        self.images = sum(other.images for other in others)
        self.not_counted = sum((other.not_counted for other in others), Counter())
        names = dict.fromkeys(name for other in others for name in other.sums)
        self.sums = {name: sum(other.sums.get(name, 0.0) for other in others) for name in names}

    def means(self) -> dict[str, float]:
        return {name: total / self.images for name, total in self.sums.items()} if self.images else {}


class _Results:
    """Takes predictions in the order of the list."""

    def __init__(self, metric: Metric, keep: int, keep_worst: int, keep_outcomes: int) -> None:
        self._metric = metric
        self._keep = keep
        self._samples: list[EvalSample] = []
        self._severity = metric.severity if isinstance(metric, HasSeverity) else None
        self._keep_worst = keep_worst
        self._worst: list[tuple[float, int, EvalSample]] = []  # a heap, the least wrong one first
        self._images = 0
        self._unreadable: list[str] = []
        self.losses = _Losses()
        self._noted = Noted()
        self._outcomes = ImageOutcomes(metric, keep_outcomes)

    def add(self, future: Future[list[Any]], part: Batch) -> None:
        predictions, references = future.result(), part["references"]
        self._metric.update(predictions, references)
        self._outcomes.add(part, predictions)
        first = self._images
        self._images += len(references)
        if part["image"] is None:
            self._unreadable.extend(part["paths"])
        for path, note in zip(part["paths"], part.get("notes", ()), strict=False):
            self._noted.add(path, note)
        entries = zip(part["paths"], predictions, references, strict=True)
        for number, (path, prediction, reference) in enumerate(entries, first):
            sample = EvalSample(path, prediction, reference)
            if number < self._keep:
                self._samples.append(sample)
            if self._severity and (severity := self._severity(prediction, reference)) > 0:
                heapq.heappush(self._worst, (severity, -number, sample))  # of equals the first ones stay
                if len(self._worst) > self._keep_worst:
                    heapq.heappop(self._worst)

    def result(self, seconds: float, counts: SampleCounts) -> EvalResult:
        if distributed.world_size() > 1:
            shares = distributed.gather(
                (
                    *(self._metric.state(), self._samples, self._images, self._unreadable, self._worst),
                    *(self.losses, self._noted, counts, self._outcomes.found),
                )
            )
            self._metric.reset()
            self._metric.merge([share[0] for share in shares])
            self._samples = [sample for share in shares for sample in share[1]][: self._keep]
            self._images = sum(share[2] for share in shares)
            self._unreadable = [path for share in shares for path in share[3]]
            self._worst = [entry for share in shares for entry in share[4]]
            self.losses.merge([share[5] for share in shares])
            noted = [share[6] for share in shares]
            self._noted = Noted(sum(one.count for one in noted), next((one.first for one in noted if one.first), ""))
            counts = sum_counts(share[7] for share in shares)
            self._outcomes.merge([share[8] for share in shares])
        worst = sorted(self._worst, key=lambda entry: entry[:2], reverse=True)[: self._keep_worst]
        details = self._metric.details() if isinstance(self._metric, HasDetails) else None
        return EvalResult(
            self._metric.compute(),
            self._samples,
            self._images,
            seconds,
            self._unreadable,
            [sample for _, _, sample in worst],
            details,
            self.losses.means(),
            dict(self.losses.not_counted),
            self._noted,
            counts,
            self._outcomes.in_order(),
        )


def _array(value: paddle.Tensor) -> npt.NDArray[Any]:
    if value.dtype in (paddle.bfloat16, paddle.float16):
        value = value.astype("float32")
    return np.asarray(value.numpy())
