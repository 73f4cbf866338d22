"""From samples to a batch.

A collate is `collate(samples, empty) -> batch`; `empty(shape, dtype)` makes its arrays, in shared memory where a
worker runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.errors import DataError
from ocrexp.types import Batch, DetReference, Sample

Empty = Callable[[tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]
EvalBatch = list[Batch]

_DET_TARGETS = ("image", "shrink_map", "shrink_mask", "threshold_map", "threshold_mask")


def stack(arrays: Sequence[npt.NDArray[Any]], empty: Empty) -> npt.NDArray[Any]:
    """Equal arrays on a new first axis, written straight into the batch's memory."""
    whole = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[...] = array
    return whole


def collate_det_train(samples: Sequence[Sample], empty: Empty) -> Batch:
    """`image` uint8 [N,H,W,3] BGR and those of the target maps [N,H,W] that the samples have, `index` int64 [N].

    No sample at all gives an empty batch, so that ranks stay in step. Raises DataError where sizes differ.
    """
    if not samples:
        return {}
    shapes = {sample["image"].shape[:2] for sample in samples}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise DataError(
            f"training samples of one batch have different sizes ({first[0]}x{first[1]} and {second[0]}x{second[1]}): "
            "end augment with a crop to one size, or set loader.batch_size=1"
        )
    batch: Batch = {}
    for name in _DET_TARGETS:
        if name in samples[0]:
            batch[name] = stack([sample[name] for sample in samples], empty)  # type: ignore[literal-required]
    batch["index"] = np.array([sample["index"] for sample in samples], np.int64)
    return batch


def collate_det_eval(samples: Sequence[Sample], empty: Empty) -> EvalBatch:
    """Sub-batches of equal image shape, in the order of their first image.

    Unreadable images come last with `image` None.
    """
    groups: dict[tuple[int, ...] | None, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample["image"].shape if "image" in sample else None, []).append(sample)
    batches = []
    for shape, group in sorted(groups.items(), key=lambda item: item[0] is None):
        batch: Batch = {
            "image": None if shape is None else stack([sample["image"] for sample in group], empty),
            "references": [
                DetReference(list(s["polygons"]), [bool(ignored) for ignored in s["ignored"]], list(s["texts"]))
                for s in group
            ],
            "index": np.array([sample["index"] for sample in group], np.int64),
            "paths": [str(sample["record"].image_path) for sample in group],
        }
        if shape is None:
            batch["reasons"] = [sample["unreadable"] for sample in group]
        else:
            batch["shape"] = np.stack([sample["shape"] for sample in group]).astype(np.float64)
        batches.append(batch)
    return batches
