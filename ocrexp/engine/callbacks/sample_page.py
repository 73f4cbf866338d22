"""The first samples as a page: images with their labels and problems, augmented variants, targets."""

from __future__ import annotations

import logging
from typing import Any

from ocrexp.engine.callbacks.base import Callback, RunView

log = logging.getLogger(__name__)

_IMAGE, _VARIANT = 900, 640  # pixels of the longer side


class SamplePage(Callback):
    """Writes the first `count` training samples to `plots/samples.html`, one file that needs no network.

    Args:
        count: samples.
        variants: epochs, from 0 on, whose augmented form is shown, with the targets of the loss.
        max_megabytes: of the file; samples that do not fit any more are counted.
        stop: end the run afterwards.

    Raises ValueError for values below 1.
    """

    def __init__(self, count: int = 48, variants: int = 3, max_megabytes: int = 30, stop: bool = False) -> None:
        for name, value in (("count", count), ("variants", variants), ("max_megabytes", max_megabytes)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        self.count = count
        self.variants = variants
        self.max_megabytes = max_megabytes
        self.stop = stop

    def on_fit_start(self, run: RunView) -> None:
        from ocrexp.data.variants import first_turns
        from ocrexp.report.page import write_page
        from ocrexp.report.sample_page import make_sample_page

        loader: Any = run.train_loader  # type: ignore[attr-defined]
        task: Any = run.task
        count = len(loader.pipeline)
        first = first_turns(loader.pipeline, loader.sampler.first_indices(self.count))
        indices = list(dict.fromkeys(first.tolist()))
        made, left = self._samples(loader, task, indices)
        path = run.run_dir / "plots" / "samples.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        under = f"The first {len(made)} training samples of {count}, in the order of epoch 0"
        under += f"; {left} more do not fit max_megabytes={self.max_megabytes}" if left else ""
        write_page(path, make_sample_page(f"Samples of {run.run_dir.name}", under, task.name, made))
        log.info("%d samples with their targets: %s", len(made), path)
        if left:
            log.warning(
                "samples.html: %d of %d samples do not fit max_megabytes=%d", left, len(indices), self.max_megabytes
            )
        if self.stop:
            run.request_stop("the page of samples is written (debug=samples)")

    def _samples(self, loader: Any, task: Any, indices: list[int]) -> tuple[list[dict[str, Any]], int]:
        """What the page shows of the samples, and how many do not fit."""
        from ocrexp.data.checking.quick import problems_of
        from ocrexp.data.records import StreamedRecords
        from ocrexp.data.variants import TrainVariants
        from ocrexp.report.sample_view import sample_in_file, train_view

        pipeline = loader.pipeline
        variants = TrainVariants(pipeline, loader.sampler)
        made: list[dict[str, Any]] = []
        room = self.max_megabytes << 20
        streamed = isinstance(pipeline.records, StreamedRecords)
        for place, index in enumerate(indices):
            record = pipeline.records[index]
            problems = problems_of(record, task.name)
            one = sample_in_file(record, place if streamed else index, problems, _IMAGE)
            one["variants"] = [train_view(variants, index, epoch, task, _VARIANT) for epoch in range(self.variants)]
            room -= _size(one)
            if room < 0:
                break
            made.append(one)
        return made, len(indices) - len(made)


def _size(sample: dict[str, Any]) -> int:
    """Bytes of a sample's pictures, which are nearly all of it."""
    panels = [panel["src"] for view in sample["variants"] for panel in view["panels"]]
    return sum(map(len, panels)) + len(sample["detail"]["image"] or "") + 2000
