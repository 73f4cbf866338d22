"""The exported network: the trained model without the parts that only training needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import paddle
from paddle import Tensor, nn

from ocrexp.errors import ConfigError
from ocrexp.export.fast_trace import fast_trace
from ocrexp.models.hooks import DropsBranches, Fuses, MasksPadding, NeedsOpset

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task


class InferenceNetwork(nn.Layer):
    """A trained model in the form in which it is deployed.

    Args:
        model: will be changed (training-only branches dropped, re-parameterized layers fused), so give a copy.

    `forward(x float32 [N, C, H, W], normalized)` gives the model's output: DB's probability map [N, 1, H, W], or
    probabilities [N, T, classes] of a recognizer; several outputs come in the order of `OCRModel.outputs`. Raises
    ConfigError for a model that cannot be deployed.
    """

    def __init__(self, model: OCRModel) -> None:
        super().__init__()
        if isinstance(model.head, MasksPadding) and model.head.masks_padding:
            raise ConfigError(
                f"the head {type(model.head).__name__} cannot be exported: it needs the share of each image that is not"
                " padding (its attention ignores the padding), but an exported network gets only pixels; choose another"
                " head"
            )
        self.model = for_inference(model)
        self._outputs = model.outputs

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = self.model(x)
        outputs = tuple(found[name] for name in self._outputs)
        return outputs if len(outputs) > 1 else outputs[0]


def for_inference(model: OCRModel) -> OCRModel:
    """The model with the same results in evaluation, smaller and faster; it cannot be trained any more."""
    model.eval()
    model.auxiliary = None
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, DropsBranches):
            layer.drop_training_branches()
        if isinstance(layer, Fuses):
            layer.fuse()
    return model


def input_shape(model: OCRModel, config: DictConfig, task: Task) -> list[int | None]:
    """The input's [N, C, H, W]; None: any size (for a detector, multiples of the neck's stride)."""
    return [None, channels(config), *task.input_size(model, config.model.get("image_shape"))]


def onnx_opset(model: nn.Layer, usual: int) -> int:
    """The version of ONNX's operators that all layers have: the usual one, or what a layer needs."""
    return max([usual, *(layer.onnx_opset for layer in model.sublayers() if isinstance(layer, NeedsOpset))])


def channels(config: DictConfig) -> int:
    """1 for a model of gray images, otherwise 3."""
    normalize = config.model.get("normalize")
    if normalize is None:
        raise ConfigError(
            "model.normalize: is null, so the export cannot describe how images are prepared; set its mean and std"
        )
    return len(normalize.mean)


def trace(network: InferenceNetwork, shape: list[int | None]) -> Any:
    """The network as a static graph. Raises ConfigError if paddle cannot convert it."""
    spec = paddle.static.InputSpec(list(shape), "float32", name="x")  # paddle changes the list
    static = paddle.jit.to_static(network, input_spec=[spec], full_graph=True)
    try:
        with _quiet(), fast_trace():
            static.forward.concrete_program  # noqa: B018 - builds the graph
    except Exception as error:  # any error of the network's own code or of paddle
        head = type(network.model.head).__name__
        line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        raise ConfigError(
            f"the network with the head {head} cannot be converted to a static graph ({line.strip()[:300]})"
        ) from error
    return static


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings about paddle's own code while it builds a graph; errors are still raised."""
    sys.stderr.flush()
    said, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(said, 2)
        os.close(said)
        os.close(nowhere)
