"""Statistics of batch norms that a deployed model does not have any more, measured on training images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn

from ocrexp.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch norm whose statistics are to be measured.

    Args:
        norm: name of the layer in the model.
        others: names of batch norms of branches that the file does not have; they are 0 so far.
    """

    norm: str
    others: tuple[str, ...] = ()


@paddle.no_grad()
def calibrate(model: nn.Layer, folded: Sequence[Folded], batches: Iterable[Callable[[], object]]) -> int:
    """Gives batch norms that were folded the statistics of training batches, so that training can continue from there.

    The scale becomes sqrt(variance + epsilon) and the bias the deployed one plus the mean: the outputs in evaluation
    stay what they are, and those in training follow the batch's own statistics.

    Args:
        model: with what `deployed.take` has put in.
        folded: see `deployed.Taken`.
        batches: each runs the model on some training images.

    Returns:
        The number of batches. Raises CheckpointError if there is none.
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
