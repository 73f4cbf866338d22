"""CTC with labels that do not keep the case."""

import numpy as np
import paddle
import pytest

from ocrexp.losses.cases import CaseGroups
from ocrexp.losses.ctc import CTCLoss

ENTRIES = ("a", "B", "A", "b", "1", "ß", " ")


def batch_of(labels: list[list[int]]) -> dict[str, paddle.Tensor]:
    width = max(map(len, labels))
    padded = [[*label, *[0] * (width - len(label))] for label in labels]
    return {"label_ctc": paddle.to_tensor(padded), "length": paddle.to_tensor([len(label) for label in labels])}


def test_a_group_is_a_character_in_all_cases() -> None:
    groups = CaseGroups(ENTRIES)
    assert groups.count == 6  # the blank, a A, b B, 1, ß, space
    assert groups.labels(paddle.to_tensor([[1, 2, 3, 4], [5, 6, 7, 0]])).tolist() == [[1, 2, 1, 2], [3, 4, 5, 0]]
    logits = paddle.randn([2, 3, 8])
    probability = paddle.nn.functional.softmax(logits, axis=-1).numpy()
    joined = np.exp(groups.logits(logits).numpy())
    np.testing.assert_allclose(joined.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(joined[..., 1], probability[..., 1] + probability[..., 3], atol=1e-6)
    np.testing.assert_allclose(joined[..., [0, 3, 4, 5]], probability[..., [0, 5, 6, 7]], atol=1e-6)


def test_characters_of_equal_form_and_empty_entries_stay_apart() -> None:
    assert CaseGroups(("a", "a", "", "A")).count == 4


def test_a_text_in_another_case_than_its_label_costs_nothing() -> None:
    """A model is sure of `ab`, the label is `AB`: loss and gradients are 0 only if the case is ignored."""
    steps = paddle.full([1, 5, 8], -20.0)
    for step, index in enumerate((1, 0, 4, 0, 0)):
        steps[0, step, index] = 20.0
    losses, gradients = {}, {}
    for case in ("keep", "ignore"):
        logits = steps.clone()
        logits.stop_gradient = False
        loss = CTCLoss(case=case)
        loss.know_characters(ENTRIES)
        value = loss({"ctc": logits}, batch_of([[3, 2]]))["loss"]
        value.backward()
        losses[case], gradients[case] = float(value), logits.grad.numpy()
    assert losses["keep"] > 50
    assert losses["ignore"] == pytest.approx(0, abs=1e-4)
    assert np.isfinite(gradients["ignore"]).all()
    assert np.abs(gradients["ignore"]).max() < 1e-4


def test_gradients_are_those_of_the_joined_probabilities() -> None:
    """Against a numerical derivative."""
    loss = CTCLoss(case="ignore")
    loss.know_characters(ENTRIES)
    logits, batch = paddle.randn([2, 6, 8]), batch_of([[1, 2, 5], [7, 6]])
    logits.stop_gradient = False
    loss({"ctc": logits}, batch)["loss"].backward()
    for place in ((0, 1, 1), (0, 2, 3), (1, 3, 7)):
        values = []
        for shift in (-1e-2, 1e-2):
            moved = logits.detach().clone()
            moved[place] = moved[place] + shift
            values.append(float(loss({"ctc": moved}, batch)["loss"]))
        assert float(logits.grad[place]) == pytest.approx((values[1] - values[0]) / 2e-2, abs=2e-3)


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^case: expected keep or ignore, got 'upper'"):
        CTCLoss(case="upper")  # type: ignore[arg-type]
