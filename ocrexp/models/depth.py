"""How deep the parameters of a backbone are, for learning rates that decay towards the input."""

from __future__ import annotations

from collections.abc import Iterator

from paddle import nn

from ocrexp.models.layers import is_batch_norm


def depths(backbone: nn.Layer) -> dict[str, int]:
    """Depth of each parameter by its name in the backbone: 1 at the input, the number of blocks at the output.

    The blocks are counted in the order in which the backbone's layers are registered, which is that of execution in
    all backbones of ocrexp: each sublayer is one block, a stage (a Sequential or a LayerList) as many as it contains.
    A norm belongs to the block before it. Parameters of the backbone itself, as the positions of a transformer, have
    depth 1.
    """
    found: dict[str, int] = {}
    depth = 0
    for name, layer in _blocks(backbone):
        parameters = [f"{name}.{own}" for own, _ in layer.named_parameters()]
        if parameters and not (depth and _is_norm(layer)):
            depth += 1
        found.update(dict.fromkeys(parameters, depth))
    return {name: found.get(name, 1) for name, _ in backbone.named_parameters()}


def _blocks(backbone: nn.Layer) -> Iterator[tuple[str, nn.Layer]]:
    for name, child in backbone.named_children():
        if isinstance(child, nn.Sequential | nn.LayerList):
            yield from ((f"{name}.{inner}", layer) for inner, layer in child.named_children())
        else:
            yield name, child


def _is_norm(layer: nn.Layer) -> bool:
    return is_batch_norm(layer) or isinstance(layer, nn.LayerNorm)
