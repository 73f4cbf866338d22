"""Layers of a deployed network into a model of ours, matched in order of execution, by kind and shape.

A deployed file has other names than the model, or none, but the same layers in the same order. What it does not have
any more are batch norms that were folded into the convolution before them, and the branches that were fused into one
convolution. Their statistics are measured afterwards, see `calibrate`: with guessed ones the model would give the same
outputs in evaluation and lose everything at the first training step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn

from ocrexp.environment import untuned
from ocrexp.errors import CheckpointError
from ocrexp.models.hooks import HasBranches
from ocrexp.models.layers import is_batch_norm
from ocrexp.weights.deployed import Array, Item

_NORM = {"weight": "weight", "bias": "bias", "mean": "_mean", "variance": "_variance"}
_CONVOLUTIONS = ("conv", "convtranspose")


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch norm whose statistics are to be measured.

    Args:
        norm: name of the layer in the model.
        others: names of batch norms of branches that the file does not have; they are 0 so far.
    """

    norm: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """What came from the file: the arrays by the model's names, and the batch norms that `calibrate` has to measure."""

    arrays: dict[str, npt.NDArray[Any]]
    folded: list[Folded]
    layers: int


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer of the model with weights."""

    name: str
    kind: str
    tensors: dict[str, Tensor]
    layer: nn.Layer
    branched: Folded | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(next(iter(self.tensors.values())).shape)

    def describe(self) -> str:
        return f"{self.kind} {list(self.shape)} ({self.name})"


def take(model: nn.Layer, items: Sequence[Item], images: Tensor, source: str, hint: str = "") -> Taken:
    """Copies the layers of a deployed network into a model; evaluation then gives the network's outputs.

    Args:
        model: in evaluation mode it runs the same layers in the same order.
        items: see `read_deployed`.
        images: an input of the model.
        source: the file, for messages.
        hint: what else to do where the layers differ.

    Raises:
        CheckpointError: the first place where kind or shape differ, or layers that cannot be taken from such a file.
    """
    places = _in_order(model, images, source)
    matched = _match(places, items, source, hint)
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
            layers = dict(model.named_sublayers())
            _as_bias(layers[place.branched.norm], bias, filled)
            for other in place.branched.others:
                _set(layers[other].weight, np.zeros(layers[other].weight.shape, np.float32), filled)
                _set(layers[other].bias, np.zeros(layers[other].bias.shape, np.float32), filled)
            folded.append(place.branched)
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items() if id(tensor) in filled}
    return Taken(arrays, folded, len(matched))


@paddle.no_grad()
def calibrate(model: nn.Layer, folded: Sequence[Folded], batches: Iterable[Callable[[], object]]) -> int:
    """Gives batch norms that were folded the statistics of training batches, so that training can continue from there.

    The scale becomes sqrt(variance + epsilon) and the bias the deployed one plus the mean: the outputs in evaluation
    stay what they are, and those in training follow the batch's own statistics.

    Args:
        model: with what `take` has put in.
        folded: see `Taken`.
        batches: each runs the model on some training images.

    Returns:
        The number of batches. Raises CheckpointError where there is none.
    """
    layers = dict(model.named_sublayers())
    sums = {name: _Sums() for each in folded for name in (each.norm, *each.others)}
    hooks = [layers[name].register_forward_pre_hook(_adder(found)) for name, found in sums.items()]
    training = model.training
    model.eval()
    count = 0
    try:
        for run in batches:
            run()
            count += 1
    finally:
        for hook in hooks:
            hook.remove()
        if training:
            model.train()
    if not count:
        raise CheckpointError(
            "pretrained_mode=calibrated: no training image could be read to measure the statistics of the batch "
            "norms that the file does not have; check the training list, or set pretrained_mode=fused"
        )
    for each in folded:
        mean, variance = sums[each.norm].result()
        norm = layers[each.norm]
        norm.bias.set_value((norm.bias.numpy() + mean).astype(np.float32))
        norm.weight.set_value(np.sqrt(variance + norm._epsilon).astype(np.float32))
        for name in (each.norm, *each.others):
            mean, variance = sums[name].result()
            layers[name]._mean.set_value(mean.astype(np.float32))
            layers[name]._variance.set_value(variance.astype(np.float32))
    return count


class _Sums:
    """Mean and variance of each channel, in float64."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, np.zeros(1), np.zeros(1)

    def add(self, x: npt.NDArray[Any]) -> None:
        axes = (0, *range(2, x.ndim))
        self._count += x.size // x.shape[1]
        self._sum = self._sum + x.sum(axis=axes, dtype=np.float64)
        self._squares = self._squares + np.square(x, dtype=np.float64).sum(axis=axes)

    def result(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        mean = self._sum / self._count
        return mean, np.maximum(self._squares / self._count - np.square(mean), 0.0)


def _adder(found: _Sums) -> Callable[[nn.Layer, Any], None]:
    def hook(layer: nn.Layer, inputs: Any) -> None:
        del layer
        found.add(inputs[0].numpy())

    return hook


def _set(tensor: Tensor, value: Array, filled: set[int]) -> None:
    tensor.set_value(np.ascontiguousarray(value, dtype=np.float32))
    filled.add(id(tensor))


def _as_bias(norm: nn.Layer, bias: Array | None, filled: set[int]) -> None:
    """Makes a batch norm add a bias in evaluation, until `calibrate` gives it its statistics."""
    zeros = np.zeros(norm.bias.shape, np.float32)
    _set(norm._mean, zeros, filled)
    _set(norm._variance, zeros + 1, filled)
    _set(norm.weight, zeros + np.sqrt(np.float32(1 + norm._epsilon)), filled)
    _set(norm.bias, zeros if bias is None else bias, filled)


# The model's layers


def _in_order(model: nn.Layer, images: Tensor, source: str) -> list[_Place]:
    """The layers with weights that an evaluation runs, in their order."""
    names = {id(layer): name for name, layer in model.named_sublayers()}
    places: list[_Place] = []
    done: set[int] = set()  # layers that have been met, and those inside what counts as one

    def hook(layer: nn.Layer, inputs: Any) -> None:
        del inputs
        if id(layer) in done:
            return
        done.add(id(layer))
        found = _places_of(layer, names)
        places.extend(found)
        if found:
            branches = layer.branches() if isinstance(layer, HasBranches) else None
            members = layer.sublayers() if branches is None else [*branches.members]
            for member in members:
                done.update(id(each) for each in member.sublayers(include_self=True))
        elif layer.parameters(include_sublayers=False):
            raise CheckpointError(
                f"{source}: the model's {names[id(layer)]} is a {type(layer).__name__}, whose weights cannot be taken "
                "from a deployed file; give a .pdparams file"
            )

    hooks = [layer.register_forward_pre_hook(hook) for layer in model.sublayers()]
    training = model.training
    model.eval()
    try:
        with paddle.no_grad(), untuned():
            model(images)
    finally:
        for each in hooks:
            each.remove()
        if training:
            model.train()
    return places


def _places_of(layer: nn.Layer, names: Mapping[int, str]) -> list[_Place]:
    """A layer with weights of its own; one for each layer of an LSTM; none for any other layer."""
    name = names[id(layer)]
    if isinstance(layer, HasBranches) and (branches := layer.branches()) is not None:
        folded = Folded(names[id(branches.norm)], tuple(names[id(other)] for other in branches.others))
        return [_Place(name, "conv", {"weight": branches.conv.weight}, layer, folded)]
    if isinstance(layer, nn.LSTM):
        return _layers_of_lstm(layer, name)
    place = _plain_place(layer, name)
    return [] if place is None else [place]


def _layers_of_lstm(layer: nn.LSTM, name: str) -> list[_Place]:
    places = []
    for number in range(layer.num_layers):
        endings = ("", "_reverse")[: layer.num_directions]
        tensors = {
            f"{each}{ending}": getattr(layer, f"{each}_l{number}{ending}")
            for ending in endings
            for each in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        places.append(_Place(f"{name} layer {number}", "lstm", tensors, layer))
    return places


def _plain_place(layer: nn.Layer, name: str) -> _Place | None:
    if is_batch_norm(layer):
        return _Place(name, "bn", {ours: getattr(layer, theirs) for ours, theirs in _NORM.items()}, layer)
    for kind, types in (
        ("conv", nn.Conv2D),
        ("convtranspose", nn.Conv2DTranspose),
        ("linear", nn.Linear),
        ("layernorm", nn.LayerNorm),
    ):
        if isinstance(layer, types):
            return _Place(name, kind, _weight_and_bias(layer), layer)
    own = {each.rpartition(".")[2]: value for each, value in layer.named_parameters(include_sublayers=False)}
    if set(own) == {"scale", "bias"} and all(tuple(value.shape) == (1,) for value in own.values()):
        return _Place(name, "lab", {"scale": own["scale"], "bias": own["bias"]}, layer)
    return None


def _weight_and_bias(layer: nn.Layer) -> dict[str, Tensor]:
    found = {"weight": layer.weight}
    if layer.bias is not None:
        found["bias"] = layer.bias
    return found


# Matching


def _match(
    places: Sequence[_Place], items: Sequence[Item], source: str, hint: str
) -> list[tuple[_Place, _Place | None, Item]]:
    """Each layer of the model with its batch norm, where the file has it no more, and the file's layer.

    Raises CheckpointError with the first place that differs.
    """
    matched: list[tuple[_Place, _Place | None, Item]] = []
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
            raise CheckpointError(_difference(place, item, at, len(matched), len(places), len(queue), source) + hint)
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


def _agrees(place: _Place, item: Item, folded: _Place | None) -> bool:
    """Whether a layer of the file can be this one of the model."""
    if place.kind != item.kind or place.shape != item.shape:
        return False
    if item.kind in (*_CONVOLUTIONS, "linear") and place.branched is None and folded is None:
        return ("bias" in place.tensors) == ("bias" in item.arrays)
    return all(
        tuple(place.tensors[name].shape) == value.shape for name, value in item.arrays.items() if name in place.tensors
    )


def _difference(place: _Place, item: Item | None, at: int, matched: int, places: int, items: int, source: str) -> str:
    ours = place.describe()
    if place.kind in (*_CONVOLUTIONS, "linear"):
        ours = ours.replace("] (", "] with bias (") if "bias" in place.tensors else ours
    theirs = "nothing more" if item is None else item.describe()
    return (
        f"{source}: does not fit the model: {matched} of {places} layers agree, then the file has {theirs}, layer "
        f"{at + 1} of {items}, and the model {ours}; choose the model that the file was made from (python -m ocrexp "
        "list model)"
    )
