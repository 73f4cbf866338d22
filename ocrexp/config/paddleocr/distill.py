"""Distillation files of PaddleOCR (`Architecture.Models`): each model as a network of ours, the losses as terms.

The file is read as that of its student, with the sections that the student alone would have; then the result's keys are
moved to `model.student` and `loss.own`, and the other models and the terms are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

_OF_TRAINING = ("pretrained", "freeze_params", "return_all_feats")  # keys of a model that are not its parts
_OF_PAIRS = ("model_name_pairs", "model_name_list", "key", "name", "weight", "multi_head", "dis_head", "maps_name")
_OWN = {
    "DistillationDBLoss": "DBLoss", "DistillationCTCLoss": "CTCLoss", "DistillationSARLoss": "SARLoss",
    "DistillationNRTRLoss": "NRTRLoss",
}  # fmt: skip
# Our class, its options by PaddleOCR's names, and its options that are fixed there.
_TERMS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "DistillationDMLLoss": ("DML", ("act", "use_log"), {}),
    "DistillationDistanceLoss": ("Distance", ("mode",), {}),
    "DistillationDilaDBLoss": ("DilatedMaps", (), {}),
    "DistillationKLDivLoss": ("KLDiv", (), {"reduction": "images"}),
    "DistillationDKDLoss": ("DKD", ("temperature", "alpha", "beta"), {}),
    "DistillCTCLogits": ("MeanCTC", (), {}),
}
_IGNORED = ("balance_loss", "main_loss_type", "alpha", "beta", "ohem_ratio", "eps", "reduction")
_MAPS = {"thrink_maps": "shrink", "threshold_maps": "threshold", "binary_maps": "binary"}
_DECODERS = {"DistillationDBPostProcess": "DBPostProcess", "DistillationCTCLabelDecode": "CTCLabelDecode"}
Convert = Callable[[Experiment, Section], Any]


def is_distillation(root: Section) -> bool:
    """Whether a file trains several models."""
    return "Models" in root.section("Architecture")


class Distillation:
    """A distillation file: `student` is the file of its student alone, `finish` adds the rest to its conversion."""

    def __init__(self, root: Section) -> None:
        self._architecture = root.section("Architecture")
        self._architecture.get("name")
        self._architecture.get("algorithm")
        task = self._architecture.text("model_type")
        models = {str(name): values for name, values in dict(self._architecture.get("Models") or {}).items()}
        if unknown := [name for name in models if name not in ("Student", "Student2", "Teacher")]:
            known = ["Student", "Student2", "Teacher"]
            raise ConfigError(
                f"{self._architecture.key('Models')}.{unknown[0]}: expected one of {', '.join(known)}"
                f"{did_you_mean(unknown[0], known)}"
            )
        if "Student" not in models:
            raise ConfigError(f"{self._architecture.key('Models')}: has no Student, which is what is deployed")
        self._models = {name: {"model_type": task, **dict(values or {})} for name, values in models.items()}
        self._roles = self._roles_of()
        self._losses = root.section("Loss").entries("loss_config_list")
        root.section("Loss").get("name")
        self.student = root.with_sections(
            {
                "Architecture": self._network("Student"),
                "Loss": self._own_loss(root.section("Loss")),
                "PostProcess": _plain_section(root.section("PostProcess"), _DECODERS),
                "Metric": _plain_section(root.section("Metric"), {}),
            }
        )

    def finish(self, experiment: Experiment, convert_network: Convert) -> None:
        """Makes the student's conversion that of the distillation."""
        experiment.rename(_to("student"))
        images = ("model.student.image_shape", "model.student.normalize")
        shared = [key for key in list(experiment.keys()) if key.startswith(images)]
        roles = set(self._roles.values())
        for name, role in self._roles.items():
            if role == "teacher":
                other, network = Experiment(), self._network(name)
                convert_network(other, network)
                other.rename(_to(role))
                experiment.adopt(other)
                _report_unread(experiment, network)
                for key in shared:
                    experiment.set(key.replace("student", role, 1), experiment.get(key), "as of the student")
            elif role == "student2" and self._parts(name) != self._parts("Student"):
                raise ConfigError(
                    f"{self._architecture.key('Models')}.{name}: has other parts than Student, but two students "
                    "have equal parts here; make them equal"
                )
        kind = "distill_cml" if roles >= {"teacher", "student2"} else "distill" if "teacher" in roles else "distill_dml"
        experiment.choose("model", kind)
        experiment.choose("loss", "distill")
        experiment.choose("loss/terms", "none")
        for key, named in self._other_learners:
            why = "here every network that learns has the loss of the labels, and no other one"
            experiment.report("missing", key, named, why)
        self._weights(experiment)
        for place, (name, section) in enumerate(self._losses):
            if name in _TERMS:
                self._term(experiment, name, section, place)
            _report_unread(experiment, section)

    def _roles_of(self) -> dict[str, str]:
        """Our network of each model: a teacher that learns is a second student (UDML)."""
        roles = {name: name.lower() for name in self._models}
        learns = "Teacher" in roles and self._models["Teacher"].get("freeze_params") is not True
        if learns and "Student2" in roles:
            raise ConfigError(
                f"{self._architecture.key('Models')}.Teacher.freeze_params: expected true beside two students; three "
                "models that learn are not supported"
            )
        if learns:
            roles["Teacher"] = "student2"
        return roles

    def _parts(self, name: str) -> dict[str, Any]:
        parts = {
            key: {own: value for own, value in part.items() if own != "pretrained"} if isinstance(part, dict) else part
            for key, part in self._models[name].items()
        }
        return {key: value for key, value in parts.items() if key not in _OF_TRAINING and value is not None}

    def _network(self, name: str) -> Section:
        return Section(f"{self._architecture.key('Models')}.{name}", self._parts(name))

    def _own_loss(self, section: Section) -> Section:
        """The loss that a student has alone, as in a file of the student."""
        own = [(_OWN[name], keys) for name, keys in self._losses if name in _OWN]
        unknown = [name for name, _ in self._losses if name not in _OWN and name not in _TERMS]
        if unknown:
            known = [*_OWN, *_TERMS]
            raise ConfigError(
                f"{section.key('loss_config_list')}: unsupported loss {unknown[0]}{did_you_mean(unknown[0], known)};"
                f" supported: {', '.join(known)}"
            )
        if not own:
            raise ConfigError(f"{section.key('loss_config_list')}: no student learns from labels; add {_OWN_EXAMPLE}")
        values = [{key: keys.get(key) for key in keys.names() if key not in _OF_PAIRS} for _, keys in own]
        for _, keys in own:
            for key in _OF_PAIRS:
                keys.get(key)
        learn = [name for name, role in self._roles.items() if role != "teacher"]
        lists = [(keys.key("model_name_list"), list(keys.get("model_name_list") or [])) for _, keys in own]
        self._other_learners = [(key, named) for key, named in lists if {str(name) for name in named} != set(learn)]
        weights = [float(keys.number("weight", 1.0)) for _, keys in own]
        if len(own) == 1:
            self._own_weight = weights[0]
            return Section(own[0][1].path, {"name": own[0][0], **values[0]})
        self._own_weight = 1.0
        listed = [{name: value} for (name, _), value in zip(own, values, strict=True)]
        listed.sort(key=lambda entry: "CTCLoss" not in entry)
        by_name = {name: weight for (name, _), weight in zip(own, weights, strict=True)}
        first, *rest = (next(iter(entry)) for entry in listed)
        return Section(
            section.path,
            {
                "name": "MultiLoss",
                "loss_config_list": listed,
                "weight_1": by_name[first],
                "weight_2": by_name[rest[0]],
            },
        )

    def _weights(self, experiment: Experiment) -> None:
        """Where each network's weights are; PaddleOCR's checkpoints of a distillation contain those of all."""
        begun = experiment.get("trainer.start_from")
        whole = f"{begun}.pdparams" if begun else experiment.get("model.student.pretrained")
        if self._own_weight != 1.0:
            experiment.set("loss.own_weight", self._own_weight, "weight of the loss of the labels")
        for name, role in self._roles.items():
            given = self._models[name].get("pretrained")
            place = f"{self._architecture.key('Models')}.{name}.pretrained"
            if role == "student2":
                if given and given != self._models["Student"].get("pretrained"):
                    experiment.report("missing", place, given, "both students start from the weights of Student")
            elif given:
                path = given if str(given).endswith(".pdparams") else f"{given}.pdparams"
                experiment.set(f"model.{role}.pretrained", path, f"{place}: the file must exist")
            elif role == "teacher" and whole:
                experiment.set("model.teacher.pretrained", whole, "the teacher's part of the student's file")
                experiment.set("model.teacher.pretrained_prefix", "Teacher", "its names in that file")
            elif role == "teacher":
                experiment.report(
                    "missing", place, None, "the fixed teacher has no weights", "set model.teacher.pretrained=FILE"
                )

    def _term(self, experiment: Experiment, name: str, section: Section, place: int) -> None:
        kind, options, fixed = _TERMS[name]
        key = f"loss.terms.{_term_name(section, kind, place)}"
        experiment.set(f"{key}._target_", f"ocrexp.losses.distill_terms.{kind}", section.path)
        output = self._output(experiment, section, kind)
        experiment.set(f"{key}.output", output, section.key("key"))
        experiment.set(f"{key}.pairs", self._pairs(section), section.key("model_name_pairs"))
        experiment.set(f"{key}.weight", section.number("weight", 1.0), section.key("weight"))
        for option in options:
            experiment.take(section, option, f"{key}.{option}")
        of_label = {"KLDiv": {"reduction": "label"}, "DKD": {"target": "label"}} if output == "nrtr" else {}
        for option, value in {**fixed, **of_label.get(kind, {})}.items():
            experiment.set(f"{key}.{option}", value, "as PaddleOCR's class")
        maps = section.get("maps_name")
        if maps is not None:
            if maps not in _MAPS:
                raise ConfigError(
                    f"{section.key('maps_name')}: expected one of {', '.join(_MAPS)}, got {maps}; PaddleOCR gives "
                    "any other name loss 0"
                )
            experiment.set(f"{key}.map", _MAPS[maps], section.key("maps_name"))
        if kind in ("DilatedMaps", "MeanCTC"):
            experiment.drop(section, dict.fromkeys(_IGNORED, "PaddleOCR's class has one value, whatever is given"))
        for read in _OF_PAIRS:
            section.get(read)

    def _pairs(self, section: Section) -> list[list[str]]:
        pairs = section.get("model_name_pairs") or []
        if pairs and isinstance(pairs[0], str):
            pairs = [pairs]
        for pair in pairs:
            if unknown := [name for name in pair if name not in self._roles]:
                raise ConfigError(
                    f"{section.key('model_name_pairs')}: there is no model {unknown[0]}"
                    f"{did_you_mean(unknown[0], self._roles)}"
                )
        return [[self._roles[name] for name in pair] for pair in pairs]

    def _output(self, experiment: Experiment, section: Section, kind: str) -> str:
        """The output that a loss compares; features get an entry of `model.features`."""
        key = section.text("key")
        if key == "backbone_out":
            layers = dict.fromkeys(self._roles.values(), "backbone")
            experiment.set("model.features.backbone", layers, section.key("key"))
            return "backbone"
        if key == "maps":
            return "maps"
        if key not in ("head_out", ""):
            raise ConfigError(f"{section.key('key')}: expected head_out, backbone_out or maps, got {key}")
        if kind == "MeanCTC":
            return "ctc"
        head = section.text("dis_head")
        if section.get("multi_head") is not True:
            return "maps" if self._models["Student"].get("model_type") == "det" else "ctc"
        return {"gtc": "nrtr", "": "ctc"}.get(head, head)


_OWN_EXAMPLE = "DistillationCTCLoss or DistillationDBLoss"


def _term_name(section: Section, kind: str, place: int) -> str:
    name = section.text("name")
    return name if name.isidentifier() and not name.startswith("loss") else f"{kind.lower()}_{place}"


def _to(role: str) -> Callable[[str], str]:
    """Moves a model's groups and keys to a network, and the loss of the task to the student's own."""

    def renamed(name: str) -> str:
        if name == "model" or name.startswith(("model/", "model.")):
            separator = "/" if "." not in name else "."
            return f"model{separator}{role}{name[5:]}"
        if name == "loss":
            return "loss@loss.own"
        return f"loss.own.{name[5:]}" if name.startswith("loss.") else name

    return renamed


def _report_unread(experiment: Experiment, section: Section) -> None:
    """Report keys that the conversion did not read, as those of the rest of the file."""
    for key, value, hint in section.unread():
        if value is not None:
            why = "unknown key; PaddleOCR silently accepts a misspelled one"
            experiment.report("missing", key, value, why, hint.removeprefix("; "))


def _plain_section(section: Section, names: Mapping[str, str]) -> Section:
    """A section of all models as that of the student alone."""
    values = {key: section.get(key) for key in section.names()}
    for key in ("model_name", "key", "multi_head"):
        values.pop(key, None)
    base = values.pop("base_metric_name", None)
    name = values.get("name")
    if name is not None:
        values["name"] = base or names.get(str(name), name)
    return Section(section.path, values)
