"""Which channels of a network belong together: what has to be removed where a filter of a convolution is removed.

The network itself is asked. Each row of a batch disturbs some channels of what one convolution gives, and every layer
reports which of its input channels are disturbed. Every convolution that mixes channels gives all rows the same values
again, so a disturbance goes exactly as far as a removed channel would be missed: through norms, activations, depthwise
convolutions, sums, products and concatenations. Nothing has to be known of the network's code; what is not understood
(a reshape, an attention, a layer norm) makes a group fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn

from ocrexp.environment import untuned
from ocrexp.models.hooks import HasBranches
from ocrexp.models.layers import is_batch_norm
from ocrexp.models.model import OCRModel
from ocrexp.models.widths import is_depthwise

_SEEN = 1e-4  # smallest change of a channel that counts, as a share of its values; kernels round to about 1e-6
_RECURRENT = (nn.LSTM, nn.GRU, nn.SimpleRNN)  # they run their cells' parameters themselves
_HARMLESS = 1  # values of a parameter that scales a whole map


class Place(NamedTuple):
    """Channels of a group in a layer: from `first` on; `mixes`: the layer is a consumer that mixes them."""

    layer: str
    first: int
    mixes: bool


@dataclass
class Group:
    """Channels that can only be removed together.

    Args:
        producers: convolutions whose filters give them.
        places: the layers that they pass or end in.
        channels: how many they are.
    """

    producers: list[str]
    places: set[Place]
    channels: int


@dataclass
class Structure:
    """What is found of a network.

    Args:
        groups: those that can be pruned.
        fixed: producers whose channels cannot, with the reason.
        work: layer → multiply-accumulates of one image of the size that was run.
    """

    groups: list[Group]
    fixed: dict[str, str]
    work: dict[str, int]


@dataclass
class _Trace:
    """`disturbed` is bool [rows, channels] for each call of a layer, `channels` of a producer's result."""

    channels: dict[str, int] = field(default_factory=dict)
    disturbed: list[tuple[str, npt.NDArray[np.bool_]]] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)


def find_structure(model: OCRModel, size: tuple[int, int]) -> Structure:
    """The groups of channels of a network.

    Args:
        model: with any weights, which are destroyed: give a copy.
        size: height and width of the images that it is run on; small ones will do.

    Raises ValueError for a network with layers that only training with targets runs.
    """
    names = {id(layer): name for name, layer in model.named_sublayers()}
    layers = dict(model.named_sublayers())
    _plain_values(layers.values())
    producers = [name for name, layer in layers.items() if _is_producer(layer)]
    rows = {name: number for number, name in enumerate(producers, 1)}
    generator = np.random.default_rng(0)
    patterns = {name: generator.random(_out_channels(layers[name])) < 0.5 for name in producers}
    for pattern in patterns.values():
        pattern[0] = pattern[-1] = True  # so it is seen where it begins
        pattern[1:-1][:1] = False  # never all
    trace = _run(model, layers, names, rows, patterns, size)
    _add_branches(layers, names, trace)
    _check_all_called(layers, trace)
    return _grouped(layers, producers, rows, patterns, trace)


def _is_producer(layer: nn.Layer) -> bool:
    return isinstance(layer, nn.Conv2D | nn.Conv2DTranspose) and layer._groups == 1


def _out_channels(layer: nn.Layer) -> int:
    return int(layer._out_channels)


def _mixes(layer: nn.Layer) -> bool:
    return _is_producer(layer) or isinstance(layer, nn.Linear)


def _own_parameters(layer: nn.Layer) -> list[Tensor]:
    return [value for _, value in layer.named_parameters(include_sublayers=False)]


def _plain_values(layers: Any) -> None:
    """Values that let every disturbance through: norms that change nothing, depthwise averages, no bias."""
    with paddle.no_grad():
        for layer in layers:
            if is_batch_norm(layer):
                for name, value in (("weight", 1.0), ("bias", 0.0), ("_mean", 0.0), ("_variance", 1.0)):
                    if getattr(layer, name) is not None:
                        getattr(layer, name).fill_(value)
            elif is_depthwise(layer):
                layer.weight.fill_(0.5 / (layer.weight.shape[2] * layer.weight.shape[3]))  # sums must not grow
                if layer.bias is not None:
                    layer.bias.fill_(0.0)


def _run(
    model: OCRModel,
    layers: Mapping[str, nn.Layer],
    names: Mapping[int, str],
    rows: Mapping[str, int],
    patterns: Mapping[str, npt.NDArray[np.bool_]],
    size: tuple[int, int],
) -> _Trace:
    """Run the batch: row 0 is undisturbed; row n disturbs some channels of producer n."""
    trace, count = _Trace(), 1 + len(rows)
    generator = np.random.default_rng(1)

    def before(layer: nn.Layer, inputs: Any) -> Any:
        name, x = names[id(layer)], inputs[0] if isinstance(inputs, tuple) else inputs
        trace.called.add(name)
        if not isinstance(x, Tensor) or x.ndim < 2 or x.shape[0] != count:
            return None
        trace.disturbed.append((name, _changed(x.numpy(), x.ndim - 1 if x.ndim == 3 else 1)))
        return x[:1] if _renews(layer) else None  # all rows get new values anyway

    def after(layer: nn.Layer, inputs: Any, output: Any) -> Any:
        del inputs
        name = names[id(layer)]
        if not isinstance(output, Tensor) or output.shape[0] != 1:
            return None
        values = generator.uniform(0.2, 1.0, output.shape[1:]).astype(np.float32)
        batch = np.broadcast_to(values, [count, *output.shape[1:]]).copy()
        if (row := rows.get(name)) is not None:
            trace.channels[name] = output.shape[1]
            batch[row, patterns[name]] += 4.0
        if _mixes(layer):
            places = int(np.prod(output.shape[1:])) // _size_of(layer)[1]
            trace.work[name] = trace.work.get(name, 0) + places * _macs(layer)
        return paddle.to_tensor(batch)

    def depthwise(layer: nn.Layer, inputs: Any, output: Any) -> None:
        del inputs
        places = int(np.prod(output.shape[2:]))
        name = names[id(layer)]
        trace.work[name] = trace.work.get(name, 0) + places * int(layer.weight.size)

    hooks = []
    for layer in layers.values():
        if _own_parameters(layer) or isinstance(layer, _RECURRENT):
            hooks.append(layer.register_forward_pre_hook(before))
        if _renews(layer):
            hooks.append(layer.register_forward_post_hook(after))
        elif is_depthwise(layer):
            hooks.append(layer.register_forward_post_hook(depthwise))
    model.eval()
    try:
        with paddle.no_grad(), untuned():  # the kernels for training on a CPU do not call the layers
            outputs, learned = model.evaluated(paddle.zeros([count, *size, 3], "uint8"), {}, {}, None)
    finally:
        for hook in hooks:
            hook.remove()
    for value in (*outputs.values(), *learned.values()):
        trace.disturbed.append(("", _changed(value.numpy().reshape(count, 1, -1), 1)))
    return trace


def _changed(x: npt.NDArray[Any], axis: int) -> npt.NDArray[np.bool_]:
    """Which channels of each row differ from those of row 0, bool [rows, channels]."""
    others = tuple(place for place in range(1, x.ndim) if place != axis)
    change, size = np.abs(x - x[:1]).max(axis=others), np.abs(x[:1]).max(axis=others)
    found: npt.NDArray[np.bool_] = change > _SEEN * size + 1e-9
    return found


def _renews(layer: nn.Layer) -> bool:
    """Whether a layer makes all channels of its result from all of its input."""
    return _mixes(layer) or isinstance(layer, nn.LayerNorm)


def _size_of(layer: nn.Layer) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return int(layer.weight.shape[0]), int(layer.weight.shape[1])
    return int(layer._in_channels), int(layer._out_channels)


def _macs(layer: nn.Layer) -> int:
    """Multiply-accumulates of a layer that mixes channels, for all channels of one place of its result."""
    if isinstance(layer, nn.Conv2DTranspose):  # a place of the result gets one value of each non-overlapping kernel
        strides = np.prod(layer._stride if isinstance(layer._stride, list | tuple) else [layer._stride] * 2)
        return int(layer.weight.size) // int(strides)
    return int(layer.weight.size)


def _add_branches(layers: Mapping[str, nn.Layer], names: Mapping[int, str], trace: _Trace) -> None:
    """Depthwise convolutions whose weights are used without a call (`HasBranches`) are disturbed as their sibling."""
    for layer in layers.values():
        found = layer.branches() if isinstance(layer, HasBranches) else None
        if found is None:
            continue
        known = [pattern for name, pattern in trace.disturbed if name == names[id(found.conv)]]
        for member in found.members:
            name = names[id(member)]
            if known and name not in trace.called and _own_parameters(member):
                trace.called.add(name)
                trace.disturbed.append((name, known[0]))


def _check_all_called(layers: Mapping[str, nn.Layer], trace: _Trace) -> None:
    """Raises ValueError for layers whose channels would be missed: they only run with targets."""
    inside = {id(cell) for layer in layers.values() if isinstance(layer, _RECURRENT) for cell in layer.sublayers()}
    for name, layer in layers.items():
        if id(layer) in inside:
            continue
        if name not in trace.called and any(value.size > _HARMLESS for value in _own_parameters(layer)):
            raise ValueError(
                f"{name}: only runs in training with targets, so its channels are not known; prune a model without "
                "this part"
            )


def _grouped(
    layers: Mapping[str, nn.Layer],
    producers: list[str],
    rows: Mapping[str, int],
    patterns: Mapping[str, npt.NDArray[np.bool_]],
    trace: _Trace,
) -> Structure:
    places: dict[str, set[Place]] = {name: set() for name in producers}
    fixed: dict[str, str] = {}
    blocked: dict[tuple[str, int], str] = {}  # channels of a layer's input at which a producer is not understood
    for name in producers:
        if name not in trace.channels or len(patterns[name]) < 3:
            fixed[name] = "has few channels" if name in trace.channels else "is not run"
            continue
        for layer, disturbed in trace.disturbed:
            try:
                places[name] |= _places(layer, layers, disturbed[rows[name]], patterns[name])
            except _NotUnderstood as reason:
                fixed.setdefault(name, str(reason))
                for met in np.flatnonzero(disturbed[rows[name]]):
                    blocked.setdefault((layer, int(met)), f"meets {name}, which {reason}")
        if not places[name]:
            fixed.setdefault(name, "reaches no other layer")
    parent = {name: name for name in producers}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    # Where channels of two producers meet (a sum, a product), they are the same channels.
    owner: dict[tuple[str, int], str] = {}
    for name in producers:
        for place in places[name]:
            for channel in range(place.first, place.first + len(patterns[name])):
                other = owner.setdefault((place.layer, channel), name)
                parent[root(name)] = root(other)
                if (place.layer, channel) in blocked:
                    fixed.setdefault(name, blocked[place.layer, channel])
    groups: dict[str, Group] = {}
    reasons: dict[str, str] = {}
    for name in producers:
        group = groups.setdefault(root(name), Group([], set(), len(patterns[name])))
        group.producers.append(name)
        group.places |= places[name]
        if name in fixed:
            reasons.setdefault(root(name), fixed[name])
        if group.channels != len(patterns[name]) or not _aligned(group):
            reasons.setdefault(root(name), "meets channels of another number")
    for key, why in reasons.items():
        fixed |= {name: fixed.get(name, why) for name in groups[key].producers}
    return Structure([group for key, group in groups.items() if key not in reasons], fixed, trace.work)


def _aligned(group: Group) -> bool:
    """Whether the places of a group in a layer do not overlap in part."""
    starts: dict[str, list[int]] = {}
    for place in group.places:
        starts.setdefault(place.layer, []).append(place.first)
    return all(
        later - earlier >= group.channels
        for found in starts.values()
        for earlier, later in zip(sorted(found), sorted(found)[1:], strict=False)
    )


class _NotUnderstood(Exception):
    """Channels arrive at a layer in another order or number than they were made, or mixed."""


def _places(
    name: str,
    layers: Mapping[str, nn.Layer],
    disturbed: npt.NDArray[np.bool_],
    pattern: npt.NDArray[np.bool_],
) -> set[Place]:
    """Where the channels of a producer are in a layer's input: `disturbed` [channels] by those of its
    pattern. Raises _NotUnderstood."""
    if not disturbed.any():
        return set()
    if not name:
        raise _NotUnderstood("is part of the network's outputs")
    layer, count = layers[name], len(pattern)
    if _own_parameters(layer) and all(value.size <= _HARMLESS for value in _own_parameters(layer)):
        return set()
    if not (_mixes(layer) or is_batch_norm(layer) or is_depthwise(layer)):
        raise _NotUnderstood(f"reaches {name} ({type(layer).__name__})")
    places, at = set(), 0
    while at < len(disturbed):
        if not disturbed[at]:
            at += 1
            continue
        if not np.array_equal(disturbed[at : at + count], pattern):
            raise _NotUnderstood(f"reaches {name} mixed or in another order")
        places.add(Place(name, at, _mixes(layer)))
        at += count
    return places
