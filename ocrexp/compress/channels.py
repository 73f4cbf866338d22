"""Which channels of a network belong together: what has to be removed where a filter of a convolution is removed.

The network itself is asked. Each row of a batch disturbs some channels of what one convolution gives, and every layer
reports which of its input channels are disturbed. Every convolution that mixes channels gives all rows the same values
again, so a disturbance goes exactly as far as a removed channel would be missed: through norms, activations, depthwise
convolutions, sums, products and concatenations. Nothing has to be known of the network's code; what is not understood
(a reshape, an attention, a layer norm) makes a group fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from paddle import nn

from ocrexp.compress.disturbance import Trace, disturb, is_producer, mixes_channels, out_channels, own_parameters
from ocrexp.models.layers import is_batch_norm
from ocrexp.models.model import OCRModel
from ocrexp.models.summary import macs_by_layer
from ocrexp.models.widths import is_depthwise

_HARMLESS = 1  # values of a parameter that scales a whole map: no channel is in it


class ChannelRange(NamedTuple):
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
    places: set[ChannelRange]
    channels: int


@dataclass
class Structure:
    """What is found of a network.

    Args:
        groups: those that can be pruned.
        fixed: producers whose channels cannot, with the reason.
        work: layer → multiply-accumulates of one image.
    """

    groups: list[Group]
    fixed: dict[str, str]
    work: dict[str, int]


def find_structure(model: OCRModel, size: tuple[int, int], counted: tuple[int, int] | None = None) -> Structure:
    """The groups of channels of a network.

    Args:
        model: with any weights, which are destroyed: give a copy.
        size: height and width of the images that it is run on; small ones will do.
        counted: of the images whose work is counted; None: it takes any.

    Raises ValueError for a network with layers that only training with targets runs.
    """
    layers = dict(model.named_sublayers())
    producers = [name for name, layer in layers.items() if is_producer(layer)]
    rows = {name: number for number, name in enumerate(producers, 1)}
    generator = np.random.default_rng(0)
    patterns = {name: generator.random(out_channels(layers[name])) < 0.5 for name in producers}
    for pattern in patterns.values():
        pattern[0] = pattern[-1] = True  # so it is seen where it begins
        pattern[1:-1][:1] = False  # never all
    # Not of the small images: the work behind a global mean would count too much.
    work = macs_by_layer(model, counted)
    return _grouped(layers, producers, rows, patterns, disturb(model, rows, patterns, size), work)


def _grouped(
    layers: Mapping[str, nn.Layer],
    producers: list[str],
    rows: Mapping[str, int],
    patterns: Mapping[str, npt.NDArray[np.bool_]],
    trace: Trace,
    work: dict[str, int],
) -> Structure:
    places: dict[str, set[ChannelRange]] = {name: set() for name in producers}
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
    return Structure([group for key, group in groups.items() if key not in reasons], fixed, work)


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
) -> set[ChannelRange]:
    """Where the channels of a producer are in a layer's input: `disturbed` [channels] by those of its
    pattern. Raises _NotUnderstood."""
    if not disturbed.any():
        return set()
    if not name:
        raise _NotUnderstood("is part of the network's outputs")
    layer, count = layers[name], len(pattern)
    if own_parameters(layer) and all(value.size <= _HARMLESS for value in own_parameters(layer)):
        return set()
    if not (mixes_channels(layer) or is_batch_norm(layer) or is_depthwise(layer)):
        raise _NotUnderstood(f"reaches {name} ({type(layer).__name__})")
    places, at = set(), 0
    while at < len(disturbed):
        if not disturbed[at]:
            at += 1
            continue
        if not np.array_equal(disturbed[at : at + count], pattern):
            raise _NotUnderstood(f"reaches {name} mixed or in another order")
        places.add(ChannelRange(name, at, mixes_channels(layer)))
        at += count
    return places
