"""The recognition losses equal PaddleOCR 2.10's recorded values and gradients, and are right where those are not."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.errors import ConfigError
from ocrexp.losses.ctc import CTCLoss
from ocrexp.losses.multi import MultiLoss
from ocrexp.losses.tokens import AttentionLoss, NRTRLoss, ParseQLoss, SARLoss, SATRNLoss, ViTSTRLoss


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    info = json.loads((golden / "rec" / "rec_losses.json").read_text())
    with np.load(golden / "rec" / "rec_losses.npz") as arrays:
        return info, dict(arrays)


SAR36 = SARLoss(ignore_index=36)
# Recorded case: our loss, our names of its inputs.
CASES: dict[str, tuple[Any, list[str]]] = {
    "CTCLoss.feasible_rows.focal_false": (CTCLoss(), ["ctc", "label_ctc", "length"]),
    "CTCLoss.feasible_rows.focal_true": (CTCLoss(use_focal_loss=True), ["ctc", "label_ctc", "length"]),
    "CTCLoss.confident.focal_false": (CTCLoss(), ["ctc", "label_ctc", "length"]),
    "CTCLoss.confident.focal_true": (CTCLoss(use_focal_loss=True), ["ctc", "label_ctc", "length"]),
    "AttentionLoss": (AttentionLoss("sum", padding=True), ["attention", "label_attention", "length"]),
    "NRTRLoss": (NRTRLoss(), ["nrtr", "label_nrtr", "length"]),
    "NRTRLoss.smoothing_false": (NRTRLoss(smoothing=False), ["nrtr", "label_nrtr", "length"]),
    "CELoss.smoothing_true": (NRTRLoss(), ["nrtr", "label_nrtr", "length"]),
    "CELoss.smoothing_false.ignore_index_0": (NRTRLoss(smoothing=False), ["nrtr", "label_nrtr", "length"]),
    "CELoss.with_all_true.ignore_index_0": (ViTSTRLoss(), ["vitstr", "label_vitstr"]),
    "SARLoss.ignore_index_36": (SAR36, ["sar", "label_sar"]),
    "SARLoss.ignore_index_0": (SARLoss(ignore_index=0), ["sar", "label_sar"]),
    "MultiLoss.ctc_sar.default": (MultiLoss(CTCLoss(), SAR36), ["ctc", "label_ctc", "length", "sar", "label_sar"]),
    "MultiLoss.ctc_sar.weights_focal": (
        MultiLoss(CTCLoss(use_focal_loss=True), SAR36, 0.5, 2.0),
        ["ctc", "label_ctc", "length", "sar", "label_sar"],
    ),
    "MultiLoss.ctc_nrtr.default": (
        MultiLoss(CTCLoss(), NRTRLoss()),
        ["ctc", "label_ctc", "nrtr", "label_nrtr", "length"],
    ),
    "MultiLoss.ctc_nrtr.weights_nosmooth": (
        MultiLoss(CTCLoss(), NRTRLoss(smoothing=False), 0.5, 2.0),
        ["ctc", "label_ctc", "nrtr", "label_nrtr", "length"],
    ),
}
PARTS = {"loss": "loss", "CTCLoss": "loss_ctc", "SARLoss": "loss_sar", "NRTRLoss": "loss_nrtr"}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_the_recorded_ones(
    recorded: tuple[dict[str, Any], dict[str, np.ndarray]], name: str
) -> None:
    info, arrays = recorded
    loss, inputs = CASES[name]
    case = info["cases"][name]
    theirs = dict(zip(inputs, case["inputs"], strict=True))
    tensors = {ours: paddle.to_tensor(arrays[f"in.{array}"]) for ours, array in theirs.items()}
    logits = {key: tensor for key, tensor in tensors.items() if tensor.dtype == paddle.float32}
    for tensor in logits.values():
        tensor.stop_gradient = False
    losses = loss(logits, tensors)
    for part, value in case["losses"].items():
        assert float(losses[PARTS[part]]) == pytest.approx(value["value"], rel=1e-5), part
    losses["loss"].backward()
    for key, tensor in logits.items():
        gradient = tensor.grad.numpy()
        recorded_l2 = case["grads"][theirs[key]]["l2"]
        assert np.linalg.norm(gradient.astype(np.float64)) == pytest.approx(recorded_l2, rel=1e-4)
        index = arrays[f"{name}.grad.{theirs[key]}.index"]
        expected = arrays[f"{name}.grad.{theirs[key]}.value"]
        np.testing.assert_allclose(gradient.reshape(-1)[index], expected, atol=1e-5 * np.abs(gradient).max())


def ctc_batch(labels: list[list[int]]) -> dict[str, paddle.Tensor]:
    label = np.zeros((len(labels), 8), np.int64)
    for row, ids in zip(label, labels, strict=True):
        row[: len(ids)] = ids
    return {"label_ctc": paddle.to_tensor(label), "length": paddle.to_tensor([len(ids) for ids in labels])}


@pytest.mark.parametrize(
    ("label", "fits"), [([1, 2, 3], True), ([1, 1, 2], True), ([1, 1, 1], False), ([1] * 5, False)]
)
def test_a_ctc_label_that_does_not_fit_is_infinite_where_paddleocr_gives_zero(label: list[int], fits: bool) -> None:
    """Four steps: three characters and one blank between equal neighbours, no more."""
    logits = paddle.randn([2, 4, 5])
    loss = float(CTCLoss()({"ctc": logits}, ctc_batch([[1, 2], label]))["loss"])
    assert math.isfinite(loss) == fits
    assert loss > 0


def test_padding_of_a_ctc_label_is_no_repeat() -> None:
    logits = paddle.randn([1, 2, 5])
    assert math.isfinite(float(CTCLoss()({"ctc": logits}, ctc_batch([[1, 2]]))["loss"]))


def test_ctc_of_a_sure_model_is_the_sum_over_alignments() -> None:
    p = np.full((1, 2, 3), 1 / 3)
    # "a" in two steps: aa, a-, -a of nine equally likely paths.
    loss = float(CTCLoss()({"ctc": paddle.to_tensor(np.log(p))}, ctc_batch([[1]]))["loss"])
    assert loss == pytest.approx(-math.log(3 / 9), rel=1e-6)


def test_attention_counts_up_to_the_end_and_shifts_with_teacher_forcing() -> None:
    """Label sos a b eos, padded with sos; classes sos a b c eos."""
    label = paddle.to_tensor([[0, 1, 2, 4, 0, 0]])
    logits = paddle.randn([1, 5, 5])
    log_p = np.log(paddle.nn.functional.softmax(logits, axis=-1).numpy()[0])
    forced = AttentionLoss()({"attention": logits}, {"label_attention": label})["loss"]
    assert float(forced) == pytest.approx(-(log_p[0, 1] + log_p[1, 2] + log_p[2, 4]) / 3, rel=1e-5)
    free = paddle.randn([1, 6, 5])
    log_p = np.log(paddle.nn.functional.softmax(free, axis=-1).numpy()[0])
    loss = AttentionLoss()({"attention": free}, {"label_attention": label})["loss"]
    assert float(loss) == pytest.approx(-(log_p[0, 0] + log_p[1, 1] + log_p[2, 2] + log_p[3, 4]) / 4, rel=1e-5)
    with pytest.raises(ConfigError, match=r"3 steps for labels of 6; make max_text_length"):
        AttentionLoss()({"attention": free[:, :3]}, {"label_attention": label})


def test_sar_padding_follows_from_the_number_of_classes() -> None:
    """Characters a b, unknown 2, begin/end 3, padding 4 (never predicted)."""
    label = paddle.to_tensor([[3, 0, 1, 3, 4, 4]])
    logits = paddle.randn([1, 6, 4])
    log_p = np.log(paddle.nn.functional.softmax(logits, axis=-1).numpy()[0])
    loss = float(SARLoss()({"sar": logits}, {"label_sar": label})["loss"])
    assert loss == pytest.approx(-(log_p[0, 0] + log_p[1, 1] + log_p[2, 3]) / 3, rel=1e-5)


def test_parseq_learns_the_end_from_the_first_two_orders_only() -> None:
    """End 0, characters 1 2, begin 3, padding 4: the label a, end, padding."""
    label = paddle.to_tensor([[3, 1, 0, 4]])
    logits = paddle.randn([3, 1, 3, 3])
    log_p = np.log(paddle.nn.functional.softmax(logits, axis=-1).numpy()[:, 0])
    wanted = [log_p[0, 0, 1], log_p[0, 1, 0], log_p[1, 0, 1], log_p[1, 1, 0], log_p[2, 0, 1]]
    loss = float(ParseQLoss()({"parseq": logits}, {"label_parseq": label})["loss"])
    assert loss == pytest.approx(-np.mean(wanted), rel=1e-5)


def test_half_precision_logits_are_computed_in_float32() -> None:
    half = paddle.randn([2, 6, 5]).astype("bfloat16")
    batch = ctc_batch([[1, 2], [3]])
    with paddle.amp.auto_cast(dtype="bfloat16", level="O1"):
        loss = CTCLoss()({"ctc": half}, batch)["loss"]
    assert loss.dtype == paddle.float32
    assert float(loss) == float(CTCLoss()({"ctc": half.astype("float32")}, batch)["loss"])


def test_wrong_values_are_refused_with_the_key() -> None:
    with pytest.raises(ValueError, match=r"reduction: expected mean or sum, got average"):
        AttentionLoss("average")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"eps: expected .*got 1"):
        NRTRLoss(eps=1)


def test_satrns_loss_divides_by_all_steps_as_in_paddleocr() -> None:
    outputs = {"satrn": paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)[:, :-1])}
    batch = {"label_satrn": paddle.to_tensor([[3, 0, 1, 3, 5, 5], [3, 2, 2, 1, 0, 3]])}  # padding 5: 2 of 10 steps
    assert float(SATRNLoss(all_steps=True)(outputs, batch)["loss"]) == pytest.approx(1.31340063)  # PaddleOCR 2.9.1's
    assert float(SATRNLoss()(outputs, batch)["loss"]) == pytest.approx(1.31340063 * 10 / 8)
