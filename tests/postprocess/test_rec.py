"""Decoders read as PaddleOCR's do where those are right; the beam search is exact."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.charset import codecs
from ocrexp.charset.charset import Charset
from ocrexp.charset.sources import from_characters, from_dictionary
from ocrexp.errors import ConfigError
from ocrexp.postprocess.ctc import CTCBeamDecoder, CTCGreedyDecoder, beam_search
from ocrexp.postprocess.tokens import TokenDecoder

KINDS = {"AttnLabelDecode": "attention", "NRTRLabelDecode": "nrtr", "SARLabelDecode": "sar"}
# Where PaddleOCR prints special tokens or reads on after the end, what is right.
RIGHT = {
    "AttnLabelDecode": {"abcdxyz": "abcd"},
    "NRTRLabelDecode": {"<s>abc": "abc", "blank<unk>ab": "ab", "aabb<s><s>blank": "aabb"},
    "SARLabelDecode": {"abcd<UKN>": "abcd"},
}


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    info = json.loads((golden / "rec" / "rec_decode.json").read_text())
    with np.load(golden / "rec" / "rec_decode.npz") as arrays:
        return info["decoders"], dict(arrays)


def charset_of(config: dict[str, Any], golden: Path) -> Charset:
    if config.get("character_dict_path"):
        return from_dictionary(str(golden / "rec" / "en_dict.txt"), use_space_char=config["use_space_char"])
    return from_characters("0123456789abcdefghijklmnopqrstuvwxyz")


def test_greedy_texts_and_scores_equal_the_recorded_ones(
    recorded: tuple[dict[str, Any], dict[str, np.ndarray]], golden: Path
) -> None:
    decoders, arrays = recorded
    compared = 0
    for name, case in decoders.items():
        kind = name.split(".")[0]
        if f"{name}.probs" not in arrays or kind not in ("CTCLabelDecode", *KINDS):
            continue
        charset = charset_of(case["config"], golden)
        outputs = {KINDS.get(kind, "ctc"): arrays[f"{name}.probs"]}
        decoder = CTCGreedyDecoder(charset) if kind == "CTCLabelDecode" else TokenDecoder(charset, KINDS[kind])  # type: ignore[arg-type]
        for ours, theirs in zip(decoder(outputs, {}), case["outputs"], strict=True):
            right = RIGHT.get(kind, {}).get(theirs["text"], theirs["text"])
            assert ours.text == right, name
            assert len(ours.char_scores) == len(ours.text)
            if theirs["score"] == "nan":
                assert ours.score == 0
            elif right == theirs["text"]:
                assert ours.score == pytest.approx(theirs["score"], rel=1e-5)
            compared += 1
    assert compared > 40


def probabilities(steps: int, classes: int, seed: int, sharpness: float = 1.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).standard_normal((steps, classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def all_texts(p: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of every text, by summing every path."""
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        merged = tuple(key for key, _ in itertools.groupby(path) if key)
        totals[merged] = totals.get(merged, 0) + float(np.prod(p[np.arange(len(p)), path]))
    return totals


@pytest.mark.parametrize("seed", range(5))
def test_the_beam_search_is_exact_where_its_beam_holds_everything(seed: int) -> None:
    p = probabilities(5, 4, seed)
    totals = all_texts(p)
    found = beam_search(p, 2000)
    assert sum(np.exp(log) for _, log, _ in found) == pytest.approx(1)
    for text, log, steps in found:
        assert np.exp(log) == pytest.approx(totals[text])
        assert len(steps) == len(text)
        assert list(steps) == sorted(set(steps))
    assert found[0][0] == max(totals, key=totals.__getitem__)


def test_a_small_beam_finds_the_text_that_the_best_path_misses() -> None:
    # Graves' example: the best path is all blank, the best text "a".
    p = np.array([[0.6, 0.4], [0.6, 0.4]])
    charset = from_characters("a")
    assert CTCGreedyDecoder(charset)({"ctc": p[None]}, {})[0].text == ""
    beam = CTCBeamDecoder(charset, beam_width=2)({"ctc": p[None]}, {})[0]
    assert beam.text == "a"
    assert beam.char_scores == (0.4,)


def test_the_beam_search_keeps_repeats_apart_and_zero_probabilities_out() -> None:
    p = np.eye(3)[[1, 0, 1, 1, 2]]
    [(text, log, steps)] = beam_search(p, 10)
    assert (text, steps) == ((1, 1, 2), (0, 2, 4))
    assert log == pytest.approx(0)


def test_a_sure_model_is_read_alike_by_greedy_and_beam() -> None:
    charset = from_characters("abcdefg")
    p = np.stack([probabilities(20, 8, seed, sharpness=12) for seed in range(4)])
    greedy, beam = CTCGreedyDecoder(charset)({"ctc": p}, {}), CTCBeamDecoder(charset)({"ctc": p}, {})
    assert [r.text for r in greedy] == [r.text for r in beam]


def one_hot(ids: list[int], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[ids][None]


def test_token_decoders_stop_at_the_end_and_print_no_special_token() -> None:
    charset = from_characters("abc")
    cases: list[tuple[str, list[int], int]] = [
        ("attention", [0, 1, 2, 4, 3], 5),
        ("nrtr", [2, 4, 1, 5, 3, 6], 8),
        ("sar", [0, 3, 1, 4, 2], 5),
        ("parseq", [1, 2, 0, 3], 4),
        ("vitstr", [4, 2, 3, 1, 4], 5),
        ("visionlan", [1, 2, 0, 3], 4),
        ("srn", [3, 0, 1, 4, 2], 5),
        ("pren", [2, 3, 4, 1, 5], 6),
        ("seed", [5, 0, 1, 3, 2], 6),
    ]
    for kind, ids, classes in cases:
        [read] = TokenDecoder(charset, kind)({kind: one_hot(ids, classes)}, {})  # type: ignore[arg-type]
        assert read.text == "ab", kind
        assert read.char_scores == (1.0, 1.0)


def test_nrtr_reads_two_images_from_ids_as_from_any_number(
    recorded: tuple[dict[str, Any], dict[str, np.ndarray]],
) -> None:
    decoder = TokenDecoder(from_characters("abc"), "nrtr")
    ids = np.array([[2, 4, 5, 3, 0], [2, 6, 3, 0, 0]])
    scores = np.full(ids.shape, 0.5, np.float32)
    first, second = decoder({"nrtr_ids": ids, "nrtr_scores": scores}, {})
    assert (first.text, second.text) == ("ab", "c")
    assert first.score == 0.5


def test_another_charset_than_the_models_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"the model has 37 classes, but the charset \(the configured characters\) needs 4"
    ):
        CTCGreedyDecoder(from_characters("abc"))({"ctc": np.zeros((1, 5, 37))}, {})
    with pytest.raises(ValueError, match=r"beam_width: expected 1 or more, got 0"):
        CTCBeamDecoder(from_characters("abc"), beam_width=0)


@pytest.mark.parametrize("kind", codecs.KINDS)
def test_training_logits_are_read_beside_what_they_were_to_say(kind: Any) -> None:
    charset = from_characters("abc ")
    codec = charset.codec(kind)
    texts = ["ab c", "a"]
    labels = np.stack([codec.label(charset.encode(text), 6) for text in texts])
    batch = {f"label_{kind}": labels, "length": np.array([4, 1])}
    # Logits of a head that reads its labels right: the class after each step, or of each step.
    ahead = codec.start is not None and kind != "vitstr"
    wanted = labels[:, 1:] if ahead else labels
    logits = np.where(np.arange(codec.classes) == wanted[..., None], 5.0, -5.0).astype(np.float32)
    if kind == "parseq":
        logits = np.stack([logits, -logits])
    decoder = CTCGreedyDecoder(charset) if kind == "ctc" else TokenDecoder(charset, kind)
    predictions, references = decoder.learned({kind: logits}, batch)
    assert [reference.text for reference in references] == texts
    assert [prediction.text for prediction in predictions] == texts


def test_beam_search_reads_training_logits_too() -> None:
    charset = from_characters("ab")
    logits = np.log(np.array([[[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]])) + 3
    batch = {"label_ctc": np.array([[1, 2]]), "length": np.array([2])}
    predictions, references = CTCBeamDecoder(charset).learned({"ctc": logits}, batch)
    assert predictions[0].text == references[0].text == "ab"
    assert 0 < predictions[0].score <= 1
