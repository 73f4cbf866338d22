"""Training that starts from the exports of another test: `python starts.py FOLDER` prints as JSON what was found,
`python starts.py real NAME` the same of a registered model in the cache.

FOLDER holds the run folders `det` and `rec` with their exports in all formats, see cases.py.
"""

import json
import sys
from pathlib import Path

import numpy as np

from ocrexp.config.compose import compose, setup_hydra
from ocrexp.errors import OcrexpError

sys.path.insert(0, str(Path(__file__).parent))
from cases import DET, REC

LCNET = [
    "model=ppocrv4_rec_ctc",
    "model.backbone.scale=0.35",
    "model.backbone.conv_kxk_num=2",
    "model.neck.depth=1",
    "charset=characters",
    "charset.characters='abc12 '",
    "trainer.device=cpu",
]
OTHER_CHARSET = "charset.characters='cab9'"


def started(overrides, path, calibrate=None, charset=None):
    """The model that starts from a deployed one, or the message that refuses it."""
    from ocrexp.assemble import build_charset, build_model

    config = compose("train", [*overrides, f"model.pretrained={path}", *([charset] if charset else [])])
    try:
        return build_model(config, build_charset(config), calibrate)
    except OcrexpError as error:
        return str(error)


def outputs(model, images):
    import paddle

    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(images))[model.output].numpy()


def original(folder):
    """The evaluated weights of a run, by name."""
    import paddle

    from ocrexp.weights.reader import read_parameters

    weights = read_parameters(folder / "checkpoints/best_accuracy.pdparams")
    return {name: paddle.to_tensor(value) for name, value in weights.items()}


def branches(folder: Path) -> dict:
    """Blocks of several branches, which an export fuses: what both ways to train them give."""
    import paddle

    from ocrexp.assemble import build_charset, build_model
    from ocrexp.export.network import InferenceNetwork, trace
    from ocrexp.models.calibration import calibrate

    config = compose("train", LCNET)
    images = np.random.default_rng(2).integers(0, 255, (4, 48, 64, 3), dtype=np.uint8)
    paddle.seed(0)
    trained = build_model(config, build_charset(config))
    seen(trained, images)
    expected = outputs(trained, images)
    copy = build_model(config, build_charset(config))
    copy.set_state_dict(trained.state_dict())
    paddle.jit.save(trace(InferenceNetwork(copy), [None, 3, 48, None]), str(folder / "inference"))

    found: dict = {"moved": []}

    def measure(model, folded):
        found["naive"] = distance(with_batch_statistics(model, images), expected)
        before = outputs(model, images)
        calibrate(model, folded, [lambda: model(paddle.to_tensor(images))])
        found["moved"].append(float(np.abs(outputs(model, images) - before).max()))

    for mode in ("fused", "calibrated", "auto"):
        model = started([*LCNET, f"model.pretrained_mode={mode}"], folder, measure)
        found[mode] = float(np.abs(outputs(model, images) - expected).max())
        if mode == "fused":
            found["norms when fused"] = sum(is_norm(each) for each in model.backbone.sublayers())
    found["batch statistics"] = distance(with_batch_statistics(model, images), expected)
    found["trainable"] = set(model.state_dict()) == set(trained.state_dict())
    return found


def is_norm(layer):
    from ocrexp.models.layers import is_batch_norm

    return is_batch_norm(layer)


def seen(model, images):
    """Batch norms with the statistics of the images and scales that are not 1, as after a training on them."""
    import paddle

    rng = np.random.default_rng(1)
    norms = [layer for layer in model.sublayers() if is_norm(layer)]
    momenta = [norm._momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.weight.set_value(rng.uniform(0.8, 1.2, norm.weight.shape).astype(np.float32))
        norm.bias.set_value(rng.normal(0, 0.1, norm.bias.shape).astype(np.float32))
        norm._momentum = 0.0
        norm.train()
    with paddle.no_grad():
        model(paddle.to_tensor(images))
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm._momentum = momentum


def with_batch_statistics(model, images):
    """The outputs when batch norms have the statistics of the batch, as in training; their own stay what they are."""
    import paddle

    kept = {name: value.numpy() for name, value in model.state_dict().items()}
    model.eval()
    norms = [layer for layer in model.sublayers() if is_norm(layer)]
    for norm in norms:
        norm.train()
    with paddle.no_grad():
        y = model(paddle.to_tensor(images))[model.output].numpy()
    for norm in norms:
        norm.eval()
    model.set_state_dict({name: paddle.to_tensor(value) for name, value in kept.items()})
    return y


def distance(a, b):
    """Largest difference over the standard deviation."""
    return float(np.abs(a - b).max() / b.std())


def main(folder: Path) -> dict:
    import paddle

    found: dict = {}
    images = np.random.default_rng(0).integers(0, 255, (2, 32, 64, 3), dtype=np.uint8)
    config = compose("train", REC)
    from ocrexp.assemble import build_charset, build_model

    trained = build_model(config, build_charset(config))
    trained.set_state_dict(original(folder / "rec"))
    expected = outputs(trained, images)
    export = folder / "rec" / "inference"
    for name, path in (
        ("onnx", export / "inference.onnx"),
        ("paddle", export / "inference.json"),
        ("legacy", export / "legacy"),
        ("folder", export),
    ):
        model = started(REC, path)
        found[name] = model if isinstance(model, str) else float(np.abs(outputs(model, images) - expected).max())
    model = started(REC, export, charset=OTHER_CHARSET)
    old, new = trained.head.fc.weight.numpy(), model.head.fc.weight.numpy()
    # Class 0 is the blank; "c", "a" and "b" are classes 3, 1, 2 of "abc12 ".
    found["kept rows"] = bool((new[:, [0, 1, 2, 3]] == old[:, [0, 3, 1, 2]]).all())
    found["share"] = {part: count.share for part, count in model.coverage.parts.items()}

    # The detector's export has a batch norm less: it is in the transposed convolution before it.
    detector = build_model(compose("train", DET))
    detector.set_state_dict(original(folder / "det"))
    pages = np.random.default_rng(1).integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)
    found["det without images"] = started(DET, folder / "det" / "inference")
    taken = []

    def calibrate(model, folded):
        from ocrexp.models.calibration import calibrate

        before = outputs(model, pages)
        count = calibrate(model, folded, [lambda: model(paddle.to_tensor(pages))] * 2)
        taken.append({"folded": [each.norm for each in folded], "batches": count})
        taken[0]["moved"] = float(np.abs(outputs(model, pages) - before).max())

    model = started(DET, folder / "det" / "inference", calibrate)
    found["det"] = float(np.abs(outputs(model, pages) - outputs(detector, pages)).max())
    found["det calibrated"] = taken[0]
    norm = model.head.binarize.conv_bn2
    inputs = []
    hook = norm.register_forward_pre_hook(lambda layer, x: inputs.append(x[0].numpy()))
    with paddle.no_grad(), plain():
        model(paddle.to_tensor(pages))
    hook.remove()
    found["statistics"] = bool(np.allclose(norm._mean.numpy(), inputs[0].mean((0, 2, 3)), atol=1e-4))

    found["branches"] = branches(folder / "lcnet")
    found["another model"] = started([each for each in REC if "backbone.scale" not in each], export)
    found["another kind"] = started(REC, folder / "det" / "inference")
    found["mode"] = started([*REC, "model.pretrained_mode=fused"], export)
    found["unknown mode"] = started([*REC, "model.pretrained_mode=fast"], export)
    found["dictionary"] = started([*REC, f"model.pretrained_charset={write(folder / 'two.txt', 'a', 'b')}"], export)
    found["gone"] = started(REC, folder / "gone.onnx")
    return found


def real(name: str) -> dict:
    """Shares of the parts' values that come from a registered model."""
    from ocrexp.weights.registry import REGISTRY

    option = REGISTRY[name].models[0]
    mode = ["model.pretrained_mode=fused"] if "v4" in name or "v6" in name else []
    mode += ["model.head.fused=true"] if name == "ppocrv6_small_det" else []
    charset = ["charset=en94"] if name.endswith("_rec") else []
    model = started([f"model={option}", *mode, *charset], name)
    if isinstance(model, str):
        raise SystemExit(model)
    return {part: count.share for part, count in model.coverage.parts.items()}


def plain():
    from ocrexp.environment import untuned

    return untuned()


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    setup_hydra()
    if sys.argv[1] == "real":
        print(json.dumps(real(sys.argv[2])))
    else:
        print(json.dumps(main(Path(sys.argv[1]))))
