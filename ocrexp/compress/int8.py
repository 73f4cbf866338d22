"""An ONNX network in 8-bit integers, by static quantization (Jacob et al., arXiv 1712.05877; onnxruntime.quantization).

Weights are quantized per output channel and symmetrically, the values between layers per tensor by the ranges that
calibration images show. Layers whose quantization disturbs the outputs most can stay in float.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.export.onnx_graph import tidy
from ocrexp.folders import scratch

Floats = npt.NDArray[Any]

# Layers with weights, and what lies between them: a chain of these stays in integers from layer to layer.
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_BETWEEN = ("Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Mul", "Resize")
_ERRORS_ONLY = 3


class QuantizedNetwork:
    """A network in integers, of which any layers can be put back to float.

    Args:
        file: the float network.
        inputs: calibration images, each float32 [N, C, H, W], as the network takes them.
    """

    def __init__(self, file: Path, inputs: Sequence[Floats]) -> None:
        import onnx

        with scratch("int8") as folder:
            prepared, quantized = folder / "float.onnx", folder / "int8.onnx"
            _prepare(file, prepared)
            self._float = onnx.load(str(prepared))
            _quantize(prepared, quantized, self._float.graph.input[0].name, inputs)
            self._quantized = onnx.load(str(quantized))
        quantizing = {name for node in _of_type(self._quantized, "DequantizeLinear") for name in node.output}
        nodes = {node.name: node for node in self._quantized.graph.node}
        self.layers = tuple(
            node.name
            for node in self._float.graph.node
            if node.op_type in _LAYERS and node.name in nodes and quantizing.intersection(nodes[node.name].input)
        )

    def with_float(self, names: Collection[str]) -> Any:
        """An onnx ModelProto in which these layers work in float; their weights are stored in integers all the same."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self._quantized)
        made_by = {name: node for node in model.graph.node for name in node.output}
        in_float = {name for node in model.graph.node if node.name in names for name in node.output}

        def before_integers(value: str) -> str | None:
            """The float value that a dequantized one is made of; None for any other value."""
            dequantize = made_by.get(value)
            if dequantize is None or dequantize.op_type != "DequantizeLinear":
                return None
            quantize = made_by.get(dequantize.input[0])
            return None if quantize is None else quantize.input[0]

        for node in model.graph.node:
            if node.name not in names:
                if node.op_type not in _LAYERS:  # what a float layer gives stays in float up to the next layer
                    for place, value in enumerate(node.input):
                        if (source := before_integers(value)) in in_float:
                            node.input[place] = source
                continue
            for place, value in enumerate(node.input):
                if (source := before_integers(value)) is not None:
                    node.input[place] = source
        tidy(model)
        return model

    def sensitivities(self, inputs: Sequence[Floats]) -> dict[str, float]:
        """How much each layer alone in integers changes what the layers in float give: the mean change over the mean.

        The most sensitive layer comes first.
        """
        run = session(self.with_float(self.layers).SerializeToString())
        expected = [run(image)[0] for image in inputs]
        size = sum(float(np.abs(output).mean()) for output in expected)
        found = {}
        for name in self.layers:
            run = session(self.with_float([other for other in self.layers if other != name]).SerializeToString())
            pairs = zip(inputs, expected, strict=True)
            found[name] = sum(float(np.abs(run(image)[0] - output).mean()) for image, output in pairs) / max(
                size, 1e-12
            )
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def _prepare(file: Path, target: Path) -> None:
    """The network with its constants computed and its batch norms folded, and a name for each node."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    model = onnx.load(str(target))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}.{number}"
    onnx.save(model, str(target))


def _quantize(file: Path, target: Path, input_name: str, inputs: Sequence[Floats]) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, Floats] | None:
            image = next(self._left, None)
            return None if image is None else {input_name: image}

    with _quiet():
        quantization.quantize_static(
            str(file),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*_LAYERS, *_BETWEEN],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # A ReLU that is dropped because of its range would be missing where a layer is put back to float.
            extra_options={"QDQKeepRemovableActivations": True, "MatMulConstBOnly": True},
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice to prepare the network first, which `_prepare` has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def session(model: bytes) -> Callable[[Floats], list[Floats]]:
    """A function from images [N, C, H, W] to the outputs of a network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    loaded = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = loaded.get_inputs()[0].name
    return lambda images: loaded.run(None, {name: images})


def _of_type(model: Any, kind: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == kind]
