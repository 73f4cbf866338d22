"""Groups of offsets of deformable convolutions in an ONNX graph.

paddle2onnx does not write the attribute `offset_group`, whose default is 1; FCENet's backbone has 2 groups.
"""

from __future__ import annotations

from typing import Any


def restore_offset_groups(model: Any) -> int:
    """Change an onnx ModelProto (tidied: weights are initializers) in place; returns the number of changed nodes.

    A kernel of k taps has 2k channels of offsets for each group. A node whose channels are unknown is not changed.
    """
    nodes = [node for node in model.graph.node if node.op_type == "DeformConv"]
    if not nodes:
        return 0
    from onnx import helper, shape_inference

    weights = {each.name: list(each.dims) for each in model.graph.initializer}
    values = shape_inference.infer_shapes(model).graph.value_info
    channels = {
        each.name: each.type.tensor_type.shape.dim[1].dim_value
        for each in values
        if len(each.type.tensor_type.shape.dim) == 4
    }
    changed = 0
    for node in nodes:
        _, weight, offset, *_ = node.input
        height, width = weights[weight][2:]
        groups = channels.get(offset, 0) // (2 * height * width)
        if groups > 1 and all(attribute.name != "offset_group" for attribute in node.attribute):
            node.attribute.append(helper.make_attribute("offset_group", groups))
            changed += 1
    return changed
