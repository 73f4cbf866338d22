"""Parts of a model that do not learn, for a whole run or for its first steps."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from paddle import Tensor, nn

from ocrexp.models.layers import is_batch_norm
from ocrexp.nearest import nearest

_log = logging.getLogger(__name__)


@dataclass
class Frozen:
    """What `freeze` has fixed: the parameters that would learn otherwise, and the batch norms."""

    parts: tuple[str, ...]
    parameters: list[Tensor] = field(default_factory=list)
    norms: list[tuple[nn.Layer, object]] = field(default_factory=list)  # with their earlier `_use_global_stats`

    def allow_gradients(self) -> None:
        """The parameters get gradients, which the caller drops; norms stay fixed."""
        for parameter in self.parameters:
            parameter.stop_gradient = False

    def thaw(self) -> None:
        """The parts learn from here on, and their batch norms use and move the statistics of batches."""
        self.allow_gradients()
        for norm, before in self.norms:
            norm._use_global_stats = before


def freeze(model: nn.Layer, parts: Iterable[str]) -> Frozen:
    """Stops the learning of parts of a model: their parameters get no gradient and their batch norms keep and use the
    running statistics, in training mode too.

    Args:
        model: any layer.
        parts: names of its sublayers: `backbone`, `neck`, or deeper as `backbone.stage0`.

    Returns:
        What has been fixed, for a later `thaw`.

    Raises:
        ValueError: no such part, naming the nearest; or nothing is left that can be trained.
    """
    layers = dict(model.named_sublayers())
    frozen = Frozen(tuple(parts))
    for part in frozen.parts:
        layer = layers.get(part)
        if layer is None:
            near = nearest(part, layers)
            top = ", ".join(name for name, _ in model.named_children())
            hint = f"did you mean {near}?" if near else f"its parts are {top}"
            raise ValueError(f"freeze: unknown part {part!r}; {hint}")
        for parameter in layer.parameters():
            if not parameter.stop_gradient:
                parameter.stop_gradient = True
                frozen.parameters.append(parameter)
        for sublayer in [layer, *layer.sublayers()]:
            if is_batch_norm(sublayer) and not is_frozen_norm(sublayer):
                frozen.norms.append((sublayer, sublayer._use_global_stats))
                sublayer._use_global_stats = True
        _log.info("%s is frozen", part)
    if all(parameter.stop_gradient for parameter in model.parameters()):
        raise ValueError("freeze: covers the whole model, so no parameter is trainable; remove a part from it")
    return frozen


def is_frozen_norm(layer: nn.Layer) -> bool:
    """Whether `layer` is a batch norm that `freeze` has fixed (it must not become a synchronized one)."""
    return is_batch_norm(layer) and bool(getattr(layer, "_use_global_stats", False))
