"""In which order the channels of a group are removed.

`l1`: those of the smallest filters first (Li et al., arXiv 1608.08710). `fpgm`: those whose filters are most like the
others (He et al., arXiv 1811.00250). `thinet`: the one without which the layers behind can be fitted best, again and
again (Luo et al., arXiv 1707.06342; the error without an input of a least-squares fit is known in closed form, Hassibi
and Stork, 1992).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from paddle import nn

from ocrexp.compress.channels import Group
from ocrexp.compress.moments import Moments
from ocrexp.compress.products import Floats, Places, held, input_channels, matrix_of
from ocrexp.models.layers import is_batch_norm

CRITERIA = ("fpgm", "l1", "thinet")


def removal_order(layers: Mapping[str, nn.Layer], group: Group, criterion: str, moments: Moments | None) -> Places:
    """The channels of a group, int64 [channels], the one that goes first at the start.

    Args:
        layers: of the network.
        group: the channels.
        criterion: see `CRITERIA`.
        moments: of what the layers read; `thinet` needs them. A group that is read by no layer with moments has the
            order of `fpgm`.

    Raises ValueError for `thinet` without moments.
    """
    if criterion != "thinet":
        order: Places = np.argsort(_importance(layers, group, criterion), kind="stable")
        return order
    if moments is None:
        raise ValueError("criterion=thinet: needs moments of what the layers read")
    known = [(place, moments.of[place.layer]) for place in group.places if place.mixes and place.layer in moments.of]
    if not known:
        return removal_order(layers, group, "fpgm", moments)
    fits = [_Fit(layers[place.layer], place.first, square) for place, square in known]
    gone: list[int] = []
    left = np.ones(group.channels, bool)
    while left.any():
        errors = sum(fit.errors(left) for fit in fits)
        gone.append(int(np.flatnonzero(left)[np.argmin(errors)]))
        left[gone[-1]] = False
        for fit in fits:
            fit.remove(gone[-1])
    return np.array(gone)


class _Fit:
    """A least-squares fit that loses inputs, as the inverse of its moments and its weights.

    Args:
        layer: the one that reads the channels.
        first: where they begin in its input.
        square: the moments of its inputs and of a constant, float64 [inputs + 1, inputs + 1].
    """

    def __init__(self, layer: nn.Layer, first: int, square: Floats) -> None:
        self._weights = matrix_of(layer).astype(np.float64)
        self._values = len(self._weights) // input_channels(layer)  # of the kernel
        self._first = first
        if layer.bias is None:
            square = square[:-1, :-1]
        else:
            self._weights = np.concatenate([self._weights, np.zeros((1, self._weights.shape[1]))])
        self._inverse = np.linalg.inv(held(square))
        self._size = max(float(np.einsum("io,ij,jo->", self._weights, square, self._weights, optimize=True)), 1e-12)

    def errors(self, left: npt.NDArray[np.bool_]) -> Floats:
        """What the results lose without each channel that is left, as a share of their squares."""
        places = self._places(np.flatnonzero(left))  # [channels, values]
        inverse = self._inverse[places[:, :, None], places[:, None, :]]
        weights = self._weights[places]
        found: Floats = np.einsum("cvo,cvo->c", weights, np.linalg.solve(inverse, weights)) / self._size
        return found

    def remove(self, channel: int) -> None:
        """The other inputs take over from a channel."""
        place = self._places(np.array([channel]))[0]
        columns = self._inverse[:, place]
        share = columns @ np.linalg.inv(self._inverse[np.ix_(place, place)])
        self._weights -= share @ self._weights[place]
        self._inverse -= share @ columns.T
        self._inverse[place, place] = 1.0  # the removed ones are not asked again

    def _places(self, channels: Places) -> Places:
        found: Places = (self._first + channels)[:, None] * self._values + np.arange(self._values)
        return found


def _importance(layers: Mapping[str, nn.Layer], group: Group, criterion: str) -> Floats:
    """How much each channel of a group matters, [channels]: the sum over its producers, each with a mean of 1."""
    total = np.zeros(group.channels)
    for name in group.producers:
        weight = layers[name].weight.numpy()
        filters = np.moveaxis(weight, 1 if isinstance(layers[name], nn.Conv2DTranspose) else 0, 0)
        filters = filters.reshape(group.channels, -1) * _scale(layers, group, name)[:, None]
        if criterion == "l1":
            found = np.abs(filters).sum(axis=1)
        else:
            squares = (filters**2).sum(axis=1)
            found = np.sqrt(np.maximum(squares[:, None] + squares - 2 * filters @ filters.T, 0)).sum(axis=1)
        total += found / max(float(found.mean()), 1e-12)
    return total


def _scale(layers: Mapping[str, nn.Layer], group: Group, producer: str) -> Any:
    """What the batch norm beside a convolution multiplies its filters by, 1 where there is none."""
    beside = producer.rpartition(".")[0]
    for place in group.places:
        norm = layers[place.layer]
        if is_batch_norm(norm) and place.layer.rpartition(".")[0] == beside and norm.weight.shape[0] == group.channels:
            return (norm.weight.abs() / (norm._variance + norm._epsilon).sqrt()).numpy()
    return np.ones(group.channels)
