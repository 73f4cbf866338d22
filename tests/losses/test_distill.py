"""The terms of a distillation equal PaddleOCR 2.10's recorded values and gradients, but where those are not meant."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from golden_maps import SHAPE, stacked_targets

from ocrexp.errors import ConfigError
from ocrexp.losses.ctc import CTCLoss
from ocrexp.losses.db import DBLoss
from ocrexp.losses.distill import DistillLoss
from ocrexp.losses.distill_term import Term
from ocrexp.losses.distill_terms import DKD, DML, KLJS, DilatedMaps, Distance, KLDiv, MeanCTC
from ocrexp.losses.multi import MultiLoss
from ocrexp.losses.tokens import NRTRLoss

BOTH_WAYS = [["student", "student2"]]
# Recorded case: our term of the output `x` (pairs), or of the heads.
TERMS: dict[str, Term] = {
    "DMLLoss.act_softmax.use_log_false": DML("x", act="softmax"),
    "DMLLoss.act_softmax.use_log_true": DML("x", act="softmax", use_log=True),
    "DMLLoss.act_sigmoid.use_log_false": DML("x", act="sigmoid"),
    "DMLLoss.act_sigmoid.use_log_true": DML("x", act="sigmoid", use_log=True),
    "DMLLoss.probabilities": DML("x"),
    "KLJSLoss.kl.mean": KLJS("x", BOTH_WAYS),
    "KLJSLoss.kl.sum": KLJS("x", BOTH_WAYS, reduction="sum"),
    "KLJSLoss.js.mean": KLJS("x", BOTH_WAYS, mode="js"),
    "KLJSLoss.js.sum": KLJS("x", BOTH_WAYS, mode="js", reduction="sum"),
    "DistanceLoss.l1": Distance("x", BOTH_WAYS, mode="l1"),
    "DistanceLoss.l2": Distance("x", BOTH_WAYS),
    "DistanceLoss.smooth_l1": Distance("x", BOTH_WAYS, mode="smooth_l1"),
    "KLDivLoss": KLDiv("x", BOTH_WAYS, reduction="images"),
    "rec.DistillationDMLLoss.0": DML("x", act="softmax", use_log=True),
    "rec.DistillationDMLLoss.1": DML("x", act="softmax"),
    "rec.DistillationDistanceLoss.2": Distance("x", BOTH_WAYS),
    "rec.DistillationKLDivLoss.3": KLDiv("x", BOTH_WAYS, reduction="images"),
    "multihead.DistillationDMLLoss.0": DML("ctc", act="softmax", use_log=True),
    "multihead.DistillationDMLLoss.1": DML("nrtr", act="softmax", use_log=True),
    "multihead.DistillationKLDivLoss.2": KLDiv("nrtr", BOTH_WAYS, reduction="label"),
    "multihead.DistillationDKDLoss.3": DKD("nrtr", BOTH_WAYS, alpha=1, beta=2, target="label"),
    "multihead.DistillCTCLogits.8": MeanCTC("ctc", BOTH_WAYS),
}
# What is not compared here, and why.
ELSEWHERE = {
    "DMLLoss.act_none.use_log_false": "NaN: logits are taken for probabilities",
    "KLDivLoss.mask": "the mask is that of the label here: multihead.DistillationKLDivLoss.2",
    "DKDLoss": "any target: test_dkd_of_any_target",
    "DKDLoss.temperature_2.0.alpha_1.0.beta_8.0": "any target: test_dkd_of_any_target",
    "basic_CELoss.epsilon_none": "no shipped configuration distills with it",
    "basic_CELoss.epsilon_0.1": "no shipped configuration distills with it",
    "multihead.DistillationNRTRDMLLoss.4": "PaddleOCR raises TypeError",
    "multihead.DistillationCTCLoss.5": "the task's loss of each student: test_the_combination_of_a_recognizer",
    "multihead.DistillationNRTRLoss.6": "the task's loss of each student: test_the_combination_of_a_recognizer",
    "multihead.DistillationNRTRLoss.7": "padding counts in PaddleOCR and never here",
    "CombinedLoss.rec": "test_the_combination_of_a_recognizer",
}


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    info = json.loads((golden / "losses" / "distillation.json").read_text())
    with np.load(golden / "losses" / "distillation.npz") as arrays:
        return info, dict(arrays)


def heads(arrays: dict[str, np.ndarray]) -> tuple[dict[str, paddle.Tensor], dict[str, paddle.Tensor]]:
    def given(name: str) -> paddle.Tensor:
        return paddle.to_tensor(arrays[f"rec.in.{name}"], stop_gradient=False)

    outputs = {"student.ctc": given("ctc_logits"), "student.nrtr": given("nrtr_logits")}
    outputs |= {"student2.ctc": given("ctc_logits2"), "student2.nrtr": given("nrtr_logits2")}
    names = {"label_ctc": "ctc_label_mh", "label_nrtr": "nrtr_label", "length": "nrtr_length"}
    return outputs, {ours: paddle.to_tensor(arrays[f"rec.in.{theirs}"]) for ours, theirs in names.items()}


def check_gradient(
    case: str, tensor: paddle.Tensor, of: str, recorded: tuple[Any, dict[str, np.ndarray]], scale: float = 1
) -> None:
    info, arrays = recorded
    kind, _, name = case.partition("/")
    theirs = (info["rec"] if kind == "rec" else info["det"]["cases"])[name]["grads"][of]
    gradient = tensor.grad.numpy() * scale
    assert np.linalg.norm(gradient.astype(np.float64)) == pytest.approx(theirs["l2"], rel=2e-4), (case, of)
    index, value = (arrays[f"{kind}.{name}.grad.{of}.{what}"] for what in ("index", "value"))
    np.testing.assert_allclose(gradient.reshape(-1)[index], value, atol=2e-4 * np.abs(gradient).max(), err_msg=case)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_of_texts_equals_the_recorded_one(recorded: Any, name: str) -> None:
    info, arrays = recorded
    case, term = info["rec"][name], TERMS[name]
    if name.startswith("multihead"):
        outputs, batch = heads(arrays)
        named = {"ctc_logits": "student.ctc", "ctc_logits2": "student2.ctc"}
        named |= {"nrtr_logits": "student.nrtr", "nrtr_logits2": "student2.nrtr"}
    else:
        named = dict(zip(case["inputs"], ("student.x", "student2.x"), strict=False))
        batch, outputs = {}, {}
        for theirs, ours in named.items():
            outputs[ours] = paddle.to_tensor(arrays[f"rec.in.{theirs}"], stop_gradient=False)
    loss = term(outputs, batch)
    wanted = next(iter(case["losses"].values()))  # PaddleOCR gives a value for each image where it takes no logarithm
    assert float(loss) == pytest.approx(wanted.get("value", wanted.get("mean")), rel=1e-5)
    loss.backward()
    images = wanted["shape"][0] if wanted["shape"] else 1
    for theirs, ours in named.items():
        if case["grads"].get(theirs):
            check_gradient(f"rec/{name}", outputs[ours], theirs, recorded, images)


def test_each_recorded_case_is_compared_or_has_a_reason(recorded: Any) -> None:
    assert set(TERMS) | set(ELSEWHERE) == set(recorded[0]["rec"])


@pytest.mark.parametrize(
    ("name", "options"),
    [("DKDLoss", {}), ("DKDLoss.temperature_2.0.alpha_1.0.beta_8.0", {"temperature": 2, "beta": 8})],
)
def test_dkd_of_any_target(recorded: Any, name: str, options: dict[str, float]) -> None:
    info, arrays = recorded
    outputs = {
        ours: paddle.to_tensor(arrays[f"rec.in.{theirs}"])
        for ours, theirs in (("student.nrtr", "pair_a"), ("teacher.nrtr", "pair_b"))
    }
    target = arrays["rec.in.pair_target"]
    label = paddle.to_tensor(np.concatenate([np.zeros_like(target[:, :1]), target], axis=1))
    loss = DKD("nrtr", target="label", **options)(outputs, {"label_nrtr": label})
    assert float(loss) == pytest.approx(info["rec"][name]["losses"]["loss"]["value"], rel=1e-5)


def test_the_combination_of_a_recognizer(recorded: Any) -> None:
    outputs, batch = heads(recorded[1])
    own = {"ctc": outputs["student.ctc"], "nrtr": outputs["student.nrtr"]}
    terms = {
        "dml": DML("ctc", act="softmax", use_log=True),
        "guide": KLDiv("nrtr", BOTH_WAYS, weight=0.5, reduction="label"),
    }
    # PaddleOCR gives loss 0 to the label that does not fit into the steps; ours is infinite, so it is masked.
    theirs = recorded[0]["rec"]["CombinedLoss.rec"]["losses"]
    losses = DistillLoss(MultiLoss(CTCLoss(), NRTRLoss()), terms)({**own, **outputs}, batch)
    for ours, recorded_part in (
        ("loss_dml", "dml_ctc_0"),
        ("loss_guide", "dml_gtc_0"),
        ("loss_ctc", "loss_ctc_Student_0"),
        ("loss_nrtr", "loss_nrtr_Student_0"),
        ("loss", "loss"),
    ):
        assert float(losses[ours]) == pytest.approx(theirs[recorded_part]["value"], rel=1e-5), ours
    second = theirs["loss_ctc_Teacher_1"]["value"] + theirs["loss_nrtr_Teacher_1"]["value"]
    assert float(losses["loss_student2"]) == pytest.approx(second, rel=1e-5)


def page(recorded: Any, golden: Path) -> tuple[dict[str, paddle.Tensor], dict[str, paddle.Tensor]]:
    """The three networks' maps and the targets."""
    members = recorded[0]["det"]["batch"]["members"]
    with np.load(golden / "targets" / "target_maps_synthetic.npz") as arrays:
        maps = stacked_targets(arrays, members)
    outputs = {}
    for network, about in recorded[0]["det"]["predictions"].items():
        u = np.random.Generator(np.random.PCG64(about["seed"])).random((4, 3, *SHAPE), dtype=np.float32)
        values = np.float32(0.01) + np.float32(0.98) * u
        if about["kind"] == "near_target":
            wanted = [maps[name] for name in ("shrink_map", "threshold_map", "shrink_map")]
            values = np.float32(0.7) * np.stack(wanted, axis=1).astype(np.float32)
            values = values + np.float32(0.25) * u + np.float32(0.02)
        outputs[f"{network.lower()}.maps"] = paddle.to_tensor(values, stop_gradient=False)
    return outputs, {name: paddle.to_tensor(value) for name, value in maps.items()}


TEACHES = [["student", "teacher"], ["student2", "teacher"]]
OF_MAPS: dict[str, tuple[Term, float]] = {  # and how often PaddleOCR's gradient counts ours: it has a value per image
    "DistillationDilaDBLoss.0": (DilatedMaps(pairs=TEACHES), 1),
    "DistillationDMLLoss.2": (DML("maps", map="shrink"), 4),
    "DistillationDMLLoss.4": (DML("maps", map="binary"), 4),
    "DistillationDistanceLoss.7": (Distance("maps", TEACHES), 1),
}


def test_terms_of_maps_equal_the_recorded_ones(recorded: Any, golden: Path) -> None:
    for name, (term, images) in OF_MAPS.items():
        outputs, batch = page(recorded, golden)
        loss = term(outputs, batch)
        losses = recorded[0]["det"]["cases"][name]["losses"]
        wanted = losses.get("loss") or {"value": sum(part["value"] for part in losses.values())}
        assert float(loss) == pytest.approx(wanted.get("value", wanted.get("mean")), rel=1e-5), name
        loss.backward()
        for network in ("Student", "Student2"):
            check_gradient(f"det/{name}", outputs[f"{network.lower()}.maps"], network, recorded, images)


def test_a_teachers_map_counts_as_it_is_and_where_labels_say_nothing() -> None:
    ours = paddle.full([1, 3, 4, 6], 0.5)
    theirs = paddle.zeros([1, 3, 4, 6])
    theirs[:, 0, 1, 1:3] = 0.4  # two pixels of text
    mask = paddle.ones([1, 4, 6], "int8")
    mask[:, :, 2:] = 0  # of which the labels ignore one

    def loss(**options: bool) -> float:
        outputs = {"student.maps": ours, "teacher.maps": theirs}
        return float(DilatedMaps(**options)(outputs, {"shrink_mask": mask}))

    def dice(text: int, pixels: int) -> float:
        return 6 * (1 - 2 * 0.5 * text / (0.5 * pixels + text))

    assert loss(dilate=False, unlabeled=False) == pytest.approx(dice(1, 8), rel=1e-5)
    assert loss(dilate=False, unlabeled=True) == pytest.approx(dice(2, 24), rel=1e-5)
    assert loss() == pytest.approx(dice(2, 8), rel=1e-5)  # the row below, too
    assert loss(unlabeled=True) == pytest.approx(dice(6, 24), rel=1e-5)


def test_cml_equals_ppocrv4s(recorded: Any, golden: Path) -> None:
    outputs, batch = page(recorded, golden)
    terms = {"teacher": DilatedMaps(pairs=TEACHES), "mutual": DML("maps", map="shrink")}
    losses = DistillLoss(DBLoss(), terms)({"maps": outputs["student.maps"], **outputs}, batch)
    theirs = recorded[0]["det"]["cases"]["CombinedLoss.PP-OCRv4_det_cml"]["losses"]
    assert float(losses["loss"]) == pytest.approx(theirs["loss"]["mean"], rel=1e-5)
    assert float(losses["loss_mutual"]) == pytest.approx(theirs["dml_thrink_maps_0"]["mean"], rel=1e-5)
    second = sum(value["value"] for name, value in theirs.items() if name.startswith("db_Student2"))
    assert float(losses["loss_student2"]) == pytest.approx(second, rel=1e-5)
    parts = sum(float(value) for name, value in losses.items() if name != "loss")
    assert parts == pytest.approx(float(losses["loss"]), rel=1e-6)


def test_a_wrong_name_and_other_sizes_are_told_in_one_line() -> None:
    small, large = paddle.zeros([1, 4, 5]), paddle.zeros([1, 8, 5])
    outputs = {"student.ctc": small, "teacher.ctc": large}
    with pytest.raises(ConfigError, match=r"ctc has the shape \[1, 4, 5\] in student and \[1, 8, 5\] in teacher"):
        KLDiv("ctc")(outputs, {})
    with pytest.raises(ConfigError, match=r"student gives no output ctx; .*did you mean ctc\?"):
        KLDiv("ctx")(outputs, {})
    with pytest.raises(ConfigError, match=r"names student2, but the model has student, teacher"):
        DML("ctc")(outputs, {})
    with pytest.raises(ConfigError, match=r"ctc has no label for each step; use target=teacher"):
        DKD("ctc", target="label")({"student.ctc": small, "teacher.ctc": small}, {})
    maps = paddle.zeros([1, 7, 5, 5])  # of a detector that is not DB
    with pytest.raises(ConfigError, match=r"compares DB's maps.*choose other terms with loss/terms=NAME"):
        DilatedMaps()({"student.maps": maps, "teacher.maps": maps}, {})


def test_a_pair_is_two_networks_and_the_fixed_teacher_learns_nothing():
    for term, output in ((KLDiv, "ctc"), (DKD, "ctc"), (DilatedMaps, "maps"), (MeanCTC, "ctc")):
        with pytest.raises(ValueError, match=r"^pairs: expected the network that learns .*'teacher', 'student'"):
            term(output, pairs=[["teacher", "student"]])
    assert Distance("x", pairs=[["teacher", "student"]]).pairs == [
        ("teacher", "student")
    ]  # the same in both directions
    with pytest.raises(ValueError, match=r"^pairs: "):
        DML("ctc", pairs=[["student", "student2"], ["student", "student"]])
