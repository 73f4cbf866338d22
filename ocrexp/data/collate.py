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
from ocrexp.types import IMAGE_FACTS, Batch, Sample

Empty = Callable[[tuple[int, ...], npt.DTypeLike], npt.NDArray[Any]]
EvalBatch = list[Batch]
Collate = Callable[[Sequence[Sample], Empty], Any]


def stack(arrays: Sequence[npt.NDArray[Any]], empty: Empty) -> npt.NDArray[Any]:
    """Equal arrays on a new first axis, written straight into the batch's memory."""
    whole = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for row, array in enumerate(arrays):
        whole[row] = array
    return whole


# What a sample has beside its image and its targets; a collate of the task uses these.
_FACTS = frozenset(
    [
        *("record", "index", "epoch", "encoded", "others", "unreadable", "polygons", "texts", "ignored", "shape"),
        *("size", "length", "counts", *IMAGE_FACTS),
    ]
)


def stack_training(samples: Sequence[Sample], empty: Empty, one_size: str) -> Batch:
    """`image` uint8 [N,H,W,3] BGR, every other array that the transforms put into the samples [N,…] (target maps,
    labels), and `index` int64 [N].

    No sample at all gives an empty batch, so that ranks stay in step. Raises DataError if sizes differ, with
    `one_size` as what to do about images.
    """
    if not samples:
        return {}
    _require_one_size(samples, one_size)
    targets = sorted(
        name
        for name, value in samples[0].items()
        if name not in _FACTS and name != "image" and isinstance(value, np.ndarray)
    )
    batch: Batch = {"image": stack([sample["image"] for sample in samples], empty)}
    for name in targets:
        arrays = [sample[name] for sample in samples]  # type: ignore[literal-required]
        if len({array.shape for array in arrays}) > 1:
            raise DataError(
                f"targets: {name} has different shapes in one batch ({arrays[0].shape} and others); pad it to one shape"
            )
        batch[name] = stack(arrays, empty)
    batch["index"] = _indices(samples)
    return batch


def _require_one_size(samples: Sequence[Sample], advice: str) -> None:
    shapes = {sample["image"].shape[:2] for sample in samples}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise DataError(
            f"training samples of one batch have different sizes ({first[0]}x{first[1]} and {second[0]}x{second[1]}); "
            f"{advice}, or set the loader's batch_size=1"
        )


def _indices(samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    return np.array([sample["index"] for sample in samples], np.int64)


def valid_columns(samples: Sequence[Sample]) -> Batch:
    """`valid_width` int64 [N] and `valid_ratio` float32 [N]; the full width if a sample does not state it."""
    return {
        "valid_width": np.array([s.get("valid_width", s["image"].shape[1]) for s in samples], np.int64),
        "valid_ratio": np.array([s.get("valid_ratio", 1.0) for s in samples], np.float32),
    }


def by_shape(samples: Sequence[Sample], empty: Empty) -> Iterator[tuple[list[Sample], Batch]]:
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
        else:
            _add_targets(batch, group, empty)
        yield group, batch


def _add_targets(batch: Batch, group: Sequence[Sample], empty: Empty) -> None:
    """`targets` (name -> array) of the images for which the loss can be computed, `target_rows` int64 (which ones), and
    `no_targets` (why not) of the others."""
    rows = [row for row, sample in enumerate(group) if "targets" in sample]
    if rows:
        made = [group[row]["targets"] for row in rows]
        batch["targets"] = {
            name: stack([one[name] for one in made], empty) if first.ndim else np.array([one[name] for one in made])
            for name, first in made[0].items()
        }
        batch["target_rows"] = np.array(rows, np.int64)
    if reasons := [sample["no_targets"] for sample in group if "no_targets" in sample]:
        batch["no_targets"] = reasons
