"""What the loss needs of an evaluation image, made beside what the metric needs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ocrexp.types import Sample, Transform, UnusableSample


class TargetsBeside:
    """Adds `targets` to an evaluation sample: what the task's target transform makes for the image as it was resized.

    Regions are brought into the resized image's coordinates for this; the sample itself keeps its raw ground truth,
    which is what the metric reads. A sample from which nothing can be learned gets the reason as `no_targets` instead.

    Args:
        targets: the target transform of training. It must not be random.
    """

    def __init__(self, targets: Transform) -> None:
        self.targets = targets

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        copy = cast(Sample, dict(sample))
        if "shape" in sample and len(sample["shape"]) == 4:
            scale = np.array([sample["shape"][3], sample["shape"][2]], np.float32)  # x, y
            copy["polygons"] = [polygon * scale for polygon in sample["polygons"]]
        copy["counts"] = {}  # of training crops; these are whole images
        copy["texts"], copy["ignored"] = list(sample["texts"]), sample["ignored"].copy()
        try:
            made: dict[str, Any] = dict(self.targets(copy, rng))
        except UnusableSample as reason:
            sample["no_targets"] = str(reason)
            return sample
        added = made.keys() - sample.keys() - {"counts"}
        sample["targets"] = {name: np.asarray(value) for name, value in made.items() if name in added}
        return sample
