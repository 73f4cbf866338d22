"""The layers of a model that have weights, in the order in which an evaluation runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import Tensor, nn

from ocrexp.environment import untuned
from ocrexp.errors import CheckpointError
from ocrexp.models.hooks import HasBranches
from ocrexp.models.layers import is_batch_norm

_NORM = {"weight": "weight", "bias": "bias", "mean": "_mean", "variance": "_variance"}


@dataclass(frozen=True, slots=True)
class BranchNorms:
    """The branches of a layer, see `Branches`, with the names of their batch norms."""

    norm: str
    others: tuple[str, ...]
    after: str | None
    factors: Tensor | None
    offsets: Tensor | None


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """A layer of the model with weights."""

    name: str
    kind: str
    tensors: dict[str, Tensor]
    layer: nn.Layer
    branched: BranchNorms | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(next(iter(self.tensors.values())).shape)

    def describe(self) -> str:
        return f"{self.kind} {list(self.shape)} ({self.name})"


def layers_in_order(model: nn.Layer, images: Tensor, source: str, apart: bool = False) -> list[LayerPlace]:
    """The layers with weights that an evaluation runs, in their order.

    Branches that are deployed as one convolution count as one layer; with `apart` each has its own place.
    """
    names = {id(layer): name for name, layer in model.named_sublayers()}
    places: list[LayerPlace] = []
    done: set[int] = set()  # layers that have been met, and those inside what counts as one

    def hook(layer: nn.Layer, inputs: Any) -> None:
        del inputs
        if id(layer) in done:
            return
        done.add(id(layer))
        branches = layer.branches() if isinstance(layer, HasBranches) else None
        members = layer.sublayers() if branches is None else [*branches.members]
        if branches is not None and apart:
            inner = [each for member in members for each in member.sublayers(include_self=True)]
            found = [place for each in inner for place in _places_of(each, names)]
        else:
            found = _places_of(layer, names)
        places.extend(found)
        if found:
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


def _places_of(layer: nn.Layer, names: Mapping[int, str]) -> list[LayerPlace]:
    """A layer with weights of its own; one for each layer of an LSTM; none for any other layer."""
    name = names[id(layer)]
    if isinstance(layer, HasBranches) and (branches := layer.branches()) is not None:
        branched = BranchNorms(
            names[id(branches.norm)],
            tuple(names[id(other)] for other in branches.others),
            None if branches.after is None else names[id(branches.after)],
            branches.factors,
            branches.offsets,
        )
        return [LayerPlace(name, "conv", {"weight": branches.conv.weight}, layer, branched)]
    if isinstance(layer, nn.LSTM):
        return _layers_of_lstm(layer, name)
    place = _plain_place(layer, name)
    return [] if place is None else [place]


def _layers_of_lstm(layer: nn.LSTM, name: str) -> list[LayerPlace]:
    places = []
    for number in range(layer.num_layers):
        endings = ("", "_reverse")[: layer.num_directions]
        tensors = {
            f"{each}{ending}": getattr(layer, f"{each}_l{number}{ending}")
            for ending in endings
            for each in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        places.append(LayerPlace(f"{name} layer {number}", "lstm", tensors, layer))
    return places


def _plain_place(layer: nn.Layer, name: str) -> LayerPlace | None:
    if is_batch_norm(layer):
        return LayerPlace(name, "bn", {ours: getattr(layer, theirs) for ours, theirs in _NORM.items()}, layer)
    for kind, types in (
        ("conv", (nn.Conv2D, nn.Conv1D)),
        ("convtranspose", nn.Conv2DTranspose),
        ("linear", nn.Linear),
        ("layernorm", nn.LayerNorm),
    ):
        if isinstance(layer, types):
            return LayerPlace(name, kind, _weight_and_bias(layer), layer)
    own = {each.rpartition(".")[2]: value for each, value in layer.named_parameters(include_sublayers=False)}
    if set(own) == {"scale", "bias"} and all(tuple(value.shape) == (1,) for value in own.values()):
        return LayerPlace(name, "lab", {"scale": own["scale"], "bias": own["bias"]}, layer)
    return None


def _weight_and_bias(layer: nn.Layer) -> dict[str, Tensor]:
    found = {"weight": layer.weight}
    if layer.bias is not None:
        found["bias"] = layer.bias
    return found
