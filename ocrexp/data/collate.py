"""From samples to a batch.

A collate is `collate(samples, empty) -> batch`; `empty(shape, dtype)` makes its arrays, in shared memory where a
worker runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.errors import DataError
from ocrexp.types import Batch, DetReference, RecReference, Sample

Empty = Callable[[tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]
EvalBatch = list[Batch]
Collate = Callable[[Sequence[Sample], Empty], Any]

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
    _require_one_size(samples, "end augment with a crop to one size")
    batch = _stacked(samples, [name for name in _DET_TARGETS if name in samples[0]], empty)
    batch["index"] = _indices(samples)
    return batch


def collate_rec_train(samples: Sequence[Sample], empty: Empty) -> Batch:
    """`image` uint8 [N,H,W,3] BGR, `valid_width` int64 [N] (columns from the left that are no padding; all, where a
    sample does not say), `valid_ratio` float32 [N], `label_KIND` int64 [N,L] for each kind that the samples have,
    `length` int64 [N] (characters), `index` int64 [N].

    No sample at all gives an empty batch, so that ranks stay in step. Raises DataError where sizes differ.
    """
    if not samples:
        return {}
    _require_one_size(samples, "end augment with resize: ${preprocess.resize}")
    labels = sorted(name for name in samples[0] if name.startswith("label_"))
    batch = _stacked(samples, ["image", *labels], empty)
    batch.update(_valid(samples))
    if "length" in samples[0]:
        batch["length"] = np.array([sample["length"] for sample in samples], np.int64)
    batch["index"] = _indices(samples)
    return batch


def collate_det_eval(samples: Sequence[Sample], empty: Empty) -> EvalBatch:
    """Sub-batches of equal image shape, in the order of their first image, with `references` and `shape` float64 [n,4].

    Unreadable images come last with `image` None.
    """
    batches = []
    for group, batch in _by_shape(samples, empty):
        batch["references"] = [
            DetReference(list(s["polygons"]), [bool(ignored) for ignored in s["ignored"]], list(s["texts"]))
            for s in group
        ]
        if batch["image"] is not None:
            batch["shape"] = np.stack([sample["shape"] for sample in group]).astype(np.float64)
        batches.append(batch)
    return batches


def collate_rec_eval(samples: Sequence[Sample], empty: Empty) -> EvalBatch:
    """Sub-batches of equal image shape, in the order of their first image, with `references`, `valid_width` int64 [n]
    and `valid_ratio` float32 [n].

    Unreadable images come last with `image` None.
    """
    batches = []
    for group, batch in _by_shape(samples, empty):
        batch["references"] = [RecReference(sample["texts"][0]) for sample in group]
        if batch["image"] is not None:
            batch.update(_valid(group))
        batches.append(batch)
    return batches


# task -> collate of training, collate of evaluation
COLLATES: dict[str, tuple[Collate, Collate]] = {
    "det": (collate_det_train, collate_det_eval),
    "rec": (collate_rec_train, collate_rec_eval),
}


def _require_one_size(samples: Sequence[Sample], mend: str) -> None:
    shapes = {sample["image"].shape[:2] for sample in samples}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise DataError(
            f"training samples of one batch have different sizes ({first[0]}x{first[1]} and {second[0]}x{second[1]}): "
            f"{mend}, or set loader.batch_size=1"
        )


def _stacked(samples: Sequence[Sample], names: Sequence[str], empty: Empty) -> Batch:
    return {name: stack([sample[name] for sample in samples], empty) for name in names}  # type: ignore[literal-required]


def _indices(samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    return np.array([sample["index"] for sample in samples], np.int64)


def _valid(samples: Sequence[Sample]) -> Batch:
    return {
        "valid_width": np.array([s.get("valid_width", s["image"].shape[1]) for s in samples], np.int64),
        "valid_ratio": np.array([s.get("valid_ratio", 1.0) for s in samples], np.float32),
    }


def _by_shape(samples: Sequence[Sample], empty: Empty) -> Iterator[tuple[list[Sample], Batch]]:
    """Samples grouped by image shape, and what the batch of a group always has."""
    groups: dict[tuple[int, ...] | None, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample["image"].shape if "image" in sample else None, []).append(sample)
    for shape, group in sorted(groups.items(), key=lambda item: item[0] is None):
        batch: Batch = {
            "image": None if shape is None else stack([sample["image"] for sample in group], empty),
            "index": _indices(group),
            "paths": [str(sample["record"].image_path) for sample in group],
        }
        if shape is None:
            batch["reasons"] = [sample["unreadable"] for sample in group]
        yield group, batch
