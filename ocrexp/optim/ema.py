"""An exponential moving average of a model's weights (Polyak and Juditsky 1992), evaluated in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import paddle


class WeightAverage:
    """`average = d * average + (1 - d) * weight` after each step, d = min(decay, (1 + step) / (10 + step)).

    The lower d of the first steps lets a short run's average leave its random start. It is that of PaddleOCR 3.7's
    `ema_decay_type: threshold`, whose average begins at 0 and is corrected for it: after twenty steps the start weighs
    less than 1e-6 in both. Floating-point buffers (the running means and variances of batch norms) are averaged alike;
    whole numbers are copied. Kept in float32.
    """

    def __init__(self, model: paddle.nn.Layer, decay: float) -> None:
        self.decay = decay
        self._average = {key: _float_copy(value) for key, value in model.state_dict().items()}

    @paddle.no_grad()
    def update(self, model: paddle.nn.Layer, step: int, masters: Mapping[str, paddle.Tensor] | None = None) -> None:
        """Take in the weights after `step` steps; `masters` (paddle's name → float32) where they are in less."""
        decay = min(self.decay, (1 + step) / (10 + step))
        masters = masters or {}
        for key, own in model.state_dict().items():
            average, value = self._average[key], masters.get(own.name, own)
            if value.is_floating_point():
                average.scale_(decay)
                average.add_(value.astype(average.dtype) * (1 - decay))
            else:
                paddle.assign(value, average)

    @contextmanager
    def applied(self, model: paddle.nn.Layer) -> Iterator[None]:
        """Within this block the model has the averaged weights; afterwards its own, bit for bit."""
        state = model.state_dict()
        own = {key: value.clone() for key, value in state.items()}
        try:
            _fill(state, self._average)
            yield
        finally:
            _fill(state, own)

    def tensors(self) -> dict[str, paddle.Tensor]:
        """The averages, by the names of the model's state."""
        return dict(self._average)

    def state_dict(self) -> dict[str, npt.NDArray[np.generic]]:
        """The averages as arrays."""
        return {key: value.numpy() for key, value in self._average.items()}

    def load_state_dict(self, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take averages back. Raises KeyError if a weight has no average."""
        for key, average in self._average.items():
            average.set_value(arrays[key])


def _float_copy(value: paddle.Tensor) -> paddle.Tensor:
    copy = value.detach().clone()
    return copy.astype("float32") if copy.is_floating_point() and copy.dtype != paddle.float64 else copy


@paddle.no_grad()
def _fill(state: dict[str, paddle.Tensor], values: dict[str, paddle.Tensor]) -> None:
    for key, tensor in state.items():
        paddle.assign(values[key].astype(tensor.dtype), tensor)
