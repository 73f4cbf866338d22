"""Training files in PaddleOCR's structure, for the tests of convert-config: a detector's and a recogniser's."""

import copy
from pathlib import Path
from typing import Any

import yaml

Tree = dict[str, Any]
DECODE = {"DecodeImage": {"img_mode": "BGR", "channel_first": False}}


def general(**more: Any) -> Tree:
    """The section Global."""
    return {
        "use_gpu": False, "epoch_num": 6, "print_batch_step": 4, "save_epoch_step": 2, "eval_batch_step": [0, 40],
        "pretrained_model": None, "checkpoints": None, **more,
    }  # fmt: skip


def optimizer(**lr: Any) -> Tree:
    """The section Optimizer, with Adam."""
    return {
        "name": "Adam", "beta1": 0.9, "beta2": 0.99, "lr": {"learning_rate": 0.002, **lr},
        "regularizer": {"name": "L2", "factor": 1e-5},
    }  # fmt: skip


def dataset(label: str, transforms: list[Any], folder: str = "pages/", **more: Any) -> Tree:
    """The section dataset of Train or Eval."""
    return {
        "name": "SimpleDataSet", "data_dir": folder, "label_file_list": [f"pages/{label}"], "transforms": transforms,
        **more,
    }  # fmt: skip


def loader(size: int, **more: Any) -> Tree:
    """The section loader of Train or Eval."""
    return {"shuffle": True, "drop_last": False, "batch_size_per_card": size, "num_workers": 3, **more}


def detector() -> Tree:
    """DB with MobileNetV3."""
    train = [
        DECODE,
        {"DetLabelEncode": None},
        {"IaaAugment": {"augmenter_args": [
            {"type": "Fliplr", "args": {"p": 0.25}},
            {"type": "Affine", "args": {"rotate": [-7, 7]}},
            {"type": "Resize", "args": {"size": [0.6, 2]}},
        ]}},
        {"EastRandomCropData": {"size": [320, 256], "max_tries": 20, "keep_ratio": True}},
        {"MakeBorderMap": {"shrink_ratio": 0.5, "thresh_min": 0.2, "thresh_max": 0.8}},
        {"MakeShrinkMap": {"shrink_ratio": 0.5, "min_text_size": 6}},
        {"ToCHWImage": None},
        {"KeepKeys": {"keep_keys": ["image", "shrink_map"]}},
    ]  # fmt: skip
    evaluation = [DECODE, {"DetLabelEncode": None}, {"DetResizeForTest": {"limit_side_len": 960, "limit_type": "max"}}]
    return copy.deepcopy({
        "Global": general(),
        "Architecture": {
            "model_type": "det", "algorithm": "DB", "Transform": None,
            "Backbone": {"name": "MobileNetV3", "scale": 0.5, "model_name": "large"},
            "Neck": {"name": "DBFPN", "out_channels": 64}, "Head": {"name": "DBHead", "k": 40},
        },
        "Loss": {"name": "DBLoss", "alpha": 4, "beta": 8, "ohem_ratio": 2},
        "Optimizer": optimizer(),
        "PostProcess": {"name": "DBPostProcess", "thresh": 0.2, "unclip_ratio": 1.7},
        "Metric": {"name": "DetMetric", "main_indicator": "hmean"},
        "Train": {"dataset": dataset("train.txt", train), "loader": loader(5)},
        "Eval": {"dataset": dataset("val.txt", evaluation), "loader": loader(1)},
    })  # fmt: skip


def recogniser() -> Tree:
    """CRNN with MobileNetV3."""
    resize = {"RecResizeImg": {"image_shape": [3, 32, 128]}}
    steps = [DECODE, {"CTCLabelEncode": None}, resize, {"KeepKeys": {"keep_keys": ["image", "label", "length"]}}]
    steps_of = [copy.deepcopy(steps) for _ in range(2)]
    return copy.deepcopy({
        "Global": general(character_dict_path=None, max_text_length=20, use_space_char=False),
        "Architecture": {
            "model_type": "rec", "algorithm": "CRNN", "Transform": None,
            "Backbone": {"name": "MobileNetV3", "scale": 0.5, "model_name": "large"},
            "Neck": {"name": "SequenceEncoder", "encoder_type": "rnn", "hidden_size": 48},
            "Head": {"name": "CTCHead", "fc_decay": 0.001},
        },
        "Loss": {"name": "CTCLoss"},
        "Optimizer": optimizer(name="Cosine", warmup_epoch=1),
        "PostProcess": {"name": "CTCLabelDecode"},
        "Metric": {"name": "RecMetric", "main_indicator": "acc"},
        "Train": {"dataset": dataset("train.txt", steps_of[0]), "loader": loader(5)},
        "Eval": {"dataset": dataset("val.txt", steps_of[1]), "loader": loader(2)},
    })  # fmt: skip


def write(folder: Path, tree: Tree, name: str = "source.yml") -> Path:
    """Write a tree as a YAML file."""
    path = folder / name
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def put(tree: Tree, key: str, value: Any) -> Tree:
    """The tree with one key (dotted; a number is a place in a list) set to a value."""
    node: Any = tree
    *parents, last = key.split(".")
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[int(last) if isinstance(node, list) else last] = value
    return tree
