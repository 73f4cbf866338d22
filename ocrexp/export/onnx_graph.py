"""Removes constant and identity nodes, and unused nodes, from a converted ONNX graph.

onnxruntime does the same each time it loads a file; other readers may not, and show weights as nodes.
"""

from __future__ import annotations

from typing import Any


def tidy(model: Any) -> None:
    """Change an onnx ModelProto in place; its results stay the same. A graph with inner graphs is not changed."""
    graph = model.graph
    if any(attribute.g.node or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    outputs = {each.name for each in graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.node:  # in the order of computation: the inputs of a node already have their new names
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        tensor = next((each for each in node.attribute if each.name == "value"), None)
        if node.op_type == "Constant" and tensor is not None:
            constant = graph.initializer.add()
            constant.CopyFrom(tensor.t)
            constant.name = node.output[0]
        elif node.op_type == "Identity" and node.output[0] not in outputs:
            renamed[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    alive = _alive(kept, set(outputs))
    del graph.node[:]
    graph.node.extend(alive)
    used = {name for node in alive for name in node.input} | outputs
    weights = [each for each in graph.initializer if each.name in used]  # onnxruntime warns about every other one
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _alive(nodes: list[Any], read: set[str]) -> list[Any]:
    """The nodes whose outputs are used, in their order."""
    alive = []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            alive.append(node)
    return alive[::-1]
