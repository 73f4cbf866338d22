"""What a model consists of: its parts, their parameters, and the multiply-accumulates of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from ocrexp.environment import untuned
from ocrexp.errors import ConfigError

_RUN = (160, 160)  # size of the image that is run for networks that take any size


@dataclass(frozen=True)
class ModelSummary:
    """`parts`: class and number of parameters by part; `macs`: of one image of `size` (height, width)."""

    parts: Mapping[str, tuple[str, int]]
    parameters: int
    macs: int
    size: tuple[int, int]

    def describe(self) -> str:
        """One line, as `backbone MobileNetV3 0.51 M, head DBHead 0.02 M; 0.53 M parameters; 4.31 GMAC at 640×640`."""
        parts = ", ".join(f"{name} {kind} {count / 1e6:.2f} M" for name, (kind, count) in self.parts.items())
        height, width = self.size
        return f"{parts}; {self.parameters / 1e6:.2f} M parameters; {self.macs / 1e9:.3g} GMAC at {height}×{width}"


def summarize(model: nn.Layer, size: tuple[int, int] | None = None) -> ModelSummary:
    """Count the parameters of a model's parts, and its multiply-accumulates by running it on one image.

    Counted are convolutions, linear layers and recurrent layers; products of attention are not. The model's mode
    (training or evaluation) stays as it was. Running statistics of norms are not counted as parameters.

    Args:
        model: takes uint8 images [1, height, width, 3].
        size: (height, width) of its images. None: it takes any; the figure is for 640×640, and as the work of
            convolutions grows with the area, it is computed with a smaller image.

    Raises ConfigError if a backbone of several maps gives other maps than its `out_channels` states.
    """
    run, factor = (_RUN, 16) if size is None else (size, 1)
    size = size or (640, 640)
    parts = {name: (type(layer).__name__, _parameters(layer)) for name, layer in model.named_children()}
    return ModelSummary(parts, _parameters(model), sum(macs_by_layer(model, run).values()) * factor, size)


def macs_by_layer(model: nn.Layer, size: tuple[int, int] | None = None) -> dict[str, int]:
    """Multiply-accumulates of one image by the name of the layer, as `summarize` counts them; None: of 160×160."""
    macs: dict[str, int] = {}
    names = {id(layer): name for name, layer in model.named_sublayers()}

    def count(layer: nn.Layer, inputs: Any, output: Any) -> None:
        result = output[0] if isinstance(output, tuple) else output
        if isinstance(layer, nn.LSTM | nn.GRU | nn.SimpleRNN):
            steps = int(inputs[0].shape[1])
            found = steps * sum(int(value.size) for value in layer.parameters() if value.ndim == 2)
        elif isinstance(layer, nn.Linear):
            found = int(result.size) * int(layer.weight.shape[0])
        elif isinstance(layer, nn.Conv2DTranspose | nn.Conv1DTranspose):
            found = int(inputs[0].size) * int(layer.weight.size) // int(layer.weight.shape[0])
        else:
            found = int(result.size) * int(layer.weight.size) // int(layer.weight.shape[0])
        name = names[id(layer)]
        macs[name] = macs.get(name, 0) + found

    counted = (nn.Conv1D, nn.Conv2D, nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Linear, nn.LSTM, nn.GRU, nn.SimpleRNN)
    hooks = [layer.register_forward_post_hook(count) for layer in model.sublayers() if isinstance(layer, counted)]
    backbone = dict(model.named_children()).get("backbone")
    if backbone is not None and not getattr(model, "narrowed", False):
        hooks.append(backbone.register_forward_post_hook(_check_maps))
    training = model.training
    model.eval()
    try:
        with paddle.no_grad(), untuned():  # the kernels for training on a CPU do not call the layers
            model(paddle.zeros([1, *(size or _RUN), 3], "uint8"))
    finally:
        for hook in hooks:
            hook.remove()
        if training:
            model.train()
    return macs


def _check_maps(backbone: nn.Layer, inputs: Any, maps: Any) -> None:  # noqa: ARG001
    """Raises ConfigError if the maps are not those that `out_channels` states."""
    stated = backbone.out_channels
    if not isinstance(stated, list | tuple) or not isinstance(maps, list | tuple):
        return
    given = [int(one.shape[1]) for one in maps]
    if given != list(stated):
        raise ConfigError(
            f"backbone: {type(backbone).__name__} gives {len(given)} maps of {given} channels and states "
            f"out_channels {list(stated)}; correct one of them"
        )


def _parameters(layer: nn.Layer) -> int:
    """Number of values that can be learned; paddle keeps the running statistics of norms among the parameters."""
    named = layer.named_parameters()
    return sum(int(value.size) for name, value in named if not name.endswith(("_mean", "_variance")))
