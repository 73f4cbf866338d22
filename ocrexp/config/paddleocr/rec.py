"""A recognizer's characters, loss, decoder and metric; `rec_data` converts its lists and images."""

from __future__ import annotations

from ocrexp.charset.codecs import KINDS
from ocrexp.config.paddleocr.data import convert_lists, convert_loaders, named
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.rec_data import convert_sampler, convert_transforms
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

# By the head's kind: our options of targets, PaddleOCR's names of losses.
_TARGETS = {"multi_sar": "ctc_sar", "multi_nrtr": "ctc_nrtr"}
_LOSSES = {
    "ctc": "CTCLoss", "multi_sar": "MultiLoss", "multi_nrtr": "MultiLoss", "attention": "AttentionLoss",
    "nrtr": "CELoss", "sar": "SARLoss", "parseq": "ParseQLoss", "vitstr": "CELoss",
    "cppd": "CPPDLoss", "abinet": "CELoss", "satrn": "SATRNLoss", "rfl": "RFLLoss", "spin": "SPINAttentionLoss",
    "visionlan": "VLLoss", "srn": "SRNLoss", "pren": "PRENLoss", "seed": "AsterLoss",
}  # fmt: skip


def convert_recognition(experiment: Experiment, root: Section, kind: str, max_text_length: int) -> None:
    """Everything of a recognizer except its network, its optimizer and the general keys of the section Global."""
    _charset(experiment, root.section("Global"), kind)
    experiment.choose("targets", _TARGETS.get(kind, kind))
    if kind == "attention":  # as many steps as in PaddleOCR, which uses two of them for begin and end
        experiment.set("targets.max_text_length", max_text_length - 2, "Global.max_text_length without begin and end")
        experiment.set("model.head.max_text_length", max_text_length, "Global.max_text_length: steps")
    else:
        experiment.set("targets.max_text_length", max_text_length, f"Global.max_text_length: {_length_remark(kind)}")
    _loss(experiment, root.section("Loss"), kind)
    decoder = root.section("PostProcess")
    read = kind if kind in KINDS else "ctc"  # of a MultiHead, CTC is read
    named(experiment, decoder, KINDS[read].decoder, {}, kind)
    experiment.choose("postprocess", "ctc_greedy" if read == "ctc" else read)
    experiment.only(
        decoder, "rm_symbol", False, "a decoder never changes its text", "the metric compares without symbols"
    )
    if root.section("Global").get("rm_symbol") is True:
        experiment.note(
            "changed", root.section("Global"), "rm_symbol",
            "a decoder never changes its text; the metric ignores symbols where Metric.is_filter is true",
        )  # fmt: skip
    experiment.drop(
        decoder, {"character_dict_path": "of the section Global", "use_space_char": "of the section Global"}
    )
    _metric(experiment, root.section("Metric"))
    convert_lists(experiment, root, "rec_list", "rec_lmdb")
    convert_loaders(experiment, root)
    convert_transforms(experiment, root, kind)
    convert_sampler(experiment, root)


def _length_remark(kind: str) -> str:
    if kind == "ctc":
        return "longer labels are rejected and counted"
    return "the number of characters; PaddleOCR's encoder of this kind takes one to three less"


def _charset(experiment: Experiment, section: Section, kind: str) -> None:
    path = section.text("character_dict_path")
    if path:
        experiment.choose("charset", "dictionary")
        experiment.set("charset.path", path, f"{section.key('character_dict_path')}: relative to the start folder")
        if "arabic" in str(path).lower():
            experiment.set(
                "charset.direction", "rtl",
                "PaddleOCR reverses the texts of this dictionary; labels are in logical order (ltr: in visual order)",
            )  # fmt: skip
        experiment.take(section, "use_space_char", "charset.use_space_char", False)
    else:
        experiment.choose("charset", "en36")
        section.get("character_dict_path")
        if section.get("use_space_char") is True:
            experiment.note("dropped", section, "use_space_char", "PaddleOCR uses it only together with a dictionary")
        section.get("use_space_char")
    drops = "PaddleOCR drops unknown characters from labels; here they are counted, and the ground truth keeps them"
    if kind == "pren":
        drops = "PaddleOCR's PREN learns a class <UNK> for unknown characters; here they are dropped from labels"
        experiment.report("changed", section.key("character_dict_path"), path or None, drops)
    experiment.set("charset.unknown", "drop", drops)


def _loss(experiment: Experiment, section: Section, kind: str) -> None:
    if section.text("name") == "CombinedLoss":
        others = [name for name, _ in section.entries("loss_config_list") if name != _LOSSES[kind]]
        raise ConfigError(
            f"{section.key('loss_config_list')}: unsupported loss {', '.join(others) or 'CombinedLoss'} beside"
            f" {_LOSSES[kind]}; use the file without it, with Loss.name {_LOSSES[kind]}"
        )
    smoothed = kind == "nrtr" and section.text("name") == "NRTRLoss"  # another name of CELoss, with other defaults
    if not smoothed:
        named(experiment, section, _LOSSES[kind], {}, kind)
    experiment.choose("loss", kind)
    if kind == "ctc":
        experiment.take(section, "use_focal_loss", "loss.use_focal_loss", False)
    elif kind == "attention":
        experiment.set("loss.reduction", "sum", "PaddleOCR's")
        experiment.set("loss.padding", True, "as in PaddleOCR: steps after the end count too")
    elif kind == "nrtr":
        _smoothing(experiment, section, "loss", smoothed)
    elif kind == "vitstr":
        experiment.only(section, "smoothing", (None, False), "label smoothing is not supported")
        experiment.drop(section, dict.fromkeys(("with_all", "ignore_index"), "required by this head"))
    elif kind in ("abinet", "satrn"):
        experiment.drop(section, {"ignore_index": "padding never counts"})
        experiment.only(section, "smoothing", (None, False), "label smoothing is not supported")
        experiment.drop(section, {"with_all": "required by this head"})
        if kind == "satrn":
            experiment.set("loss.all_steps", True, "as in PaddleOCR: the mean over all steps, padding included")
    elif kind == "rfl":
        experiment.set(
            "loss.padding", section.get("ignore_index", -100) != 0,
            f"{section.key('ignore_index')}: as in PaddleOCR, steps after the end count too unless it is 0",
        )  # fmt: skip
    elif kind == "spin":
        experiment.only(section, "ignore_index", 0, "padding never counts")
        experiment.only(section, "reduction", "mean", "the loss is a mean")
    elif kind == "cppd":
        experiment.take(section, "smoothing", "loss.smoothing", False)
        experiment.take(section, "sideloss_weight", "loss.sideloss_weight", 1.0)
        experiment.drop(section, {"ignore_index": "padding never counts"})
    elif kind == "sar":
        _sar(experiment, section)
    elif kind == "srn":
        experiment.set("loss.reduction", "sum", "PaddleOCR's")
    elif kind == "seed":
        experiment.only(
            section, "sequence_normalize", False, "the sum over the steps of a text, the mean over the texts"
        )
        experiment.only(section, "sample_normalize", True, "the sum over the steps of a text, the mean over the texts")
        experiment.drop(section, dict.fromkeys(("weight", "size_average", "ignore_index"), "ignored by PaddleOCR too"))
    elif kind == "visionlan":
        _visionlan(experiment, section)
    elif kind.startswith("multi_"):
        _multi(experiment, section, kind)


def _smoothing(experiment: Experiment, section: Section, node: str, default: bool) -> None:
    if experiment.take(section, "smoothing", f"{node}.smoothing", default) is False:
        experiment.report(
            "changed",
            section.path,
            {"smoothing": False},
            "padding never counts here, but it does in PaddleOCR's CELoss",
        )
    experiment.drop(section, {"ignore_index": "padding never counts"})


def _sar(experiment: Experiment, section: Section) -> None:
    if section.get("ignore_index") is not None:
        experiment.note("dropped", section, "ignore_index", "the class of the padding is determined by the characters")


def _visionlan(experiment: Experiment, section: Section) -> None:
    for name in ("weight_res", "weight_mas"):
        experiment.take(section, name, f"loss.{name}", 0.5)
    step = experiment.get("model.head.training_step")
    experiment.only(section, "mode", step, f"the loss learns what the head gives; its training_step is {step}")


def _multi(experiment: Experiment, section: Section, kind: str) -> None:
    guide = "SARLoss" if kind == "multi_sar" else "NRTRLoss"
    entries = dict(section.entries("loss_config_list"))
    if not entries:
        entries = {name: section.section(f"loss_config_list.{name}") for name in ("CTCLoss", guide)}
        experiment.assume(section.key("loss_config_list"), list(entries), "determined by the head")
    if set(entries) != {"CTCLoss", guide}:
        raise ConfigError(
            f"{section.key('loss_config_list')}: expected CTCLoss and {guide} for this head, got"
            f" {', '.join(entries) or 'nothing'}"
        )
    experiment.take(entries["CTCLoss"], "use_focal_loss", "loss.ctc.use_focal_loss", False)
    if guide == "NRTRLoss":
        _smoothing(experiment, entries[guide], "loss.guide", True)
    else:
        _sar(experiment, entries[guide])
    for name in ("weight_1", "weight_2"):
        experiment.take(section, name, f"loss.{name}", 1.0)


def _metric(experiment: Experiment, section: Section) -> None:
    if section.text("name") == "CNTMetric":
        raise ConfigError(
            f"{section.key('name')}: CNTMetric: the first of RFL's two trainings, which only counts characters, is not "
            "supported; use rec_resnet_rfl_att.yml, whose one training learns both, from random weights"
        )
    named(experiment, section, "RecMetric", {"main_indicator": "acc", "ignore_space": True})
    experiment.choose("metric", "rec")
    main = section.text("main_indicator", "acc")
    names = {"acc": "accuracy", "norm_edit_dis": "norm_edit_distance"}
    if main not in names:
        raise ConfigError(
            f"{section.key('main_indicator')}: expected acc or norm_edit_dis, got {main}{did_you_mean(main, names)}"
        )
    spaces = section.get("ignore_space", True)
    comment = f"{section.key('main_indicator')}, ignore_space {str(spaces).lower()}"
    value = f"{names[main]}_no_spaces" if spaces else names[main]
    if section.get("is_filter") is True:
        if main == "acc":
            value = "accuracy_ignore_case_punctuation"
        experiment.note(
            "changed", section, "is_filter", f"{value} decides which checkpoint is best; all metrics are shown"
        )
    section.get("is_filter")
    experiment.set("metric.main", value, f"{comment}; on the raw labels: unknown characters count as wrong")
