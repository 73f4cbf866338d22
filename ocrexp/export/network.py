"""The network that is exported: the trained model without what only training needs, from one tensor to one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import paddle
from paddle import Tensor, nn

from ocrexp.errors import ConfigError
from ocrexp.models.hooks import DropsBranches, Fuses

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.models.model import OCRModel
    from ocrexp.tasks.base import Task

# What an evaluation must know of an image beside its pixels; an exported network is given pixels alone.
_NEEDS_MORE = {"sar": "the share of each image that is no padding (its attention leaves the padding out)"}


class InferenceNetwork(nn.Layer):
    """A trained model as it is deployed.

    Args:
        model: it is changed: training-only branches are dropped, re-parameterized layers fused. Give a copy.

    `forward(x float32 [N, C, H, W], normalized)` gives the model's output: DB's probability map [N, 1, H, W], or
    probabilities [N, T, classes] of a recognizer; all of them in the order of `OCRModel.outputs` where there are
    several. Raises ConfigError for a model that cannot be deployed like this.
    """

    def __init__(self, model: OCRModel) -> None:
        super().__init__()
        kind = model.output
        if kind in _NEEDS_MORE:
            raise ConfigError(
                f"a model with head {type(model.head).__name__} cannot be exported: it needs {_NEEDS_MORE[kind]}, and "
                "an exported network is given pixels alone"
            )
        self.model = for_inference(model)
        self._outputs = model.outputs

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = self.model(x)
        outputs = tuple(found[name] for name in self._outputs)
        return outputs if len(outputs) > 1 else outputs[0]


def for_inference(model: OCRModel) -> OCRModel:
    """The same model with the same results in evaluation, smaller and faster; it cannot be trained any more."""
    model.eval()
    model.auxiliary = None
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, DropsBranches):
            layer.drop_training_branches()
        if isinstance(layer, Fuses):
            layer.fuse()
    return model


def input_shape(model: OCRModel, config: DictConfig, task: Task) -> list[int | None]:
    """[N, C, H, W] that the network takes; None: any (of a detector, multiples of the neck's stride)."""
    return [None, channels(config), *task.input_size(model, config.model.get("image_shape"))]


def channels(config: DictConfig) -> int:
    """1 for a model that is made for gray images, else 3."""
    normalize = config.model.get("normalize")
    if normalize is None:
        raise ConfigError("the model has no model.normalize: nothing says how images are to be prepared for it")
    return len(normalize.mean)


def trace(network: InferenceNetwork, shape: list[int | None]) -> Any:
    """The network as a static graph. Raises ConfigError where paddle cannot make one of it."""
    spec = paddle.static.InputSpec(list(shape), "float32", name="x")  # it changes its list
    static = paddle.jit.to_static(network, input_spec=[spec], full_graph=True)
    try:
        with _quiet():
            static.forward.concrete_program  # noqa: B018 - builds the graph
    except Exception as error:  # whatever the network's own code or paddle raises
        head = type(network.model.head).__name__
        line = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        raise ConfigError(f"the network with {head} cannot be made a static graph: {line.strip()[:300]}") from error
    return static


@contextmanager
def _quiet() -> Iterator[None]:
    """paddle's own code makes paddle warn of it while it builds a graph; errors come as exceptions all the same."""
    sys.stderr.flush()
    said, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(said, 2)
        os.close(said)
        os.close(nowhere)
