"""Outputs of layers inside a network, named as `neck`, or `backbone.3` for one of several, while the network runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paddle import Tensor, nn

from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.necks.pyramid import Pyramid
from ocrexp.nearest import did_you_mean


class Features:
    """The outputs of some layers of a network.

    Args:
        network: any layer.
        layers: name of the feature → name of the layer in the network; `.2` behind it takes the third of its outputs.

    Raises ValueError for a layer that does not exist, with the nearest name.
    """

    def __init__(self, network: nn.Layer, layers: Mapping[str, str]) -> None:
        known = {name: layer for name, layer in network.named_sublayers() if name}
        self._places: dict[str, tuple[nn.Layer, str, int | None]] = {}
        for feature, text in layers.items():
            parent, _, number = text.rpartition(".")
            if text in known:
                self._places[feature] = known[text], text, None
            elif number.isdigit() and parent in known:
                self._places[feature] = known[parent], text, int(number)
            else:
                top = ", ".join(name for name, _ in network.named_children())
                near = did_you_mean(text, known) or f"; its parts are {top}"
                raise ValueError(f"features.{feature}: there is no layer {text!r}{near}")

    @contextmanager
    def caught(self) -> Iterator[dict[str, Tensor]]:
        """The features by name, filled while the network runs in this block.

        Raises ValueError at its end where a layer did not run or gives several tensors.
        """
        found: dict[str, Any] = {}

        def keep(feature: str) -> Any:
            def hook(layer: nn.Layer, inputs: Any, output: Any) -> None:  # noqa: ARG001
                found[feature] = output

            return hook

        hooks = [layer.register_forward_post_hook(keep(name)) for name, (layer, _, _) in self._places.items()]
        caught: dict[str, Tensor] = {}
        try:
            yield caught
        finally:
            for hook in hooks:
                hook.remove()
        for feature, (_, text, place) in self._places.items():
            if feature not in found:
                raise ValueError(
                    f"features.{feature}: the layer {text} is not called separately; name the block around it"
                )
            caught[feature] = _one(feature, text, found[feature], place)


def _one(feature: str, text: str, output: Any, place: int | None) -> Tensor:
    if place is not None and isinstance(output, list | tuple):
        if place >= len(output):
            raise ValueError(f"features.{feature}: {text} does not exist, the layer gives {len(output)} outputs")
        output = output[place]
    elif place is not None:
        raise ValueError(f"features.{feature}: {text} has a number, but the layer gives one output; remove the number")
    if isinstance(output, Pyramid):
        output = output.joined
    if isinstance(output, TwoLevels):
        output = output.joined()
    if isinstance(output, list | tuple):
        raise ValueError(
            f"features.{feature}: {text} gives {len(output)} outputs; choose one, for example {text}.{len(output) - 1}"
        )
    if not isinstance(output, Tensor):
        raise ValueError(f"features.{feature}: {text} gives {type(output).__name__}, not a tensor; name another layer")
    return output
