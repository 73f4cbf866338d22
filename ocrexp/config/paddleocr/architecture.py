"""Section Architecture: chooses the parts and converts their values."""

from __future__ import annotations

from dataclasses import dataclass

from ocrexp.config.paddleocr import parts
from ocrexp.config.paddleocr.detectors import convert_detector
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.generations import GUIDED, SERVER_GENERATIONS, generation, take_model_size
from ocrexp.config.paddleocr.parts import Part, carry, find
from ocrexp.config.paddleocr.source import Section
from ocrexp.config.paddleocr.svtrv2 import take_stages
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

ALGORITHMS = {
    "det": ("DB", "DB++", "PSE", "EAST", "SAST", "CT", "FCE", "DRRG"),
    "rec": (
        "CRNN",
        "Rosetta",
        "STARNet",
        "RARE",
        "SVTR",
        "SVTR_LCNet",
        "SVTR_HGNet",
        "NRTR",
        "SAR",
        "ViTSTR",
        "ParseQ",
        "CPPD",
        "ABINet",
        "SATRN",
        "RFL",
        "SPIN",
        "VisionLAN",
        "SRN",
        "PREN",
        "RobustScanner",
        "SEED",
    ),
}
_SVTR_SIZES = {64: "svtr_tiny", 96: "svtr_small", 128: "svtr_base", 192: "svtr_large"}


@dataclass(frozen=True)
class ConvertedNetwork:
    """Properties of the network for the rest of the conversion; `kind` is the head's: `db`, `pse`, `ctc`, …"""

    task: str
    kind: str
    model: str


def convert_architecture(experiment: Experiment, root: Section, max_text_length: int) -> ConvertedNetwork:
    """Choose the parts and carry their values over.

    Raises ConfigError for an unsupported task, algorithm or part, with a list of the supported ones.
    """
    section = root.section("Architecture")
    task = section.text("model_type")
    if task not in ALGORITHMS:
        raise ConfigError(f"{section.key('model_type')}: expected det or rec, got {task or 'nothing'}")
    algorithm = section.text("algorithm")
    if not algorithm:
        experiment.assume(section.key("algorithm"), None, "the parts determine the algorithm")
    elif algorithm not in ALGORITHMS[task]:
        raise ConfigError(
            f"{section.key('algorithm')}: unsupported algorithm {algorithm}"
            f"{did_you_mean(algorithm, ALGORITHMS[task])}; supported for {task}: {', '.join(ALGORITHMS[task])}"
        )
    if task == "det":
        network = ConvertedNetwork(task, *convert_detector(experiment, root, section))
    else:
        network = _recognizer(experiment, root, section)
        _text_length(experiment, max_text_length)
        classes = dict.fromkeys(("out_channels", "out_channels_list"), "determined by the characters")
        experiment.drop(section.section("Head"), classes)
    channels = section.number("in_channels", 3)
    own = {"mtb": 1, "vitstr_tiny": 1, "resnet32": 1, "resnet_rfl": 1, "resnet_fpn": 1}.get(
        str(experiment.choices.get("model/backbone")), 3
    )
    if channels != own:
        experiment.set("model.backbone.in_channels", channels, section.key("in_channels"))
    return network


def _recognizer(experiment: Experiment, root: Section, section: Section) -> ConvertedNetwork:
    transform, backbone = section.section("Transform"), section.section("Backbone")
    neck, head = section.section("Neck"), section.section("Head")
    transform_name, backbone_name, head_name = (node.text("name") for node in (transform, backbone, head))
    warp = find("transform", transform, transform_name, parts.TRANSFORMS) if transform_name else None
    trunk = find("recognizer backbone", backbone, backbone_name, parts.REC_BACKBONES)
    trunk_option = _trunk_option(trunk, backbone, backbone_name)
    neck_part = _neck(neck)
    if head_name == "MultiHead":
        model, kind = _multi_head(experiment, head, _recognizer_name(root, backbone))
        if trunk_option == "svtr_cppd" and head.get("use_pool") is not True:
            why = "SVTRNet without its last stage needs it, and PaddleOCR's network fails too"
            experiment.report("missing", head.key("use_pool"), None, why, "add use_pool: true to the file")
    else:
        top = find("recognizer head", head, head_name, {**parts.REC_HEADS, "MultiHead": Part("multi")})
        option = "vitstr" if backbone_name == "ViTSTR" and top.option == "ctc" else top.option
        kind = "sar" if option == "robustscanner" else option
        model = _model_of(option, backbone_name, trunk_option, neck_part, warp)
    experiment.choose("model", model)
    if _has(model, "transform") or warp:
        experiment.choose("model/transform", warp.option if warp else None)
    experiment.choose("model/backbone", trunk_option)
    if warp:
        carry(experiment, transform, warp, "model.transform")
    carry(experiment, backbone, trunk, "model.backbone")
    take_model_size(experiment, backbone)
    if trunk_option == "svtrv2_ch":
        take_stages(experiment, backbone)
    if backbone.get("init_type") is not None:
        experiment.note("changed", backbone, "init_type", "random weights are drawn by paddle's initializer")
    stride = experiment.get("model.backbone.last_conv_stride")
    if isinstance(stride, int):
        experiment.set("model.backbone.last_conv_stride", [stride, stride], backbone.key("last_conv_stride"))
    if neck_part:
        experiment.choose("model/neck", neck_part.option)
        carry(experiment, neck, neck_part, "model.neck")
    if head_name != "MultiHead":
        experiment.choose("model/head", option)
        carry(experiment, head, top, "model.head")
        if kind == "satrn":
            _satrn(experiment, backbone, head)
        if kind == "rfl":
            columns = head.number("batch_max_legnth", 25) + 1
            experiment.set("model.head.columns", columns, head.key("batch_max_legnth"), implied=True)
        if kind == "cppd":
            dims = backbone.get("embed_dim", [64, 128, 256])
            own = dims[-1] if isinstance(dims, list) and dims else None
            experiment.only(head, "dim", own, f"the head always has the width of the backbone ({own})")
            _no_surplus_mixers(experiment, backbone)
        if kind == "parseq":
            own = backbone.number("embed_dim", 768)
            experiment.only(head, "embed_dim", own, f"the head always has the width of the backbone ({own})")
        if kind == "attention":
            experiment.set(
                "model.head.teacher_forcing", False,
                "PaddleOCR's training gives this head no labels; true learns better (with loss.reduction=mean)",
            )  # fmt: skip
    return ConvertedNetwork("rec", kind, model)


def _recognizer_name(root: Section, backbone: Section) -> str:
    """Our model that NRTR guides."""
    name = backbone.text("name")
    if name in GUIDED:
        return GUIDED[name]
    if name in SERVER_GENERATIONS:
        return f"{SERVER_GENERATIONS[name]}_rec_server"
    return f"{generation(root, backbone)}_rec"


def _satrn(experiment: Experiment, backbone: Section, head: Section) -> None:
    """The head's two sections, and the width that all parts share."""
    width = backbone.number("hidden_dim", 512)
    for name, own, layers in (("enc_cfg", "enc", 12), ("dec_cfg", "dec", 6)):
        section = head.section(name)
        experiment.take(section, "n_layers", f"model.head.{own}_layers", layers)
        heads = experiment.take(section, "n_head", f"model.head.{own}_heads", 8)
        experiment.take(section, "d_inner", f"model.head.{own}_inner", 256)
        for key in ("d_model", "d_embedding"):
            experiment.only(section, key, width, f"all parts have the width of the backbone ({width})")
        share = width // heads if isinstance(heads, int) and heads else None
        for key in ("d_k", "d_v"):
            experiment.only(section, key, share, f"the attentions share the width of the backbone ({width})")
    encoder, decoder = head.section("enc_cfg"), head.section("dec_cfg")
    experiment.take(encoder, "n_position", "model.head.n_position", 100)
    dropout = experiment.take(encoder, "dropout", "model.head.dropout", 0.1)
    experiment.only(decoder, "dropout", dropout, f"encoder and decoder have one dropout ({dropout})")
    experiment.only(decoder, "n_position", 200, "the decoder has 200 positions")
    idle = dict.fromkeys(("num_classes", "start_idx", "padding_idx"), "determined by the characters")
    experiment.drop(decoder, idle | {"max_seq_len": "Global.max_text_length determines it"})


def _no_surplus_mixers(experiment: Experiment, backbone: Section) -> None:
    """PaddleOCR's files of CPPD name 18 mixers for 16 blocks and use the first ones of each stage."""
    mixer, depth = backbone.get("mixer"), backbone.get("depth", [3, 6, 3])
    if isinstance(mixer, list) and isinstance(depth, list) and len(mixer) > sum(depth):
        experiment.set("model.backbone.mixer", mixer[: sum(depth)], backbone.key("mixer"))
        experiment.note("changed", backbone, "mixer", f"PaddleOCR uses the first {sum(depth)}, one for each block")


def _trunk_option(trunk: Part, backbone: Section, name: str) -> str:
    if name == "SVTRNet":
        dims = backbone.get("embed_dim", [64])
        if backbone.get("last_stage") is False:
            return "svtr_cppd"
        return _SVTR_SIZES.get(dims[0] if isinstance(dims, list) and dims else 0, trunk.option)
    if name == "MobileNetV3" and backbone.text("model_name", "small") == "small":
        return "rec_mobilenetv3_small_x0_5"
    return trunk.option


def _neck(neck: Section) -> Part | None:
    name = neck.text("name")
    if not name:
        return None
    own = {"RFAdaptor": parts.RF_ADAPTOR, "PRENFPN": parts.PREN_NECK}
    if name in own:
        return own[name]
    find("recognizer neck", neck, name, {"SequenceEncoder": Part(""), **own})
    return find("encoder_type", neck, neck.text("encoder_type"), parts.REC_NECKS)


def _model_of(head: str, backbone: str, trunk_option: str, neck: Part | None, warp: Part | None) -> str:
    """The nearest model file; differences are chosen or set afterwards."""
    if head != "ctc":
        return {"attention": "rare_mbv3", "vitstr": "vitstr_tiny"}.get(head, head)
    if backbone == "SVTRNet":
        return trunk_option
    if neck is not None and neck.option == "svtr":
        return "svtr_lcnet_ctc"
    size = "r34" if backbone == "ResNet" else "mbv3"
    if neck is not None and neck.option == "reshape":
        return f"rosetta_{size}"
    return "starnet_mbv3" if warp and size == "mbv3" else f"crnn_{size}"


def _has(model: str, group: str) -> bool:
    """Whether the model's file has this group in its defaults."""
    import yaml

    from ocrexp.config.paths import shipped_conf

    loaded = yaml.safe_load((shipped_conf() / "model" / f"{model}.yaml").read_text(encoding="utf-8"))
    return any(isinstance(entry, dict) and group in entry for entry in loaded["defaults"])


def _multi_head(experiment: Experiment, head: Section, nrtr_model: str) -> tuple[str, str]:
    entries = dict(head.entries("head_list"))
    if len(entries) != 2 or "CTCHead" not in entries:
        raise ConfigError(
            f"{head.key('head_list')}: expected CTCHead with one of {', '.join(parts.GUIDES)}, got"
            f" {', '.join(entries) or 'nothing'}"
        )
    name = next(key for key in entries if key != "CTCHead")
    guide = find("guide of a MultiHead", entries[name], name, parts.GUIDES)
    ctc = entries["CTCHead"]
    neck, top = ctc.section("Neck"), ctc.section("Head")
    options = parts.NRTR_MULTI_HEADS if name == "NRTRHead" else {"svtr": guide.option}
    encoder = find("encoder in a MultiHead", neck, neck.text("name"), {key: Part(key) for key in options}).option
    experiment.choose("model/head", options[encoder])
    carry(experiment, neck, parts.REC_NECKS[encoder], "model.head.neck")
    carry(experiment, top, parts.REC_HEADS["CTCHead"], "model.head.ctc")
    carry(experiment, entries[name], guide, "model.head.guide")
    if name == "NRTRHead":
        dim = experiment.take(entries[name], "nrtr_dim", "model.head.nrtr_dim", 256)
        if not isinstance(dim, int) or dim < 32 or dim % 32:
            raise ConfigError(f"{entries[name].key('nrtr_dim')}: expected a multiple of 32, got {dim!r}")
        source = f"follows from {entries[name].key('nrtr_dim')}"
        experiment.set("model.head.guide.nhead", dim // 32, source, implied=True)
        experiment.set("model.head.guide.dim_feedforward", dim * 4, source, implied=True)
        experiment.take(head, "use_pool", "model.head.pool")
        if head.get("use_pos") is True:
            experiment.set("model.head.positions", 80, f"{head.key('use_pos')}: PaddleOCR's number")
    else:
        experiment.only(head, "use_pool", False, "a MultiHead with a SARHead does not pool the backbone's map here")
        experiment.only(head, "use_pos", False, "this guide has no position embedding")
    return ("svtr_lcnet" if guide.option == "multi_sar" else nrtr_model), guide.option


def _text_length(experiment: Experiment, length: int) -> None:
    """Omit a part's own maximum length if it equals that of the labels, which the model files use."""
    for key in ("model.head.max_text_length", "model.head.guide.max_text_length", "model.neck.max_len"):
        if experiment.get(key) == length:
            experiment.unset(key)
