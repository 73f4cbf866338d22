"""Exported recognizers: lines read alone and together, characters that fit the network or do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ocrexp[onnx]'")

from ocrexp.deploy import TextRecognizer
from ocrexp.errors import DeployError


def test_lines_are_read_with_their_scores(make_rec, line) -> None:
    recognizer = TextRecognizer(make_rec())
    results, seconds = recognizer([line("a-b-a"), line("bab"), line("---")])
    assert [text for text, _ in results] == ["aba", "bab", ""]
    assert results[0][1] > 0.9
    assert results[2][1] == 0  # no text, no score
    assert seconds > 0
    assert recognizer([]) == ([], pytest.approx(0, abs=1))
    assert recognizer(line("ab"))[0][0][0] == "ab"  # a single image is a call of one


def test_a_line_does_not_depend_on_the_others_of_the_call(make_rec, line) -> None:
    rng = np.random.default_rng(0)
    lines = [line("".join(rng.choice(list("ab-"), n)), width=int(rng.integers(5, 30))) for n in rng.integers(1, 20, 40)]
    for image in lines:
        image[:] = np.clip(image + rng.normal(0, 60, image.shape), 0, 255)
    recognizer = TextRecognizer(make_rec(), threads=2)
    together = recognizer(lines)[0]
    for alone, (text, score) in zip((recognizer([image])[0][0] for image in lines), together, strict=True):
        assert alone[0] == text
        assert alone[1] == pytest.approx(score, abs=1e-6)
    backwards = recognizer(lines[::-1])[0][::-1]
    assert [text for text, _ in backwards] == [text for text, _ in together]
    assert TextRecognizer(make_rec("other"), rec_batch_num=1, threads=1)(lines)[0] == together


def test_the_width_follows_the_models_own_rule(make_rec, line, monkeypatch) -> None:
    shapes = []
    for widen, expected in ((True, [64, 160]), (False, [64, 64])):
        recognizer = TextRecognizer(make_rec(f"rec{widen}", widen=widen))
        run = recognizer.backend.run_all
        monkeypatch.setattr(recognizer.backend, "run_all", lambda x, run=run: shapes.append(x.shape[3]) or run(x))
        recognizer([line("ab"), line("ababababab")])
        assert sorted(shapes) == expected
        shapes.clear()
    assert TextRecognizer(make_rec("shape"), rec_image_shape="3, 8, 40").resize.image_shape == (8, 40)
    with pytest.raises(DeployError, match=r"rec_image_shape: expected .* got wide"):
        TextRecognizer(make_rec("shape2"), rec_image_shape="wide")


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 1), (20, 20000), (4000, 2)])
def test_lines_of_any_size_are_read(make_rec, shape) -> None:
    results, _ = TextRecognizer(make_rec())([np.full((*shape, 3), 255, np.uint8)])
    assert results[0][0] in ("b", "")


def test_an_empty_line_is_named(make_rec, line) -> None:
    with pytest.raises(DeployError, match="image 1 of the call: has no pixels"):
        TextRecognizer(make_rec())([line("a"), np.zeros((0, 0, 3), np.uint8)])


def test_the_blank_that_clients_append_is_settled_by_the_classes(make_rec, tmp_path: Path, line) -> None:
    # Three classes and two characters: all there. Four: the client's blank is the last.
    for classes in (3, 4):
        folder = make_rec(f"rec{classes}", classes=classes)
        yml = folder / "inference.yml"
        content = yaml.safe_load(yml.read_text())
        del content["Ocrexp"]  # as another program writes it
        content["PreProcess"]["transform_ops"][1]["RecResizeImg"]["image_shape"] = [3, 16, 64]
        yml.write_text(yaml.safe_dump(content))
        assert TextRecognizer(folder)([line("ab")])[0][0][0] == "ab"
    with pytest.raises(DeployError, match=r"has 3 classes, but the 3 characters of .* need 4; "):
        TextRecognizer(tmp_path / "rec3", use_space_char=True, rec_char_dict_path=_dictionary(tmp_path, "ab"))


def test_a_blank_that_the_export_holds_already_may_be_asked_for(make_rec, line) -> None:
    # As PaddleOCR's users always do. Its meaning, one more blank, cannot hold for these classes.
    folder = make_rec(characters="ab ", classes=4)
    for asked in (None, False, True):
        assert TextRecognizer(folder, use_space_char=asked)([line("ab")])[0][0][0] == "ab"


def _dictionary(folder: Path, characters: str) -> Path:
    path = folder / "dict.txt"
    path.write_text("\r\n".join(characters) + "\r\n", encoding="utf-8-sig")
    return path


def test_characters_come_from_a_dictionary_or_the_onnx_file(make_rec, tmp_path: Path, line) -> None:
    folder = make_rec("bare", file="model.onnx", metadata={"character": "x\ny"})
    windows = make_rec("windows", file="model.onnx", metadata={"character": "\u2028\r\ny\r\n"})
    assert TextRecognizer(windows)([line("ab", height=48, width=96)])[0][0][0] == "\u2028y"
    # Without a description PaddleOCR's defaults hold: 48 × 320.
    image = line("ab", height=48, width=96)
    assert TextRecognizer(folder / "model.onnx")([image])[0][0][0] == "xy"
    assert TextRecognizer(folder, rec_char_dict_path=_dictionary(tmp_path, "éñ"))([image])[0][0][0] == "éñ"
    with pytest.raises(DeployError, match="set rec_char_dict_path=DICTIONARY"):
        TextRecognizer(make_rec("mute", file="model.onnx"))
    with pytest.raises(DeployError, match="cannot be read"):
        TextRecognizer(folder, rec_char_dict_path=tmp_path / "none.txt")


def test_characters_that_are_not_the_networks_are_refused(make_rec, tmp_path: Path) -> None:
    folder = make_rec("rec", characters="abcd")
    with pytest.raises(DeployError, match=r"has 3 classes, but the 4 characters of .* need 5") as error:
        TextRecognizer(folder)
    assert "\n" not in str(error.value)
    folder = make_rec("swapped")
    yml = folder / "inference.yml"
    content = yaml.safe_load(yml.read_text())
    content["PostProcess"]["character_dict"] = ["b", "a"]
    yml.write_text(yaml.safe_dump(content))
    with pytest.raises(DeployError, match="fingerprint mismatch"):
        TextRecognizer(folder)


def test_bad_arguments_are_refused(make_rec, make_det) -> None:
    with pytest.raises(DeployError, match=r"rec_batch_num.*0"):
        TextRecognizer(make_rec(), rec_batch_num=0)
    with pytest.raises(DeployError, match=r"recognizer, got a detector"):
        TextRecognizer(make_det())
