"""Structured pruning: which filters of a network are removed, so that a share of its work remains.

The filters of a group have an order (`order.py`). How sensitive a group is shows the change of the network's outputs
without its first filters, where the others have taken over what they can (`moments.py`). Step by step, channels of that
group are removed that change the outputs least for the work that they save.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from ocrexp.compress.channels import Group, Structure
from ocrexp.compress.moments import Moments, remove_inputs
from ocrexp.compress.order import removal_order
from ocrexp.deploy.progress import Progress
from ocrexp.models.model import OCRModel
from ocrexp.models.widths import is_depthwise, keep_channels, widths_of

Floats = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

MEASURED = (0.25, 0.5, 0.75)  # shares of a group's channels
_STEP = 0.125


@dataclass(frozen=True)
class GroupChoice:
    """What is done to a group.

    Args:
        group: the channels.
        kept: places of those that stay, in order.
        sensitivity: change of the outputs without the shares `MEASURED` of its channels.
    """

    group: Group
    kept: Places
    sensitivity: tuple[float, ...]


def choose(
    model: OCRModel,
    structure: Structure,
    inputs: Sequence[Floats],
    share: float,
    moments: Moments | None = None,
    criterion: str = "fpgm",
    most: float = 0.75,
    multiple: int = 8,
) -> list[GroupChoice]:
    """What stays of each group.

    Args:
        model: with its trained weights.
        structure: of the same network.
        inputs: images as the network takes them, float32 [N, C, H, W] each.
        share: of the multiply-accumulates that remain at most.
        moments: of the inputs of its layers, if these are fitted again after the pruning; None: they are not.
        criterion: see `removal_order`.
        most: largest share of a group's channels that is removed.
        multiple: the channels that stay are a multiple of it.

    Raises ValueError if the share cannot be reached.
    """
    layers = dict(model.named_sublayers())
    groups = [group for group in structure.groups if group.channels > multiple]
    if not structure.groups:
        why = next(iter(structure.fixed.values()), "it has no convolutions")
        raise ValueError(f"flops={share:g}: no channels of this network can be removed ({why}); use it as it is")
    if not groups:
        raise ValueError(f"multiple={multiple}: no group of channels of this network has more; lower multiple")
    orders = [removal_order(layers, group, criterion, moments) for group in groups]
    measured = _sensitivities(model, layers, groups, orders, inputs, moments)
    work = _Work(layers, structure, groups)
    steps = [_counts(group.channels, most, multiple) for group in groups]
    at = [0] * len(groups)
    while work.total() > share * work.before:
        best, least = None, float("inf")
        for number, counts in enumerate(steps):
            if at[number] + 1 >= len(counts):
                continue
            then = counts[at[number] + 1]
            saved = work.saved(number, then)
            if saved <= 0:
                continue
            now_changed, changed = (
                _between(measured[number], count / groups[number].channels) for count in (counts[at[number]], then)
            )
            # The mean of all steps counts too: in this step, a group whose outputs are lost has nothing to lose.
            change = max(changed - now_changed, changed / (at[number] + 1)) / saved
            if change < least:
                best, least = number, change
        if best is None:
            reached = math.ceil(100 * work.total() / work.before) / 100  # up: a share below it is out of reach
            less = "set flops to this or more, raise most" if reached < 1 else "raise most"
            raise ValueError(
                f"flops={share:g}: removing {most:.0%} of the channels of every group leaves {reached:.2f} of the "
                f"work; {less}, or lower multiple"
            )
        at[best] += 1
        work.remove(best, steps[best][at[best]])
    return [
        GroupChoice(group, np.sort(order[counts[place] :]), tuple(found))
        for group, order, counts, place, found in zip(groups, orders, steps, at, measured, strict=True)
    ]


def prune(model: OCRModel, choices: Sequence[GroupChoice]) -> dict[str, list[int]]:
    """Remove the channels from a model in place; returns the widths of all layers that have changed."""
    layers = dict(model.named_sublayers())
    kept: dict[str, list[Places]] = {}

    def places(name: str) -> list[Places]:
        if name not in kept:
            kept[name] = [np.arange(size) for size in widths_of(layers[name]) or ()]
        return kept[name]

    for choice in choices:
        removed = np.setdiff1d(np.arange(choice.group.channels), choice.kept)
        if not len(removed):
            continue
        for name in choice.group.producers:
            places(name)[1] = choice.kept
        for place in choice.group.places:
            sides = (0,) if place.mixes or len(places(place.layer)) == 1 else (0, 1)
            for side in sides:
                places(place.layer)[side] = np.setdiff1d(places(place.layer)[side], place.first + removed)
    for name, sides_kept in kept.items():
        keep_channels(layers[name], *sides_kept)
    model.narrowed = bool(kept)
    return {name: widths_of(layers[name]) or [] for name in kept}


def _counts(channels: int, most: float, multiple: int) -> list[int]:
    """How many channels may be removed, in steps; what stays is a multiple."""
    found = [0]
    share = _STEP
    while share <= most + 1e-9:
        stays = max(multiple, round(channels * (1 - share) / multiple) * multiple)
        if channels - stays > found[-1]:
            found.append(channels - stays)
        share += _STEP
    return found


def _between(measured: Sequence[float], share: float) -> float:
    """The sensitivity at a share between the measured ones."""
    return float(np.interp(share, (0.0, *MEASURED), (0.0, *np.maximum.accumulate(measured))))


def _sensitivities(
    model: OCRModel,
    layers: Mapping[str, nn.Layer],
    groups: Sequence[Group],
    orders: Sequence[Places],
    inputs: Sequence[Floats],
    moments: Moments | None,
) -> list[list[float]]:
    model.eval()

    def outputs() -> list[Floats]:
        with paddle.no_grad():
            return [model(paddle.to_tensor(images))[model.output].numpy() for images in inputs]

    expected = outputs()
    size = sum(float(np.abs(output).mean()) for output in expected)
    found = []
    with Progress(len(groups), "sensitivity of groups of channels") as bar:
        bar.say(f"measuring how sensitive {len(groups)} groups of channels are, on {sum(map(len, inputs))} images")
        for group, order in zip(groups, orders, strict=True):
            changes = []
            for share in MEASURED:
                with _without(layers, group, order[: int(group.channels * share)], moments):
                    pairs = zip(outputs(), expected, strict=True)
                    changes.append(sum(float(np.abs(got - output).mean()) for got, output in pairs) / max(size, 1e-12))
            found.append(changes)
            bar.advance()
    return found


@contextmanager
def _without(layers: Mapping[str, nn.Layer], group: Group, removed: Places, moments: Moments | None) -> Iterator[None]:
    """The network as if these channels of a group were removed: the layers that mix them multiply them by 0, and their
    other weights are fitted again."""
    before: dict[str, dict[str, Floats]] = {}
    gone: dict[str, list[Places]] = {}
    for place in group.places:
        if place.mixes:
            gone.setdefault(place.layer, []).append(place.first + removed)
    try:
        for name, channels in gone.items():
            before[name] = {key: value.numpy() for key, value in layers[name].state_dict().items()}
            remove_inputs(layers[name], np.concatenate(channels), None if moments is None else moments.of.get(name))
        yield
    finally:
        for name, values in before.items():
            layers[name].set_state_dict(values)


class _Work:
    """The multiply-accumulates that remain; `before` is all of them."""

    def __init__(self, layers: Mapping[str, nn.Layer], structure: Structure, groups: Sequence[Group]) -> None:
        self._work = structure.work
        self.before = float(sum(self._work.values()))
        self._full = {name: widths_of(layers[name]) or [1, 1] for name in self._work}
        self._removed = {name: [0, 0] for name in self._work}
        self._effects: list[list[tuple[str, int]]] = []  # of a channel of each group: layers and sides that lose one
        for group in groups:
            effects = [(name, 1) for name in group.producers]
            effects += [(place.layer, 0) for place in group.places if place.mixes or is_depthwise(layers[place.layer])]
            self._effects.append([effect for effect in effects if effect[0] in self._work])
        self._depthwise = {name for name in self._work if is_depthwise(layers[name])}
        self._taken = [0] * len(groups)

    def _of(self, name: str) -> float:
        sides = [1 - gone / size for gone, size in zip(self._removed[name], self._full[name], strict=True)]
        return self._work[name] * (sides[0] if name in self._depthwise else sides[0] * sides[1])

    def total(self) -> float:
        return sum(self._of(name) for name in self._work)

    def remove(self, number: int, count: int) -> None:
        """`count` channels of a group are removed in all."""
        more = count - self._taken[number]
        self._taken[number] = count
        for name, side in self._effects[number]:
            self._removed[name][side] += more

    def saved(self, number: int, count: int) -> float:
        """The work that this would save."""
        names = {name for name, _ in self._effects[number]}
        now, taken = sum(self._of(name) for name in names), self._taken[number]
        self.remove(number, count)
        then = sum(self._of(name) for name in names)
        self.remove(number, taken)
        return now - then
