"""Runs and exports for the tests, in a process of their own.

`python cases.py make FOLDER LISTS WORDS` writes the run folders `det` and `rec` (random weights, nothing is trained),
exports them and prints a JSON object of what it found. `python cases.py spoil FOLDER` exports them again with something
wrong each time, and prints a JSON object of exit codes.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from ocrexp.config.compose import compose, setup_hydra
from ocrexp.runs.hooks import prepare_process

sys.path.insert(0, str(Path(__file__).parent))
from models import to_onnx

DET = [
    "dataset=det_list",
    "model/backbone=mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35",
    "model.neck.out_channels=16",
    "preprocess.resize.limit_side_len=128",
    "preprocess.resize.limit_type=max",
    "postprocess.thresh=0.5",
    "postprocess.box_thresh=0.3",
    "trainer.device=cpu",
]
REC = [
    "model=crnn_mbv3",
    "model/backbone=rec_mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35",
    "model.neck.hidden_size=16",
    "model.image_shape=[32,64]",
    "model/auxiliary=ctc",
    "preprocess.resize.widen=true",
    "charset=characters",
    "charset.characters='abc12 '",
    "dataset=rec_list",
    "trainer.device=cpu",
]


def make(folder: Path, lists: str, words: str) -> None:
    for name, overrides, root in (("det", DET, lists), ("rec", REC, words)):
        config = compose("train", [*overrides, f"dataset.root={root}", f"run_dir={folder / name}", "seed=3"])
        prepare_process(config)
        write_run(config, folder / name)


def write_run(config, run_dir: Path) -> None:
    """A run folder whose best weights are averaged ones, and whose latest has the average beside other weights."""
    import paddle

    from ocrexp.assemble import build_charset, build_model
    from ocrexp.config.frozen import JobInfo, write_job
    from ocrexp.engine.checkpoint import CheckpointStore

    run_dir.mkdir(parents=True)
    write_job(run_dir, config, JobInfo("test"))
    charset = build_charset(config)
    paddle.seed(int(config.seed))
    model = build_model(config, charset)
    rng = np.random.default_rng(0)
    for name, value in model.state_dict().items():
        if name.endswith(("_mean", "_variance")):
            spread = rng.normal(size=value.shape) * 0.1 + (0.0 if name.endswith("_mean") else 1.0)
            value.set_value((np.abs(spread) if name.endswith("_variance") else spread).astype(np.float32))
    last = model.head.binarize.conv3 if config.task == "det" else model.head.fc
    # Outputs all over 0..1: no threshold or tie is decided by rounding.
    if config.task == "rec":
        last.weight.set_value(last.weight * 40.0)
    if config.task == "det":  # blocks in place of a grid of single pixels, so that there are regions
        for layer in (model.head.binarize.conv2, last):
            layer.weight.set_value(layer.weight.mean([2, 3], keepdim=True).expand(layer.weight.shape))
        model.eval()
        with paddle.no_grad():
            map_ = model(paddle.to_tensor(rng.integers(0, 255, (1, 128, 128, 3), dtype=np.uint8)))["maps"].numpy()
        logits = np.log(map_) - np.log1p(-map_)
        last.weight.set_value(last.weight * (3.0 / float(logits.std())))
        last.bias.set_value((last.bias - float(logits.mean())) * (3.0 / float(logits.std())))
    weights = model.state_dict()
    states = {
        "epoch": 2,
        "global_step": 7,
        "best_model_dict": {"hmean" if config.task == "det" else "accuracy": 0.5, "best_step": 7},
        "weights": "average",
        "average": None,
        "extras": {"charset": None if charset is None else charset.saved()},
    }
    store = CheckpointStore(run_dir)
    store.save("best_accuracy", weights, {}, states)
    average = {name: value.numpy() for name, value in weights.items()}
    raw = {name: value * 0.5 if value.is_floating_point() else value for name, value in weights.items()}
    store.save("latest", raw, {}, {**states, "weights": "raw", "average": average})


def export(folder: Path, *arguments: str) -> int:
    from ocrexp.__main__ import main

    return main(["export", f"run_dir={folder}", *arguments])


def export_all(folder: Path) -> dict[str, float]:
    """Exit codes, and how far the export of `latest` is from that of the best weights."""
    from ocrexp.export import formats

    in_child = formats._in_child

    def once_imported(module: str, arguments: list[str], *more) -> None:  # paddle2onnx here, the older format there
        if module == "ocrexp.export.to_onnx":
            to_onnx(*arguments)
        else:
            in_child(module, arguments, *more)

    formats._in_child = once_imported
    codes: dict[str, float] = {name: export(folder / name, "export.format=all") for name in ("det", "rec")}
    best, latest = folder / "rec" / "inference", folder / "latest"
    arguments = ["checkpoint=latest", f"export.dir={latest}", "export.format=paddle"]
    codes["latest"] = export(folder / "rec", *arguments, f"dataset.root={folder / 'gone'}")

    from ocrexp.deploy.backends.opening import open_backend

    x = np.random.default_rng(0).normal(size=(2, 3, 32, 96)).astype(np.float32)
    one, other = (open_backend(place, "paddle").run(x) for place in (best, latest))
    codes["latest_differs_by"] = float(np.abs(one - other).max())
    return codes


def spoil(folder: Path) -> dict[str, int]:
    """What must not pass the gate. The good export's files stand in for those that would be written again."""
    import ocrexp.commands.export as verb
    import ocrexp.export.describe as describe

    honest_writer, honest_description = verb.write_formats, describe.describe_export
    codes = {}

    def again(trained, description, folders):
        for name, place in folders.items():
            good = Path(trained.config.run_dir) / "inference"
            place.mkdir(exist_ok=True)
            for file in good.glob("inference.*"):
                if (file.suffix == ".onnx") == (name == "onnx") and file.suffix != ".yml":
                    shutil.copy(file, place)

    def described(**changes):
        def describe_wrongly(*arguments):
            return dataclasses.replace(honest_description(*arguments), **changes)

        return describe_wrongly

    def case(name, run, writer=again, description=honest_description, *arguments):
        verb.write_formats, describe.describe_export = writer, description
        target = folder / f"spoilt_{name}"
        codes[name] = export(folder / run, f"export.dir={target}", "export.format=onnx", *arguments)

    def other_weights(trained, description, folders):
        import onnx
        from onnx import numpy_helper

        again(trained, description, folders)
        path = folders["onnx"] / "inference.onnx"
        model = onnx.load(str(path))
        largest = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        changed = numpy_helper.from_array(numpy_helper.to_array(largest) * np.float32(1.1), largest.name)
        largest.CopyFrom(changed)
        onnx.save(model, str(path))

    case("nothing", "rec")
    case("weights", "det", other_weights)
    case("mean", "det", again, described(mean=(0.3, 0.3, 0.3)))
    case("resize", "det", again, described(resize={"kind": "DetResize", "limit_side_len": 96, "limit_type": "max"}))
    case("dictionary", "rec", again, shuffled(honest_description))
    verb.write_formats, describe.describe_export = honest_writer, honest_description
    return codes


def shuffled(honest):
    def describe_wrongly(*arguments):
        from ocrexp.charset.charset import Charset

        good = honest(*arguments)
        characters = tuple(reversed(good.characters))
        fingerprint = Charset(characters, "drop").fingerprint  # the list agrees with itself, not with the network
        own = {**good.ocrexp, "charset": {**good.ocrexp["charset"], "fingerprint": fingerprint}}
        return dataclasses.replace(good, characters=characters, ocrexp=own)

    return describe_wrongly


if __name__ == "__main__":
    setup_hydra()
    what, place, *rest = sys.argv[1:]
    if what == "make":
        make(Path(place), *rest)
        print(json.dumps(export_all(Path(place))))
    else:
        print(json.dumps(spoil(Path(place))))
