"""Shipped models with random weights as static graphs: `python models.py FOLDER NAME …` prints, as JSON, by name the
input's shape and the greatest difference between the trained model and each exported format, or why there is none."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from ocrexp.config.compose import compose, setup_hydra
from ocrexp.environment import prepare
from ocrexp.errors import ConfigError

# Fewer layers where there are many: the operators are the same.
SMALLER = {
    "ppocrv4_rec": ["model.backbone.scale=0.35"],
    "rare_mbv3": ["model.head.max_text_length=6"],
    "vitstr_tiny": ["+model.backbone.depth=2"],
    "svtr_tiny": [
        "model.backbone.depth=[1,2,1]",
        "model.backbone.mixer=[Local,Local,Global,Global]",
        "model.transform.num_control_points=10",
    ],
    "svtrv2_tiny": [
        "model.backbone.embed_dim=[16,32,64]",
        "model.backbone.depth=[1,2,1]",
        "model.backbone.conv_blocks=[1,1,0]",
    ],
    "svtrv2_ch": [
        "model.backbone.embed_dim=[16,32,64]",
        "model.backbone.depth=[1,2,1]",
        "model.backbone.conv_blocks=[1,1,0]",
        "model.backbone.num_heads=[1,2,4]",
    ],
    "ppocrv4_det_server": ["model/backbone=mobilenetv3_small_x0_5", "model.neck.out_channels=32"],
    "parseq": ["model.backbone.depth=2", "model.head.max_text_length=5"],
    "abinet": [
        "model.head.num_layers=1",
        "model.head.dim_feedforward=64",
        "model.head.iter_size=2",
        "model.head.max_text_length=5",
    ],
    "satrn": [
        "model.backbone.hidden_dim=32",
        *(f"model.head.{part}_{key}" for part in ("enc", "dec") for key in ("layers=1", "heads=2", "inner=64")),
        "model.head.max_text_length=5",
    ],
    "rfl": ["model.backbone.out_channels=32", "model.head.hidden_size=16", "model.head.max_text_length=5"],
    "spin": [
        "model.backbone.out_channels=32",
        "model.neck.hidden_size=16",
        "model.neck.out_channels=[16,24]",
        "model.head.max_text_length=5",
    ],
    "cppd": [
        "model.backbone.embed_dim=[32,64,64]",
        "model.backbone.depth=[1,1,1]",
        "model.backbone.num_heads=[1,2,2]",
        "model.backbone.mixer=[Conv,Conv,Global]",
        "model.head.num_layer=1",
    ],
    "srn": [
        "model.backbone.layers=18",
        "model.image_shape=[32,64]",
        "model.head.n_position=32",
        "model.head.num_encoder_TUs=1",
        "model.head.num_decoder_TUs=1",
        "model.head.max_text_length=5",
    ],
    "pren": ["model.neck.n_r=2", "model.neck.d_model=24", "model.neck.max_len=5"],
    "robustscanner": [
        "model/backbone=rec_mobilenetv3_small_x0_35",
        "model.head.mask=false",
        "model.head.max_text_length=5",
    ],
    "seed": [
        "model.backbone.with_lstm=false",
        "model.head.hidden_size=32",
        "model.head.attention_size=32",
        "model.head.max_text_length=5",
        "model.transform.num_control_points=10",
    ],
    "visionlan": [
        "model/backbone=rec_mobilenetv3_small_x0_35",
        "~model.backbone.strides",
        "model.image_shape=[32,64]",
        "model.head.n_position=16",
        "model.head.n_layers=1",
        "model.head.max_text_length=5",
    ],
    "nrtr": ["model.head.num_encoder_layers=1", "model.head.num_decoder_layers=1", "model.head.max_text_length=5"],
}
WIDTHS = (96, 160)


def differences(name: str, folder: Path) -> dict:
    import paddle

    from ocrexp.deploy.backends.opening import open_backend
    from ocrexp.export.network import InferenceNetwork, input_shape, trace
    from ocrexp.tasks.find import find_task

    config = compose("train", [f"model={name}", *([] if "det" in name else ["charset=en36"]), *smaller(name)])
    model, copy = built(config), built(config)
    copy.set_state_dict(model.state_dict())
    task = find_task(config.task)
    shape = input_shape(model, config, task)
    try:
        network = InferenceNetwork(copy)
    except ConfigError as error:
        return {"refused": str(error)}
    folder.mkdir()
    paddle.jit.save(trace(network, shape), str(folder / "inference"))
    convert(folder)
    kind = model.output
    found = {}
    for backend in ("paddle", "onnx"):
        runner = open_backend(folder, backend)
        worst = 0.0
        for count, width in enumerate(WIDTHS, 1):
            size = [count, shape[1], shape[2] or 64, shape[3] or width]
            x = np.random.default_rng(width).normal(size=size).astype(np.float32)
            with paddle.no_grad():
                outputs = {key: value.numpy() for key, value in model(paddle.to_tensor(x)).items()}
            expected, got = task.comparable(outputs, runner.run(x), kind)
            worst = max(worst, float(np.abs(expected - got).max()) if expected.shape == got.shape else float("inf"))
        found[backend] = worst
    return {"shape": shape, "parameters": len(copy.state_dict()), "of": len(model.state_dict()), **found}


def smaller(name: str) -> list[str]:
    return SMALLER.get(name, [])


def built(config):
    """Random weights, and batch norms that have seen a batch: without, the maps of deep networks grow beyond sense."""
    import paddle

    from ocrexp.assemble import build_charset, build_model
    from ocrexp.export.network import input_shape
    from ocrexp.tasks.find import find_task

    paddle.seed(0)
    model = build_model(config, build_charset(config))
    model.eval()
    norms = [layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    for norm in norms:
        norm._momentum = 0.0
        norm.train()
    shape = input_shape(model, config, find_task(config.task))
    x = np.random.default_rng(0).normal(size=[4, shape[1], shape[2] or 64, shape[3] or 96]).astype(np.float32)
    with paddle.no_grad():
        model(paddle.to_tensor(x))
    model.eval()
    return model


def convert(folder: Path) -> None:
    from ocrexp.export.formats import OPSET

    stem = str(folder / "inference")
    to_onnx(f"{stem}.json", f"{stem}.pdiparams", f"{stem}.onnx", str(OPSET))


def to_onnx(*arguments: str) -> None:
    """paddle2onnx in this process; what it prints goes to the error stream."""
    from ocrexp.export.to_onnx import main

    said = os.dup(1)
    os.dup2(2, 1)
    try:
        main(*arguments[:3], int(arguments[3]))
    finally:
        os.dup2(said, 1)
        os.close(said)


if __name__ == "__main__":
    setup_hydra()
    prepare()
    place, *names = sys.argv[1:]
    found = {}
    for name in names:
        began = time.perf_counter()
        found[name] = differences(name, Path(place) / name)
        print(f"{name}: {time.perf_counter() - began:.1f} s", file=sys.stderr)
    print(json.dumps(found))
