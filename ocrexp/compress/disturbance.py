"""How far a disturbance of channels goes in a network; `channels.py` finds from it which channels belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass
class Trace:
    """What a run has shown.

    Args:
        channels: of what each producer gives.
        disturbed: for each call of a layer, its name and which channels of its input each row disturbs, bool
            [rows, channels]; an empty name: the outputs of the network.
        called: the layers that have run.
    """

    channels: dict[str, int] = field(default_factory=dict)
    disturbed: list[tuple[str, npt.NDArray[np.bool_]]] = field(default_factory=list)
    called: set[str] = field(default_factory=set)


def is_producer(layer: nn.Layer) -> bool:
    """Whether a layer is a convolution that makes each of its channels from all of its input."""
    return isinstance(layer, nn.Conv2D | nn.Conv2DTranspose) and layer._groups == 1


def out_channels(layer: nn.Layer) -> int:
    """Channels of what a convolution gives."""
    return int(layer._out_channels)


def mixes_channels(layer: nn.Layer) -> bool:
    """Whether a layer makes each channel from all channels of its input: a producer or a linear layer."""
    return is_producer(layer) or isinstance(layer, nn.Linear)


def own_parameters(layer: nn.Layer) -> list[Tensor]:
    """Parameters of a layer without those of layers in it."""
    return [value for _, value in layer.named_parameters(include_sublayers=False)]


def _plain_values(layers: Iterable[nn.Layer]) -> None:
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


def disturb(
    model: OCRModel,
    rows: Mapping[str, int],
    patterns: Mapping[str, npt.NDArray[np.bool_]],
    size: tuple[int, int],
) -> Trace:
    """Run a network once for all of its producers.

    Args:
        model: its weights are destroyed.
        rows: producer → the row of the batch, from 1 on, in which it is disturbed.
        patterns: producer → which of its channels, bool [channels].
        size: height and width of the images.

    Raises ValueError for a network with layers that only training with targets runs.
    """
    layers = dict(model.named_sublayers())
    names = {id(layer): name for name, layer in layers.items()}
    _plain_values(layers.values())
    trace = _run(model, layers, names, rows, patterns, size)
    _add_branches(layers, names, trace)
    _check_all_called(layers, trace)
    return trace


def _run(
    model: OCRModel,
    layers: Mapping[str, nn.Layer],
    names: Mapping[int, str],
    rows: Mapping[str, int],
    patterns: Mapping[str, npt.NDArray[np.bool_]],
    size: tuple[int, int],
) -> Trace:
    """Run the batch: row 0 is undisturbed; row n disturbs some channels of producer n."""
    trace, count = Trace(), 1 + len(rows)
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
        return paddle.to_tensor(batch)

    hooks = []
    for layer in layers.values():
        if own_parameters(layer) or isinstance(layer, _RECURRENT):
            hooks.append(layer.register_forward_pre_hook(before))
        if _renews(layer):
            hooks.append(layer.register_forward_post_hook(after))
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
    return mixes_channels(layer) or isinstance(layer, nn.LayerNorm)


def _add_branches(layers: Mapping[str, nn.Layer], names: Mapping[int, str], trace: Trace) -> None:
    """Depthwise convolutions whose weights are used without a call (`HasBranches`) are disturbed as their sibling."""
    for layer in layers.values():
        found = layer.branches() if isinstance(layer, HasBranches) else None
        if found is None:
            continue
        known = [pattern for name, pattern in trace.disturbed if name == names[id(found.conv)]]
        for member in found.members:
            name = names[id(member)]
            if known and name not in trace.called and own_parameters(member):
                trace.called.add(name)
                trace.disturbed.append((name, known[0]))


def _check_all_called(layers: Mapping[str, nn.Layer], trace: Trace) -> None:
    """Raises ValueError for layers whose channels would be missed: they only run with targets."""
    inside = {id(cell) for layer in layers.values() if isinstance(layer, _RECURRENT) for cell in layer.sublayers()}
    for name, layer in layers.items():
        if id(layer) in inside:
            continue
        if name not in trace.called and any(value.size > _HARMLESS for value in own_parameters(layer)):
            raise ValueError(
                f"{name}: only runs in training with targets, so its channels are not known; prune a model without "
                "this part"
            )
