"""Training files in PaddleOCR's structure, for the tests of convert-config: a detector's and a recognizer's."""

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


def recognizer() -> Tree:
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


def mobile_detector(version: int) -> Tree:
    """PP-OCRv3's (3), v4's (4) or v5's (5) mobile detector, as PaddleOCR 3.x's PP-OCRvN_mobile_det.yml."""
    tree = detector()
    tree["Global"] = general(
        model_name=f"PP-OCRv{version}_mobile_det", debug=False, log_smooth_window=20, cal_metric_during_train=False,
        save_model_dir="./output", d2s_train_image_shape=[3, 640, 640], distributed=True,
    )  # fmt: skip
    lc_net = {"name": "PPLCNetV3", "scale": 0.75, "det": True}
    tree["Architecture"] |= {
        "Backbone": lc_net if version > 3 else {
            "name": "MobileNetV3", "scale": 0.5, "model_name": "large", "disable_se": True,
        },
        "Neck": {"name": "RSEFPN", "out_channels": 96, "shortcut": True},
        "Head": {"name": "DBHead", "k": 50, **({"fix_nan": True} if version > 3 else {})},
    }  # fmt: skip
    tree["Loss"] = {
        "name": "DBLoss", "balance_loss": True, "main_loss_type": "DiceLoss", "alpha": 5, "beta": 10, "ohem_ratio": 3,
    }  # fmt: skip
    steps = tree["Train"]["dataset"]["transforms"]
    if version > 3:
        steps.insert(2, {"CopyPaste": None})
        for step in steps:
            for name in ("MakeBorderMap", "MakeShrinkMap"):
                if name in step:
                    step[name]["total_epoch"] = 500
    tree["Eval"]["dataset"]["transforms"][2] = {"DetResizeForTest": None}
    return tree


def mobile_recognizer(version: int, language: str = "") -> Tree:
    """PP-OCRv3's to v5's mobile recognizer, of a language of its multi_language folder where one is named."""
    tree = recognizer()
    name, folder = f"PP-OCRv{version}_mobile_rec", "./ppocr/utils/dict/"
    dictionary = {3: f"{language or 'en'}_dict.txt", 4: "en_dict.txt"}.get(
        version, f"ppocrv5_{language}_dict.txt" if language else "ppocrv5_dict.txt"
    )
    tree["Global"] = general(
        model_name=f"{language}_{name}" if language else name, character_dict_path=folder + dictionary,
        use_space_char=True, cal_metric_during_train=True, infer_mode=False, distributed=True,
    )  # fmt: skip
    svtr = {"name": "svtr", "dims": 120, "depth": 2, "hidden_dims": 120, "kernel_size": [1, 3], "use_guide": True}
    guide: Tree = {"NRTRHead": {"nrtr_dim": 384, "max_text_length": 25}}
    backbone: Tree = {"name": "PPLCNetV3", "scale": 0.95}
    if version == 3:
        svtr = {"name": "svtr", "dims": 64, "depth": 2, "hidden_dims": 120, "use_guide": True}
        guide = {"SARHead": {"enc_dim": 512, "max_text_length": 25}}
        backbone = {
            "name": "MobileNetV1Enhance", "scale": 0.5, "last_conv_stride": [1, 2], "last_pool_type": "avg",
            "last_pool_kernel_size": [2, 2],
        }  # fmt: skip
    ctc = {"CTCHead": {"Neck": svtr, "Head": {"fc_decay": 0.00001}}}
    tree["Architecture"] = {
        "model_type": "rec", "algorithm": "SVTR_LCNet", "Transform": None, "Backbone": backbone,
        "Head": {"name": "MultiHead", "head_list": [ctc, guide]},
    }  # fmt: skip
    loss = "SARLoss" if version == 3 else "NRTRLoss"
    tree["Loss"] = {"name": "MultiLoss", "loss_config_list": [{"CTCLoss": None}, {loss: None}]}
    encode: Tree = {"MultiLabelEncode": None if version == 3 else {"gtc_encode": "NRTRLabelEncode"}}
    resize = {"RecResizeImg": {"image_shape": [3, 48, 320]}}
    con_aug = {"RecConAug": {"prob": 0.5, "ext_data_num": 2, "image_shape": [48, 320, 3], "max_text_length": 25}}
    tree["Train"]["dataset"] = dataset("train.txt", [DECODE, con_aug, {"RecAug": None}, encode], ext_op_transform_idx=1)
    tree["Eval"]["dataset"] = dataset("val.txt", [DECODE, encode, resize])
    if version == 3:
        tree["Train"]["dataset"]["transforms"].append(resize)
    else:
        tree["Train"]["dataset"] |= {"name": "MultiScaleDataSet", "ds_width": False}
        tree["Train"]["sampler"] = {
            "name": "MultiScaleSampler", "scales": [[320, 32], [320, 48], [320, 64]], "first_bs": 128, "fix_bs": False,
            "divided_factor": [8, 16], "is_training": True,
        }  # fmt: skip
        tree["Train"]["loader"]["batch_size_per_card"] = 128
    return copy.deepcopy(tree)


def server_detector(version: int) -> Tree:
    """PP-OCRv3's (3), v4's (4) or v5's (5) server detector, as PaddleOCR 3.x's PP-OCRvN_server_det.yml."""
    tree = mobile_detector(version)
    tree["Global"]["model_name"] = f"PP-OCRv{version}_server_det"
    hgnet: Tree = {"name": "PPHGNet_small" if version == 4 else "PPHGNetV2_B4", "det": True}
    local: Tree = {"name": "PFHeadLocal", "k": 50, "mode": "large", **({"fix_nan": True} if version == 4 else {})}
    tree["Architecture"] |= {
        "Backbone": hgnet if version > 3 else {"name": "ResNet_vd", "in_channels": 3, "layers": 50},
        "Neck": {"name": "LKPAN", "out_channels": 256, **({"intracl": True} if version > 3 else {})},
        "Head": local if version > 3 else {"name": "DBHead", "kernel_list": [7, 2, 2], "k": 50},
    }  # fmt: skip
    return tree


def detector_v6(size: str = "small") -> Tree:
    """PP-OCRv6's detector, as PP-OCRv6_small_det.yml."""
    tree = mobile_detector(5)
    channels = {"tiny": 64, "small": 96, "medium": 256}[size]
    large = {"name": "RepLKFPN", "out_channels": channels, "dilated_kernel_size": 7, "shortcut": True}
    tree["Global"] |= {
        "model_name": f"PP-OCRv6_{size}_det", "use_ema": True, "ema_decay": 0.9997, "ema_decay_type": "threshold",
    }  # fmt: skip
    tree["Architecture"] |= {
        "Backbone": {"name": "PPLCNetV4", "det": True, "model_size": size},
        "Neck": {"name": "RepLKPAN", "out_channels": 256, "intracl": True} if size == "medium" else large,
        "Head": {"name": "DBHead", "k": 50, "fix_nan": True, "aux_in_channels": channels},
    }  # fmt: skip
    tree["Loss"] = {
        "name": "DBLoss", "main_loss_type": "DiceFocalLoss", "alpha": 5, "beta": 10, "focal_alpha": 0.25,
        "focal_gamma": 2.5, "aux_weight_p4": 0.2, "aux_weight_p3": 0.3, "aux_weight_p2": 0.4,
    }  # fmt: skip
    tree["PostProcess"] = {
        "name": "DBPostProcess", "thresh": 0.2, "box_thresh": 0.45, "max_candidates": 3000, "unclip_ratio": 1.4,
    }  # fmt: skip
    return tree


def server_recognizer(version: int) -> Tree:
    """PP-OCRv4's (4) or v5's (5) server recognizer, as PP-OCRvN_server_rec.yml (v4: ch_PP-OCRv4_rec_hgnet.yml too)."""
    tree = mobile_recognizer(version)
    tree["Global"]["model_name"] = f"PP-OCRv{version}_server_rec"
    backbone: Tree = {"name": "PPHGNet_small"} if version == 4 else {"name": "PPHGNetV2_B4", "text_rec": True}
    tree["Architecture"] |= {"algorithm": "SVTR_HGNet", "Backbone": backbone}
    transforms = tree["Train"]["dataset"]["transforms"]
    tree["Train"]["dataset"]["transforms"] = [step for step in transforms if "RecConAug" not in step]
    return tree


def recognizer_v6(size: str = "small") -> Tree:
    """PP-OCRv6's recognizer, as PP-OCRv6_small_rec.yml and its sisters."""
    tree = mobile_recognizer(5)
    tree["Global"]["model_name"] = f"PP-OCRv6_{size}_rec"
    tree["Architecture"]["Backbone"] = {"name": "PPLCNetV4", "model_size": size}
    neck: Tree = {"name": "lightsvtr", "dims": 120, "depth": 2, "mlp_ratio": 2.0, "local_kernel": 7, "use_guide": False}
    head: Tree = {"fc_decay": 0.00001}
    if size == "tiny":
        neck, head = {"name": "reshape"}, {"mid_channels": 80, "use_guide": True, "fc_decay": 0.00001}
    elif size == "medium":
        neck |= {"dims": 192, "mlp_ratio": 4.0}
    dim = 512 if size == "medium" else 384
    tree["Architecture"]["Head"]["head_list"] = [
        {"CTCHead": {"Neck": neck, "Head": head}}, {"NRTRHead": {"nrtr_dim": dim, "max_text_length": 25}},
    ]  # fmt: skip
    return tree


# Recognizers for text in scenes, after PaddleOCR 2.10's configs/rec: architecture, loss, names of label encoder and
# decoder, resize, keys of the label encoder, Global.
SCENES: dict[str, dict[str, Any]] = {
    "cppd": {
        "Architecture": {
            "model_type": "rec", "algorithm": "CPPD", "Transform": None,
            "Backbone": {
                "name": "SVTRNet", "img_size": [32, 100], "patch_merging": "Conv", "embed_dim": [128, 256, 384],
                "depth": [6, 6, 4], "num_heads": [4, 8, 12], "mixer": ["Conv"] * 8 + ["Global"] * 10,
                "local_mixer": [[5, 5], [5, 5], [5, 5]], "last_stage": False, "prenorm": True,
            },
            "Head": {"name": "CPPDHead", "dim": 384, "vis_seq": 50, "num_layer": 3},
        },
        "Loss": {"name": "CPPDLoss", "ignore_index": 100, "smoothing": True, "sideloss_weight": 1.0},
        "coder": "CPPD", "encoder": {"ignore_index": 100},
        "resize": {"SVTRRecResizeImg": {"image_shape": [3, 32, 100], "padding": False}},
    },
    "abinet": {
        "Architecture": {
            "model_type": "rec", "algorithm": "ABINet", "in_channels": 3, "Transform": None,
            "Backbone": {"name": "ResNet45"}, "Head": {"name": "ABINetHead", "use_lang": True, "iter_size": 3},
        },
        "Loss": {"name": "CELoss", "ignore_index": 100},
        "coder": "ABINet", "encoder": {"ignore_index": 100}, "img_mode": "RGB",
        "resize": {"ABINetRecResizeImg": {"image_shape": [3, 32, 128]}},
    },
    "satrn": {
        "Architecture": {
            "model_type": "rec", "algorithm": "SATRN",
            "Backbone": {"name": "ShallowCNN", "in_channels": 3, "hidden_dim": 256},
            "Head": {
                "name": "SATRNHead",
                "enc_cfg": {
                    "n_layers": 6, "n_head": 8, "d_k": 32, "d_v": 32, "d_model": 256, "n_position": 100,
                    "d_inner": 1024, "dropout": 0.1,
                },
                "dec_cfg": {
                    "n_layers": 6, "d_embedding": 256, "n_head": 8, "d_model": 256, "d_inner": 1024, "d_k": 32,
                    "d_v": 32, "max_seq_len": 25, "start_idx": 91,
                },
            },
        },
        "Loss": {"name": "SATRNLoss"},
        "coder": "SATRN", "resize": {"SVTRRecResizeImg": {"image_shape": [3, 32, 100], "padding": False}},
    },
    "rfl": {
        "Architecture": {
            "model_type": "rec", "algorithm": "RFL", "in_channels": 1,
            "Transform": {"name": "TPS", "num_fiducial": 20, "loc_lr": 1.0, "model_name": "large"},
            "Backbone": {"name": "ResNetRFL", "use_cnt": True, "use_seq": True},
            "Neck": {"name": "RFAdaptor", "use_v2s": True, "use_s2v": True},
            "Head": {
                "name": "RFLHead", "in_channels": 512, "hidden_size": 256, "batch_max_legnth": 25, "out_channels": 38,
                "use_cnt": True, "use_seq": True,
            },
        },
        "Loss": {"name": "RFLLoss"},
        "coder": "RFL",
        "resize": {"RFLRecResizeImg": {"image_shape": [1, 32, 100], "padding": False, "interpolation": 2}},
    },
    "spin": {
        "Architecture": {
            "model_type": "rec", "algorithm": "SPIN", "in_channels": 1,
            "Transform": {"name": "GA_SPIN", "offsets": True, "default_type": 6, "loc_lr": 0.1, "stn": True},
            "Backbone": {"name": "ResNet32", "out_channels": 512},
            "Neck": {
                "name": "SequenceEncoder", "encoder_type": "cascadernn", "hidden_size": 256, "out_channels": [256, 512],
                "with_linear": True,
            },
            "Head": {"name": "SPINAttentionHead", "hidden_size": 256},
        },
        "Loss": {"name": "SPINAttentionLoss", "ignore_index": 0},
        "coder": "SPIN", "decoder": {"use_space_char": False},
        "resize": {
            "SPINRecResizeImg": {"image_shape": [100, 32], "interpolation": 2, "mean": [127.5], "std": [127.5]},
        },
    },
}  # fmt: skip


def scene_recognizer(name: str) -> Tree:
    """One of `SCENES` as a training file."""
    parts = copy.deepcopy(SCENES[name])
    tree = recognizer()
    tree |= {"Architecture": parts["Architecture"], "Loss": parts["Loss"]}
    tree["Global"] |= {"max_text_length": 25, **parts.get("Global", {})}
    tree["PostProcess"] = {"name": f"{parts['coder']}LabelDecode", **parts.get("decoder", {})}
    for part in ("Train", "Eval"):
        decode = {"DecodeImage": {"img_mode": parts.get("img_mode", "BGR"), "channel_first": False}}
        steps = [decode, {f"{parts['coder']}LabelEncode": parts.get("encoder")}, parts["resize"]]
        tree[part]["dataset"]["transforms"] = copy.deepcopy(steps)
    return tree
