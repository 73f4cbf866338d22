"""Training files in PaddleOCR's structure of the detectors beside DB, with the values of its files of these names."""

import copy
from typing import Any

from tests.config.paddleocr_files import DECODE, Tree, dataset, general, loader

_LABEL: Tree = {"DetLabelEncode": None}
_JITTER = {"ColorJitter": {"brightness": 0.12549019607843137, "saturation": 0.5}}
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_NORMALIZE: Tree = {"NormalizeImage": {"scale": "1./255.", "order": "hwc", **_IMAGENET}}
_RGB: Tree = {"DecodeImage": {"img_mode": "RGB", "channel_first": False}}


def _file(
    architecture: Tree,
    loss: Tree,
    postprocess: Tree,
    train: list[Any],
    evaluation: list[Any],
    metric: str = "DetMetric",
    **more: Tree,
) -> Tree:
    tree = {
        "Global": general(cal_metric_during_train=False),
        "Architecture": {"model_type": "det", "Transform": None, **architecture},
        "Loss": loss,
        "Optimizer": {"name": "Adam", "beta1": 0.9, "beta2": 0.999, "lr": {"learning_rate": 0.001},
                      "regularizer": {"name": "L2", "factor": 0}},
        "PostProcess": postprocess,
        "Metric": {"name": metric, "main_indicator": "hmean"},
        "Train": {"dataset": dataset("train.txt", train), "loader": loader(8)},
        "Eval": {"dataset": dataset("val.txt", evaluation), "loader": loader(1)},
        **more,
    }  # fmt: skip
    return copy.deepcopy(tree)


def _evaluated(**resize: Any) -> list[Any]:
    return [DECODE, _LABEL, {"DetResizeForTest": resize}, _NORMALIZE, {"ToCHWImage": None}]


def dbpp() -> Tree:
    """det_r50_db++_icdar15.yml."""
    mean = [0.48109378172549, 0.45752457890196, 0.40787054090196]
    normalize = {"NormalizeImage": {"scale": "1./255.", "mean": mean, "std": [1.0, 1.0, 1.0], "order": "hwc"}}
    flip, turn = {"type": "Fliplr", "args": {"p": 0.5}}, {"type": "Affine", "args": {"rotate": [-10, 10]}}
    augmenters = [flip, turn, {"type": "Resize", "args": {"size": [0.5, 3]}}]
    return _file(
        {
            "algorithm": "DB++",
            "Backbone": {"name": "ResNet", "layers": 50, "dcn_stage": [False, True, True, True]},
            "Neck": {"name": "DBFPN", "out_channels": 256, "use_asf": True},
            "Head": {"name": "DBHead", "k": 50},
        },
        {"name": "DBLoss", "balance_loss": True, "main_loss_type": "BCELoss", "alpha": 5, "beta": 10, "ohem_ratio": 3},
        {"name": "DBPostProcess", "thresh": 0.3, "box_thresh": 0.6, "max_candidates": 1000, "unclip_ratio": 1.5},
        [
            DECODE, _LABEL, {"IaaAugment": {"augmenter_args": augmenters}},
            {"EastRandomCropData": {"size": [640, 640], "max_tries": 10, "keep_ratio": True}},
            {"MakeShrinkMap": {"shrink_ratio": 0.4, "min_text_size": 8}},
            {"MakeBorderMap": {"shrink_ratio": 0.4, "thresh_min": 0.3, "thresh_max": 0.7}}, normalize,
        ],
        [DECODE, _LABEL, {"DetResizeForTest": {"image_shape": [1152, 2048]}}, normalize],
        Optimizer={
            "name": "Momentum", "momentum": 0.9, "weight_decay": 0.0001,
            "lr": {"name": "DecayLearningRate", "learning_rate": 0.007, "epochs": 1000, "factor": 0.9, "end_lr": 0},
        },
    )  # fmt: skip


def pse(mobile: bool) -> Tree:
    """det_mv3_pse.yml, with its range in parentheses as YAML reads it in braces, or det_r50_vd_pse.yml."""
    flip, turn = {"type": "Fliplr", "args": {"p": 0.5}}, {"type": "Affine", "args": {"rotate": [-10, 10]}}
    scale: Tree = {"type": "Resize", "args": {"size": [0.5, 3]}}
    if mobile:
        scale = {"type": "RandomScale", "args": {"scale_limit": "( 0.5", "3 )": None}}
        flip["type"] = "HorizontalFlip"
    width = 96 if mobile else 256
    backbone = {"name": "MobileNetV3", "scale": 0.5, "model_name": "large"}
    return _file(
        {
            "algorithm": "PSE",
            "Backbone": backbone if mobile else {"name": "ResNet_vd", "layers": 50},
            "Neck": {"name": "FPN", "out_channels": width},
            "Head": {"name": "PSEHead", "hidden_dim": width, "out_channels": 7},
        },
        {"name": "PSELoss", "alpha": 0.7, "ohem_ratio": 3, "kernel_sample_mask": "pred", "reduction": "none"},
        {"name": "PSEPostProcess", "thresh": 0, "box_thresh": 0.85, "min_area": 16, "box_type": "quad", "scale": 1},
        [
            DECODE, _LABEL, _JITTER, {"IaaAugment": {"augmenter_args": [scale, flip, turn]}},
            {"MakePseGt": {"kernel_num": 7, "min_shrink_ratio": 0.4, "size": 640}},
            {"RandomCropImgMask": {"size": [640, 640], "main_key": "gt_text", "crop_keys": ["image", "mask"]}},
            _NORMALIZE,
        ],
        _evaluated(limit_side_len=736, limit_type="min"),
    )  # fmt: skip


def east(mobile: bool) -> Tree:
    """det_mv3_east.yml or det_r50_vd_east.yml."""
    size = "small" if mobile else "large"
    backbone = {"name": "MobileNetV3", "scale": 0.5, "model_name": "large"}
    train = {"image_shape": [512, 512], "background_ratio": 0.125, "min_crop_side_ratio": 0.1, "min_text_size": 10}
    return _file(
        {
            "algorithm": "EAST",
            "Backbone": backbone if mobile else {"name": "ResNet_vd", "layers": 50},
            "Neck": {"name": "EASTFPN", "model_name": size},
            "Head": {"name": "EASTHead", "model_name": size},
        },
        {"name": "EASTLoss"},
        {"name": "EASTPostProcess", "score_thresh": 0.8, "cover_thresh": 0.1, "nms_thresh": 0.2},
        [DECODE, _LABEL, {"EASTProcessTrain": train}],
        _evaluated(limit_side_len=2400, limit_type="max"),
    )


def sast() -> Tree:
    """det_r50_vd_sast_totaltext.yml."""
    train = {
        "image_shape": [512, 512], "min_crop_side_ratio": 0.3, "min_crop_size": 24, "min_text_size": 4,
        "max_text_size": 512,
    }  # fmt: skip
    return _file(
        {
            "algorithm": "SAST",
            "Backbone": {"name": "ResNet_SAST", "layers": 50},
            "Neck": {"name": "SASTFPN", "with_cab": True},
            "Head": {"name": "SASTHead"},
        },
        {"name": "SASTLoss"},
        {"name": "SASTPostProcess", "score_thresh": 0.5, "sample_pts_num": 6, "nms_thresh": 0.2, "expand_scale": 1.2,
         "shrink_ratio_of_width": 0.2},
        [DECODE, _LABEL, {"SASTProcessTrain": train}],
        _evaluated(resize_long=768),
    )  # fmt: skip


def ct() -> Tree:
    """det_r18_vd_ct.yml."""
    tree = _file(
        {
            "algorithm": "CT",
            "Backbone": {"name": "ResNet_vd", "layers": 18},
            "Neck": {"name": "CTFPN"},
            "Head": {"name": "CT_Head", "in_channels": 512, "hidden_dim": 128, "num_classes": 3},
        },
        {"name": "CTLoss"},
        {"name": "CTPostProcess", "box_type": "poly"},
        [
            _RGB, {"CTLabelEncode": None}, {"RandomScale": None}, {"MakeShrink": None},
            {"GroupRandomHorizontalFlip": None}, {"GroupRandomRotate": None}, {"GroupRandomCropPadding": None},
            {"MakeCentripetalShift": None}, {"ColorJitter": {"brightness": 0.125, "saturation": 0.5}},
            {"ToCHWImage": None}, {"NormalizeImage": None},
        ],
        [_RGB, {"CTLabelEncode": None}, {"ScaleAlignedShort": None}, {"NormalizeImage": {"order": "hwc"}}],
        "CTMetric",
    )  # fmt: skip
    tree["Metric"] = {"name": "CTMetric", "file": "./Test.list", "main_indicator": "f_score"}
    tree["Optimizer"]["lr"] = {
        "name": "Linear", "learning_rate": 0.001, "end_lr": 0.0, "epochs": 600, "step_each_epoch": 1254, "power": 0.9
    }  # fmt: skip
    return tree


def fce() -> Tree:
    """det_r50_vd_dcn_fce_ctw.yml."""
    decode = {"DecodeImage": {"img_mode": "BGR", "channel_first": False, "ignore_orientation": True}}
    resize = {"DetResizeForTest": {"limit_type": "min", "limit_side_len": 736}}
    return _file(
        {
            "algorithm": "FCE",
            "Backbone": {"name": "ResNet_vd", "layers": 50, "dcn_stage": [False, True, True, True],
                         "out_indices": [1, 2, 3]},
            "Neck": {"name": "FCEFPN", "out_channels": 256, "has_extra_convs": False, "extra_stage": 0},
            "Head": {"name": "FCEHead", "fourier_degree": 5},
        },
        {"name": "FCELoss", "fourier_degree": 5, "num_sample": 50},
        {"name": "FCEPostProcess", "scales": [8, 16, 32], "alpha": 1.0, "beta": 1.0, "fourier_degree": 5,
         "box_type": "poly"},
        [
            decode, _LABEL, {"ColorJitter": {"brightness": 0.142, "saturation": 0.5, "contrast": 0.5}},
            {"RandomScaling": None}, {"RandomCropFlip": {"crop_ratio": 0.5}},
            {"RandomCropPolyInstances": {"crop_ratio": 0.8, "min_side_ratio": 0.3}},
            {"RandomRotatePolyInstances": {"rotate_ratio": 0.5, "max_angle": 30, "pad_with_fixed_color": False}},
            {"SquareResizePad": {"target_size": 800, "pad_ratio": 0.6}},
            {"IaaAugment": {"augmenter_args": [{"type": "Fliplr", "args": {"p": 0.5}}]}},
            {"FCENetTargets": {"fourier_degree": 5}}, _NORMALIZE,
        ],
        [decode, _LABEL, resize, _NORMALIZE, {"Pad": None}],
        "DetFCEMetric",
    )  # fmt: skip


def drrg() -> Tree:
    """det_r50_drrg_ctw.yml: as FCE's, with other numbers."""
    tree = fce()
    tree["Architecture"] |= {
        "algorithm": "DRRG",
        "Backbone": {"name": "ResNet_vd", "layers": 50, "pretrained_model": "ResNet50_vd_ssld_pretrained.pdparams"},
        "Neck": {"name": "FPN_UNet", "in_channels": [256, 512, 1024, 2048], "out_channels": 32},
        "Head": {"name": "DRRGHead", "in_channels": 32, "text_region_thr": 0.3, "center_region_thr": 0.4},
    }
    tree["Loss"], tree["PostProcess"] = {"name": "DRRGLoss"}, {"name": "DRRGPostprocess", "link_thr": 0.8}
    tree["Train"]["dataset"]["transforms"][-2] = {"DRRGTargets": None}
    return tree
