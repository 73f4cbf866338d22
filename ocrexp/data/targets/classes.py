"""What the loss of a classifier needs of a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.types import Sample, UnusableSample


class ClassTargets:
    """Adds `label_cls`, the index of the sample's label as an int64 array without axes.

    A sample with a label that is not among `labels` is rejected, and counted with its reason.

    Args:
        labels: names of the classes, in the order of the network's outputs.

    Raises ValueError for fewer than two labels, or equal ones.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checked_labels(labels)
        self._index = {label: index for index, label in enumerate(self.labels)}

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        del rng
        label = sample["texts"][0].strip()
        if label not in self._index:
            raise UnusableSample(f"label '{label}' is not among labels ({', '.join(self.labels)})")
        sample["label_cls"] = np.array(self._index[label], np.int64)
        return sample


def checked_labels(labels: Sequence[str]) -> list[str]:
    """The labels as texts. Raises ValueError for fewer than two, or equal ones."""
    names = [str(label) for label in labels]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"labels: expected at least two different names, got {names}")
    return names
