"""Layers of a deployed network into a model of ours, matched in order of execution, by kind and shape.

A deployed file has other names than the model, or none, but the same layers in the same order. What it does not have
any more are batch norms that were folded into the convolution before them, and the branches that were fused into one
convolution. Their statistics are measured afterwards, see `calibration`: with guessed ones the model would give the
same outputs in evaluation and lose everything at the first training step. A file that was exported with its branches,
as those of RepSVTR, fills them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from paddle import Tensor, nn

from ocrexp.errors import CheckpointError
from ocrexp.models.calibration import Folded
from ocrexp.models.hooks import HasBranches
from ocrexp.models.layer_places import BranchNorms, LayerPlace, layers_in_order
from ocrexp.models.layers import is_batch_norm
from ocrexp.weights.deployed import Array, Item

_CONVOLUTIONS = ("conv", "convtranspose")
_MOST = 0.8  # of a model's layers: a file with that many in another order is of this model


@dataclass(frozen=True, slots=True)
class Taken:
    """What came from the file: the arrays by the model's names, and the batch norms that `calibrate` has to measure."""

    arrays: dict[str, npt.NDArray[Any]]
    folded: list[Folded]
    layers: int


def take(model: nn.Layer, items: Sequence[Item], images: Tensor, source: str) -> Taken:
    """Copies the layers of a deployed network into a model; evaluation then gives the network's outputs.

    Args:
        model: in evaluation mode it runs the same layers in the same order.
        items: see `read_deployed`.
        images: an input of the model.
        source: the file, for messages.

    Raises:
        CheckpointError: the first place where kind or shape differ, or layers that cannot be taken from such a file.
    """
    try:
        matched = _match(layers_in_order(model, images, source), items, source)
    except CheckpointError as error:
        matched = _match_apart(model, items, images, source, error)
    filled: set[int] = set()
    folded = []
    for place, following, item in matched:
        for name, value in item.arrays.items():
            if name in place.tensors:
                _set(place.tensors[name], value, filled)
        if item.kind not in _CONVOLUTIONS or (place.branched is None and following is None):
            continue
        bias = item.arrays.get("bias")
        if following is not None:
            if "bias" in place.tensors:
                _set(place.tensors["bias"], np.zeros(place.tensors["bias"].shape, np.float32), filled)
            _as_bias(following.layer, bias, filled)
            folded.append(Folded(following.name))
        elif place.branched is not None:
            folded += _fill_branches(dict(model.named_sublayers()), place.branched, bias, filled)
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items() if id(tensor) in filled}
    return Taken(arrays, folded, len(matched))


def _set(tensor: Tensor, value: Array, filled: set[int]) -> None:
    tensor.set_value(np.ascontiguousarray(value, dtype=np.float32))
    filled.add(id(tensor))


def _fill_branches(
    layers: Mapping[str, nn.Layer], branched: BranchNorms, bias: Array | None, filled: set[int]
) -> list[Folded]:
    """Makes all branches but that of the deployed convolution add nothing; the bias comes last."""
    for other in branched.others:
        for tensor in (layers[other].weight, layers[other].bias):
            _set(tensor, np.zeros(tensor.shape, np.float32), filled)
    if branched.factors is not None:
        _set(branched.factors, np.full(branched.factors.shape, -1.0, np.float32), filled)
    if branched.offsets is not None:
        _set(branched.offsets, np.zeros(branched.offsets.shape, np.float32), filled)
    first = Folded(branched.norm, branched.others)
    if branched.after is None:
        _as_bias(layers[branched.norm], bias, filled)
        return [first]
    _as_bias(layers[branched.norm], None, filled)
    _as_bias(layers[branched.after], bias, filled)
    return [first, Folded(branched.after)]


def _as_bias(norm: nn.Layer, bias: Array | None, filled: set[int]) -> None:
    """Makes a batch norm add a bias in evaluation, until `calibrate` gives it its statistics."""
    zeros = np.zeros(norm.bias.shape, np.float32)
    _set(norm._mean, zeros, filled)
    _set(norm._variance, zeros + 1, filled)
    _set(norm.weight, zeros + np.sqrt(np.float32(1 + norm._epsilon)), filled)
    _set(norm.bias, zeros if bias is None else bias, filled)


def _match(
    places: Sequence[LayerPlace], items: Sequence[Item], source: str
) -> list[tuple[LayerPlace, LayerPlace | None, Item]]:
    """Each layer of the model with its batch norm, where the file has it no more, and the file's layer.

    Raises CheckpointError with the first place that differs.
    """
    matched: list[tuple[LayerPlace, LayerPlace | None, Item]] = []
    queue = list(items)
    position = at = 0
    while position < len(places):
        place = places[position]
        if at < len(queue) and queue[at].kind == "lab" and place.kind != "lab" and not queue[at].arrays["bias"].any():
            at += 1  # a scale of the network's own arithmetic, as that of an attention
            continue
        following = places[position + 1] if position + 1 < len(places) else None
        item = queue[at] if at < len(queue) else None
        after = queue[at + 1] if at + 1 < len(queue) else None
        folded = (
            following
            if item is not None
            and place.kind in _CONVOLUTIONS
            and place.branched is None
            and following is not None
            and following.kind == "bn"
            and "bias" in item.arrays
            and (after is None or after.kind != "bn")
            else None
        )
        if item is None or not _agrees(place, item, folded):
            difference = _difference(place, item, at, len(matched), len(places), len(queue), source)
            raise CheckpointError(difference + _advice(places, items))
        matched.append((place, folded, item))
        position += 1 if folded is None else 2
        at += 1
    rest = [item for item in queue[at:] if item.kind != "lab" or item.arrays["bias"].any()]
    if rest:
        raise CheckpointError(
            f"{source}: the model ends after {len(matched)} layers, the file has more, {rest[0].describe()}; choose "
            "the model that the file was made from"
        )
    return matched


def _match_apart(
    model: nn.Layer, items: Sequence[Item], images: Tensor, source: str, error: CheckpointError
) -> list[tuple[LayerPlace, LayerPlace | None, Item]]:
    """As `_match`, for a file that was exported with all branches; raises `error` if it is not such a file."""
    branches = [layer.branches() for layer in model.sublayers() if isinstance(layer, HasBranches)]
    norms = sum(item.kind == "bn" for item in items) - sum(map(is_batch_norm, model.sublayers()))
    if all(found is None for found in branches):
        if not branches or norms < len(branches):
            raise error
        raise CheckpointError(
            f"{error}; the file has {norms} more batch norms than the model, as an export with all branches: then set "
            "model.pretrained_mode=calibrated"
        ) from None
    try:
        return _match(layers_in_order(model, images, source, apart=True), items, source)
    except CheckpointError as with_branches:
        raise (error if norms < 0 else with_branches) from None


def _agrees(place: LayerPlace, item: Item, folded: LayerPlace | None) -> bool:
    """Whether a layer of the file can be this one of the model."""
    if place.kind != item.kind or place.shape != item.shape:
        return False
    if item.kind in (*_CONVOLUTIONS, "linear") and place.branched is None and folded is None:
        return ("bias" in place.tensors) == ("bias" in item.arrays)
    return all(
        tuple(place.tensors[name].shape) == value.shape for name, value in item.arrays.items() if name in place.tensors
    )


def _difference(
    place: LayerPlace, item: Item | None, at: int, matched: int, places: int, items: int, source: str
) -> str:
    ours = place.describe()
    if place.kind in (*_CONVOLUTIONS, "linear"):
        ours = ours.replace("] (", "] with bias (") if "bias" in place.tensors else ours
    theirs = "nothing more" if item is None else item.describe()
    return (
        f"{source}: does not fit the model: {matched} of {places} layers agree, then the file has {theirs}, layer "
        f"{at + 1} of {items}, and the model {ours}"
    )


def _advice(places: Sequence[LayerPlace], items: Sequence[Item]) -> str:
    """What to do where layers differ: an optimizer of graphs leaves most of them, in another order."""
    ours, theirs = (Counter((each.kind, each.shape) for each in layers) for layers in (places, items))
    if sum((ours & theirs).values()) >= _MOST * len(places):
        return (
            "; the file has most layers of the model, merged or in another order: it is optimized for a runtime; give "
            "the file as it was exported"
        )
    return "; choose the model that the file was made from (python -m ocrexp list model)"
