"""Removes constant and identity nodes, and unused nodes, from a converted ONNX graph, and long names.

onnxruntime does the same each time it loads a file; other readers may not, and show weights as nodes.
"""

from __future__ import annotations

from typing import Any


def tidy(model: Any) -> None:
    """Change an onnx ModelProto in place; its results stay the same. A graph with inner graphs is not changed."""
    graph = model.graph
    if _has_inner(graph):
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


def shorten(model: Any) -> None:
    """Change an onnx ModelProto in place so that its file is smaller: equal weights are stored once, and only the
    network's inputs and outputs keep their names. A graph with inner graphs is not changed."""
    graph = model.graph
    if _has_inner(graph):
        return
    kept = {each.name for each in (*graph.input, *graph.output)}
    first: dict[bytes, str] = {}
    names = {name: name for name in (*kept, "")}  # an empty name: no input
    weights = []
    for weight in graph.initializer:
        name, weight.name = weight.name, ""
        content = weight.SerializeToString()
        if name not in kept and content in first:
            names[name] = first[content]
            continue
        weight.name = names.setdefault(name, _short(len(names)))
        first.setdefault(content, weight.name)
        weights.append(weight)
    del graph.initializer[:]
    graph.initializer.extend(weights)
    del graph.value_info[:]
    for node in graph.node:
        node.name = node.doc_string = ""
        for values in (node.input, node.output):
            for place, name in enumerate(values):
                values[place] = names.setdefault(name, _short(len(names)))


def _short(number: int) -> str:
    return f"_{number:x}"


def _has_inner(graph: Any) -> bool:
    return any(attribute.g.node or attribute.graphs for node in graph.node for attribute in node.attribute)


def _alive(nodes: list[Any], read: set[str]) -> list[Any]:
    """The nodes whose outputs are used, in their order."""
    alive = []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            alive.append(node)
    return alive[::-1]
