"""`python -m ocrexp.export.legacy JOB FOLDER`: Paddle 2's format, with FLAGS_enable_pir_api=0 set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(job: Path, folder: Path) -> None:
    """Build the network that the job describes and save it."""
    from omegaconf import OmegaConf

    from ocrexp.config.compose import register_resolvers
    from ocrexp.logs import import_paddle

    import_paddle()
    import paddle

    from ocrexp.assemble import assemble
    from ocrexp.charset.saved import from_saved
    from ocrexp.export.formats import STEM
    from ocrexp.export.network import InferenceNetwork, input_shape, trace
    from ocrexp.export.trained import Trained

    register_resolvers()
    paddle.device.set_device("cpu")
    content = json.loads(job.read_text(encoding="utf-8"))
    charset = None if content["charset"] is None else from_saved(content["charset"], str(job))
    config = OmegaConf.create(content["config"])
    trained = Trained(assemble(config, weights=Path(content["weights"]), charset=charset))
    model = trained.model()
    shape = input_shape(model, config, trained.task)
    network = InferenceNetwork(model)
    _write_as_old_operators("sigmoid", "tanh", "gelu")
    _fill_empty_buffers(network)
    paddle.jit.save(trace(network, shape), str(folder / STEM))


def _fill_empty_buffers(network: Any) -> None:
    """Initialize the dropout state of LSTMs: paddle cannot trace a tensor without memory."""
    import paddle

    for layer in network.sublayers(include_self=True):
        for name, value in layer.named_buffers(include_sublayers=False):
            if not value._is_initialized():
                layer.register_buffer(name, paddle.zeros([1], dtype=value.dtype), persistable=False)


def _write_as_old_operators(*names: str) -> None:
    """Replace functions of paddle 3.3 that no longer support the graphs of Paddle 2: these append the operator."""
    from paddle.base.layer_helper import LayerHelper
    from paddle.nn import functional

    def function(operator: str) -> Callable[[Any], Any]:
        def appended(x: Any) -> Any:
            helper = LayerHelper(operator)
            out = helper.create_variable_for_type_inference(dtype=x.dtype)
            helper.append_op(type=operator, inputs={"X": [x]}, outputs={"Out": [out]})
            return out

        return appended

    for name in names:
        setattr(functional, name, function(name))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
