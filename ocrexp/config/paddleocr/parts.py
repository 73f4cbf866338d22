"""Parts of networks that both PaddleOCR and ocrexp have: their names, keys, and PaddleOCR's defaults.

Facts of PaddleOCR 2.10's constructors; PP-OCRv6's parts are of 3.7. A key that a part takes but that has one value here
stands under `only`, with the values that are that one; a key that does nothing there stands under `idle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean


@dataclass(frozen=True)
class Part:
    """One part: our option, its keys with PaddleOCR's defaults, ours of those that have another name, and the rest."""

    option: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    only: Mapping[str, Any] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


_LOCAL, _GLOBAL = ["Local"] * 6, ["Global"] * 6
_SWALLOWED = "PaddleOCR's part ignores this key"
_SVTR_NECK = {
    "dims": 64, "depth": 2, "hidden_dims": 120, "use_guide": False, "num_heads": 8, "mlp_ratio": 2.0, "drop_rate": 0.1,
    "attn_drop_rate": 0.1, "drop_path": 0.0, "kernel_size": [3, 3],
}  # fmt: skip

_LIGHT_SVTR_NECK = {
    "dims": 64, "depth": 1, "num_heads": 8, "mlp_ratio": 4.0, "drop_rate": 0.1, "attn_drop_rate": 0.1, "drop_path": 0.0,
    "local_kernel": 7, "use_guide": False,
}  # fmt: skip

TRANSFORMS = {
    "TPS": Part("tps", {"num_fiducial": 20, "loc_lr": 0.1, "model_name": "small"}),
    "STN_ON": Part(
        "stn",
        {"tps_inputsize": [32, 64], "tps_outputsize": [32, 100], "num_control_points": 20,
         "tps_margins": [0.05, 0.05], "stn_activation": "none"},
    ),
    "GA_SPIN": Part(
        "ga_spin", {"offsets": False, "default_type": 6, "loc_lr": 1, "stn": True}, {"norm_type": "BN"},
        {"I_r_size": "the size of the images"},
    ),
}  # fmt: skip

_RESNET = {"layers": 50, "dcn_stage": [False] * 4, "out_indices": [0, 1, 2, 3]}
_HGNET_V2 = {"out_indices": (None, [0, 1, 2, 3]), "lr_mult_list": [1.0] * 5}

DET_BACKBONES = {
    "MobileNetV3": Part("mobilenetv3_large_x0_5", {"model_name": "large", "scale": 0.5, "disable_se": False}),
    "PPLCNetV3": Part(
        "pplcnet_v3_det",
        {"scale": 1.0, "conv_kxk_num": 4, "lab_lr": 0.1},
        {"det": True, "lr_mult_list": [1.0] * 6},
    ),
    "PPLCNetV4": Part("pplcnet_v4_det", {"model_size": "small"}, {"det": True, "lr_mult_list": [1.0] * 6}),
    "RepSVTR_det": Part("repvit_det", {}, {"out_indices": [2, 5, 10, 13]}),
    "PPHGNet_small": Part("pphgnet_small", {}, {"det": True, "out_indices": (None, [0, 1, 2, 3])}),
    "PPHGNetV2_B4": Part("pphgnet_v2_det", {}, _HGNET_V2 | {"det": True, "text_rec": False}),
    "ResNet": Part("resnet50_dcn", _RESNET),
    "ResNet_vd": Part("resnet50_vd", _RESNET, {}, dict.fromkeys(("disable_se", "pretrained_model"), _SWALLOWED)),
    "ResNet_SAST": Part("resnet50_vd_sast", {}, {"layers": 50}),
}

REC_BACKBONES = {
    "MobileNetV3": Part(
        "rec_mobilenetv3_large_x0_5",
        {"model_name": "small", "scale": 0.5, "large_stride": None, "small_stride": None, "disable_se": False},
    ),
    "ResNet": Part("rec_resnet34_vd", {"layers": 50}),
    "MobileNetV1Enhance": Part(
        "mobilenetv1_enhance",
        {"scale": 0.5, "last_conv_stride": 1, "last_pool_type": "max", "last_pool_kernel_size": [3, 2]},
    ),
    "PPLCNetV3": Part(
        "pplcnet_v3",
        {"scale": 1.0, "conv_kxk_num": 4, "lab_lr": 0.1},
        {"det": False, "lr_mult_list": [1.0] * 6},
    ),
    "PPLCNetV4": Part(
        "pplcnet_v4",
        {"model_size": "small"},
        {"det": False, "lr_mult_list": [1.0] * 6},
        dict.fromkeys(("use_rep", "stem_type", "stem_channels"), "model_size says it"),
    ),
    "PPHGNet_small": Part("pphgnet_small_rec", {}, {"det": False, "out_indices": (None, [0, 1, 2, 3])}),
    "PPHGNetV2_B4": Part("pphgnet_v2_rec", {}, _HGNET_V2 | {"text_rec": True, "det": False}),
    "MTB": Part("mtb", {}, {"cnn_num": 2}),
    "ResNet31": Part(
        "resnet31", {},
        {"layers": [1, 2, 5, 3], "channels": [64, 128, 256, 256, 512, 512, 512], "out_indices": (None,),
         "last_stage_pool": False},
    ),
    "ResNetFPN": Part("resnet_fpn", {"layers": 50}),
    "EfficientNetb3_PREN": Part("efficientnet_b3"),
    "ResNet_ASTER": Part("resnet_aster", {"with_lstm": True}, {"n_group": 1}),
    "ResNet45": Part("resnet45", {"strides": [2, 1, 2, 1, 1]}, {"layers": [3, 4, 6, 6, 3]}),
    "ShallowCNN": Part("shallow_cnn", {"hidden_dim": 512}),
    "ResNet32": Part("resnet32", {"out_channels": 512}),
    "ResNetRFL": Part("resnet_rfl", {"out_channels": 512}, {"use_cnt": True, "use_seq": True}),
    "SVTRNet": Part(
        "svtr_tiny",
        {"img_size": [32, 100], "embed_dim": [64, 128, 256], "depth": [3, 6, 3], "num_heads": [2, 4, 8],
         "mixer": _LOCAL + _GLOBAL, "local_mixer": [[7, 11]] * 3, "patch_merging": "Conv", "mlp_ratio": 4,
         "qkv_bias": True, "drop_rate": 0.0, "last_drop": 0.1, "attn_drop_rate": 0.0, "drop_path_rate": 0.1,
         "epsilon": 1e-6, "out_channels": 192, "out_char_num": 25, "last_stage": True, "sub_num": 2, "prenorm": True},
        {"use_lenhead": False, "qk_scale": (None,), "norm_layer": "nn.LayerNorm", "sub_norm": "nn.LayerNorm",
         "act": "nn.GELU", "block_unit": "Block"},
    ),
    "SVTRv2": Part(
        "svtrv2_ch",
        {"dims": [64, 128, 256], "depths": [3, 6, 3], "num_heads": [2, 4, 8], "mlp_ratio": 4, "drop_path_rate": 0.1},
        {"use_pos_embed": False, "qkv_bias": True, "qk_scale": (None,), "drop_rate": 0.0, "attn_drop_rate": 0.0,
         "norm_layer": "nn.LayerNorm", "act": "nn.GELU", "last_stage": False, "eps": 1e-6, "feat2d": False},
        {**dict.fromkeys(("out_channels", "out_char_num", "last_drop"), "of a last stage that is not there"),
         "max_sz": "of positions that are not learned", "local_k": _SWALLOWED},
        {"dims": "embed_dim", "depths": "depth"},
    ),
    "RepSVTR": Part("repvit"),
    "repvit_svtr": Part("repvit"),  # the name in one of PaddleOCR's files, which its code does not know
    "ViTSTR": Part(
        "vitstr_tiny",
        {"img_size": [224, 224], "scale": "tiny", "seqlen": 27, "patch_size": [16, 16], "depth": 12, "mlp_ratio": 4,
         "drop_rate": 0.0, "drop_path_rate": 0.0},
        {"num_heads": (None,), "embed_dim": (None,), "qkv_bias": True, "qk_scale": (None,), "attn_drop_rate": 0.0},
    ),
    "ViTParseQ": Part(
        "vit_parseq",
        {"img_size": [224, 224], "patch_size": [16, 16], "embed_dim": 768, "depth": 12, "num_heads": 12,
         "mlp_ratio": 4, "drop_rate": 0.0, "drop_path_rate": 0.0},
        {"qkv_bias": True, "qk_scale": (None,), "attn_drop_rate": 0.0},
    ),
}  # fmt: skip

_LARGE_KERNEL_FPN = Part(
    "replk_fpn", {"out_channels": 96, "dilated_kernel_size": 7, "shortcut": True}, {"intracl": False}
)
_LARGE_KERNEL_PAN = Part(
    "replk_pan", {"out_channels": 256, "intracl": False}, {}, {"mode": "PaddleOCR's RepLKPAN takes it and ignores it"}
)
DET_NECKS = {
    "DBFPN": Part("db_fpn", {"out_channels": 256, "use_asf": False}),
    "FPN": Part("fpn", {"out_channels": 256}),
    "EASTFPN": Part("east_fpn", {"model_name": "small"}),
    "SASTFPN": Part("sast_fpn", {"with_cab": False}),
    "CTFPN": Part("ct_fpn", {}, {}, {"out_channel": "PaddleOCR's CTFPN ignores it"}),
    "FCEFPN": Part(
        "fce_fpn",
        {"out_channels": 256},
        {"has_extra_convs": False, "extra_stage": 0, "norm_type": (None,)},
        dict.fromkeys(("use_c5", "relu_before_extra_convs"), "there is no extra stage"),
    ),
    "FPN_UNet": Part("unet_fpn", {"out_channels": 32}),
    "RSEFPN": Part("rsefpn", {"out_channels": 96, "shortcut": True, "intracl": False}),
    "LKPAN": Part("lkpan", {"out_channels": 256, "intracl": False}, {"mode": "large"}),
    "RepLKFPN": _LARGE_KERNEL_FPN,
    "RepLKPAN": _LARGE_KERNEL_PAN,
    "UniRepLKFPN": _LARGE_KERNEL_FPN,  # the names of early files
    "UniRepLKPAN": _LARGE_KERNEL_PAN,
}

RF_ADAPTOR = Part("rf_adaptor", {}, {"use_v2s": True, "use_s2v": True})
# Necks of SequenceEncoder, by `encoder_type`.
REC_NECKS = {
    "reshape": Part("reshape", {}, {}, {"hidden_size": "a reshaping neck has no hidden size"}),
    "fc": Part("fc", {"hidden_size": 48}),
    "rnn": Part("rnn", {"hidden_size": 48}),
    "cascadernn": Part("cascadernn", {"hidden_size": 48, "out_channels": None}, {"with_linear": True, "num_layers": 2}),
    "svtr": Part("svtr", _SVTR_NECK, {"qkv_bias": True, "qk_scale": (None,)}),
    "lightsvtr": Part("lightsvtr", _LIGHT_SVTR_NECK, {"qkv_bias": True, "qk_scale": (None,)}),
}

PREN_NECK = Part("pren_fpn", {"n_r": 5, "d_model": 384, "max_len": 25, "dropout": 0.1})

_NOT_FINITE = "a loss that is not finite stops the run or is skipped (trainer.nonfinite), nothing is set to 0"
DET_HEADS = {
    "DBHead": Part("db", {"k": 50, "kernel_list": [3, 2, 2]}, {"lite_head": False}, {"fix_nan": _NOT_FINITE}),
    "PFHeadLocal": Part("db_local", {"k": 50, "kernel_list": [3, 2, 2], "mode": "small"}, {}, {"fix_nan": _NOT_FINITE}),
    "PSEHead": Part("pse", {"hidden_dim": 256}, {}, {"out_channels": "determined by the number of kernels"}),
    "EASTHead": Part("east"),
    "SASTHead": Part("sast"),
    "CT_Head": Part("ct", {"hidden_dim": 128}, {"num_classes": 3}),
    "FCEHead": Part("fce", {"fourier_degree": 5}),
    "DRRGHead": Part(
        "drrg",
        {"local_graph_thr": 0.7},
        {"k_at_hops": [8, 4], "num_adjacent_linkages": 3, "node_geo_feat_len": 120, "pooling_scale": 1.0,
         "pooling_output_size": [4, 3]},
    ),
}  # fmt: skip

_SAR_HEAD = Part(
    "sar",
    {"enc_dim": 512, "max_text_length": 30, "enc_drop_rnn": 0.1, "d_k": 512, "pred_dropout": 0.1},
    {"enc_bi_rnn": False, "enc_gru": False, "dec_bi_rnn": False, "dec_drop_rnn": 0.0, "dec_gru": False,
     "pred_concat": True},
)  # fmt: skip

REC_HEADS = {
    "CTCHead": Part(
        "ctc", {"fc_decay": 0.0004, "mid_channels": None, "use_guide": False}, {"return_feats": False}
    ),
    "AttentionHead": Part("attention", {"hidden_size": 96}, {}, {"l2_decay": _SWALLOWED}),
    "Transformer": Part(
        "nrtr",
        {"nhead": 8, "num_encoder_layers": 6, "num_decoder_layers": 6, "dim_feedforward": 1024,
         "residual_dropout_rate": 0.1},
        {"d_model": 512, "beam_size": (-1, 0), "attention_dropout_rate": 0.0, "scale_embedding": True},
    ),
    "SARHead": _SAR_HEAD,
    "ParseQHead": Part(
        "parseq",
        {"max_text_length": 25, "dec_num_heads": 12, "dec_mlp_ratio": 4, "dec_depth": 1, "perm_num": 6,
         "perm_forward": True, "perm_mirrored": True, "dropout": 0.1, "decode_ar": True, "refine_iters": 1},
    ),
    "ABINetHead": Part(
        "abinet",
        {"nhead": 8, "num_layers": 3, "dim_feedforward": 2048, "dropout": 0.1, "use_lang": False, "iter_size": 1},
        {"d_model": 512},
        {"max_length": "Global.max_text_length determines it", "image_size": "the size of the images"},
    ),
    "SATRNHead": Part("satrn"),
    "RFLHead": Part("rfl", {"hidden_size": 256}, {"use_cnt": True, "use_seq": True}),
    "SPINAttentionHead": Part("spin", {"hidden_size": None}),
    "CPPDHead": Part(
        "cppd", {"num_layer": 2, "drop_path_rate": 0.1, "vis_seq": 50, "ch": False}, {},
        {"max_len": "Global.max_text_length determines it"},
    ),
    "SRNHead": Part(
        "srn", {"max_text_length": 25, "num_heads": 8, "num_encoder_TUs": 2, "num_decoder_TUs": 4}, {"hidden_dims": 512}
    ),
    "PRENHead": Part("pren"),
    "RobustScannerHead": Part(
        "robustscanner",
        {"enc_outchannles": 128, "hybrid_dec_rnn_layers": 2, "hybrid_dec_dropout": 0, "position_dec_rnn_layers": 2,
         "max_text_length": 40, "encode_value": False},
        {},
        {**dict.fromkeys(("start_idx", "padding_idx"), "determined by the characters"), "mask": _SWALLOWED},
    ),
    "AsterHead": Part(
        "seed", {"sDim": 512, "attDim": 512, "time_step": 25}, {},
        {"max_len_labels": "Global.max_text_length determines it", "beam_width": "the decoder is greedy"},
        {"sDim": "hidden_size", "attDim": "attention_size"},
    ),
    "VLHead": Part(
        "visionlan",
        {"n_layers": 3, "n_position": 256, "max_text_length": 25, "training_step": "LA"},
        {"n_dim": 512},
    ),
}  # fmt: skip

# Our option of a MultiHead by the encoder of its CTC branch, for an NRTR guide.
NRTR_MULTI_HEADS = {"svtr": "multi_nrtr", "lightsvtr": "multi_nrtr_light", "reshape": "multi_nrtr_plain"}

# Heads that guide a MultiHead in training, and our option of the MultiHead for each.
GUIDES = {
    "SARHead": Part("multi_sar", _SAR_HEAD.keys, _SAR_HEAD.only),
    "NRTRHead": Part("multi_nrtr", {"max_text_length": 25, "num_decoder_layers": 4}),
}


def find(kind: str, section: Section, name: str, known: Mapping[str, Part]) -> Part:
    """The part of this name; raises ConfigError with a list of the supported ones if it is unknown."""
    if name not in known:
        raise ConfigError(
            f"{section.path}: unsupported {kind} {name or 'without a name'}{did_you_mean(name, known)};"
            f" supported: {', '.join(known)}"
        )
    return known[name]


def carry(experiment: Experiment, section: Section, part: Part, target: str, skip: tuple[str, ...] = ()) -> None:
    """Convert a part's keys to the node `target`, and report those that have no counterpart."""
    for name, default in part.keys.items():
        if name not in skip:
            experiment.take(section, name, f"{target}.{part.names.get(name, name)}", default)
    for name, accepted in part.only.items():
        experiment.only(section, name, accepted, "this part has no such option here", "this part never has it")
    experiment.drop(section, {"in_channels": "determined by the preceding part", **part.idle})
