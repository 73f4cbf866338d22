"""Drawn text of scripts whose letters join, stack or run from the right: in the order that labels are learned in."""

import itertools

import cv2
import numpy as np
import pytest

from ocrexp.charset.direction import mirrored
from ocrexp.data.synth import shaping
from ocrexp.data.synth.fonts import FontSet, bundled_fonts, can_draw, load_font
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.rec_materials import checked_characters
from ocrexp.data.synth.shaping import needs_shaping, pieces_of
from ocrexp.data.synth.sprites import INK, draw_line
from ocrexp.errors import ConfigError, DataError

FONT = next(str(path) for path in bundled_fonts() if path.stem == "DejaVuSans")
raqm = pytest.mark.skipif(not shaping.has_raqm(), reason="Pillow has no raqm: apt-get install libfribidi0")

HEBREW = "אבגדהוזחטיכלמנסעפצקרשת"
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"


def glyphs(text: str, **keys) -> list[np.ndarray]:
    """The separate shapes of a drawn line, from left to right, each cut to its ink."""
    sprite = draw_line(text.split(" "), FONT, 40, **keys)
    assert sprite is not None
    ink = (sprite.mask > INK).astype(np.uint8)
    columns = ink.any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], columns, [False]]).astype(np.int8)))
    return [ink[:, start:end] for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def same(first: np.ndarray, second: np.ndarray) -> bool:
    first, second = (shape[np.flatnonzero(shape.any(axis=1))] for shape in (first, second))
    return first.shape == second.shape and (first != second).mean() < 0.05


@raqm
@pytest.mark.parametrize("text", ["שלם", "בדה 12-34", "בדה 12% ד", "abc בד", "12 בד 34", "בד 1.5", "(בד) 7", "xבד y"])
def test_a_right_to_left_line_is_drawn_in_the_order_of_its_classes(text: str) -> None:
    """Letter by letter: what is seen from the left is what the charset turns the label into."""
    seen = [c for c in mirrored(list(text), set(text) | set("()")) if c != " "]
    shapes = glyphs(text)
    expected = [shape for c in seen for shape in glyphs(c)]
    assert len(shapes) == len(expected)
    assert all(same(shape, other) for shape, other in zip(shapes, expected, strict=True))


@raqm
def test_arabic_letters_join() -> None:
    joined, apart = glyphs("بتثس"), [shape for c in "بتثس" for shape in glyphs(c)]
    assert len(joined) == 1 < len(apart)
    assert len(glyphs("بت\u200cثس")) == 2  # a non-joiner parts them
    assert len(glyphs("بتثس", tracking=0.3)) == 1  # wide spacing would tear them apart


@raqm
def test_marks_are_set_on_their_letters() -> None:
    bare, marked = draw_line(["ב"], FONT, 40), draw_line(["בָּ"], FONT, 40)
    assert bare is not None and marked is not None
    assert abs(bare.mask.shape[1] - marked.mask.shape[1]) <= 2
    assert marked.mask.shape[0] > bare.mask.shape[0]
    accent = draw_line(["x\u0301"], FONT, 40)
    plain = draw_line(["x"], FONT, 40)
    assert accent is not None and plain is not None
    assert accent.mask.shape[0] > plain.mask.shape[0] + 3
    assert abs(accent.mask.shape[1] - plain.mask.shape[1]) <= 3


@raqm
def test_words_of_a_right_to_left_line_keep_their_logical_order_and_their_places() -> None:
    sprite = draw_line(["שלום", "abc", "דה"], FONT, 30)
    assert sprite is not None
    assert sprite.text == "שלום abc דה"
    lefts = [box[0, 0] for _, box in sprite.words]
    assert lefts == sorted(lefts, reverse=True)
    ink = sprite.mask > INK
    assert ink[:, 0].sum() == ink[:, -1].sum() == 0  # no letter is cut off


def test_words_that_are_torn_apart_make_their_line_one_piece() -> None:
    assert [piece.text for piece in pieces_of(["אב", "(abc", "def)", "גד"])] == ["אב (abc def) גד"]
    assert [piece.text for piece in pieces_of(["אב", "12", "גד"])] == ["גד", "12", "אב"]
    assert [(piece.text, piece.drawn) for piece in pieces_of(["ab", "é"])] == [("ab", "ab"), ("é", "é")]


def test_plain_texts_are_drawn_as_before() -> None:
    for text in ("abc", "Ærø", "жук", "ελ", "漢字", "가나"):
        assert not needs_shaping(text), text
    for text in ("אב", "سم", "हिन्दी", "กำ", "x\u0301", "ខ្មែរ", "မြန်မာ"):
        assert needs_shaping(text), text
    assert load_font(FONT, 20).layout_engine != load_font(FONT, 20, True).layout_engine or not shaping.has_raqm()


def test_marks_are_drawable_where_the_font_has_them() -> None:
    assert can_draw(FONT, "אָ") and can_draw(FONT, "بً") and can_draw(FONT, "x\u0301")
    assert can_draw(FONT, "می\u200cخواهم")
    assert not can_draw(FONT, "\u093f") and not can_draw(FONT, "\u0e49")  # Devanagari, Thai
    plain = next(str(path) for path in bundled_fonts() if path.stem == "cmr10")
    assert not can_draw(plain, "\u05b0")


@raqm
def test_a_script_without_a_font_is_one_line(tmp_path) -> None:
    data = SynthRec(str(tmp_path), 2, 2, characters="abकख\u093f")
    with pytest.raises(DataError, match=r"no font has Devanagari \('क'\); apt-get install .*system_fonts=true"):
        data.text("train", 0)
    words = tmp_path / "words.txt"
    words.write_text("กำ\nขา\n" * 3, encoding="utf-8")
    with pytest.raises(DataError, match="no font has Thai"):
        SynthRec(str(tmp_path), 2, 2, characters="กขาำ", words=str(words)).text("train", 0)


def test_a_dictionary_that_is_mostly_of_a_script_without_a_font_is_refused(tmp_path) -> None:
    dictionary = tmp_path / "keys.txt"
    dictionary.write_text("\n".join("ab1.λ票发書中文字典"), encoding="utf-8")
    with pytest.raises(DataError, match=r"no font has Chinese \('票'\); apt-get install fonts-noto-cjk.*fonts="):
        SynthRec(str(tmp_path), 2, 2, dictionary=str(dictionary)).text("train", 0)
    with pytest.raises(ConfigError, match=r"dictionary .*none\.txt: cannot be read .*; give a text file"):
        SynthRec(str(tmp_path), 2, 2, dictionary=str(tmp_path / "none.txt"))


def test_pillow_without_raqm_is_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shaping, "has_raqm", lambda: False)
    with pytest.raises(DataError, match=r"Arabic .*Pillow needs raqm. pip install .*libfribidi0") as error:
        SynthRec(str(tmp_path), 2, 2, characters="ab" + ARABIC).text("train", 0)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="Hebrew"):
        draw_line(["אב"], FONT, 20)
    assert draw_line(["ab"], FONT, 20) is not None


@raqm
def test_random_strings_have_marks_on_letters_of_their_script_only() -> None:
    characters = HEBREW + ARABIC + "ab1" + "\u05b8\u05bc\u064b\u0651\u0301\u200c"
    data = SynthRec(None, 400, 2, characters=characters, texts={"random": 1})
    marked = 0
    for index in range(150):
        text = data.text("train", index)
        assert "\u200c" not in text
        for before, character in itertools.pairwise(f" {text}"):
            if shaping.is_mark(character):
                marked += 1
                assert before.isalpha()
                assert character == "\u0301" or shaping.script_of(before) == shaping.script_of(character)
    assert marked > 10


@raqm
def test_a_drawn_right_to_left_word_keeps_its_label_in_logical_order(tmp_path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{a}{b}{c}\n" for a in HEBREW[:6] for b in HEBREW[6:12] for c in "אב"), encoding="utf-8")
    data = SynthRec(str(tmp_path), 4, 4, characters=HEBREW, words=str(words), texts={"word": 1}, difficulty=0,
                    punctuation=0)  # fmt: skip
    word = data.draw("train", 0)
    assert word.text in words.read_text("utf-8").split()
    assert word.label == word.text
    assert cv2.cvtColor(word.image, cv2.COLOR_BGR2GRAY).std() > 10
    assert data.settings({"train": 4, "val": 4})["shaped"] is True
    assert "shaped" not in SynthRec(str(tmp_path), 4, 4, characters="abc").settings({"train": 4, "val": 4})


def test_joiners_may_be_among_the_characters() -> None:
    assert checked_characters("ab\u200c") == "ab\u200c"


def test_fonts_of_one_script_count_as_fonts_of_the_system(monkeypatch, tmp_path) -> None:
    from ocrexp.data.synth import fonts

    monkeypatch.setattr(fonts, "SYSTEM_FOLDERS", (tmp_path,))
    (tmp_path / "Thai.ttf").write_bytes(b"")
    monkeypatch.setattr(fonts, "fonts_in", lambda folder: [folder / "Thai.ttf"])
    monkeypatch.setattr(fonts, "can_draw", lambda path, text: text == "กร")
    assert str(tmp_path / "Thai.ttf") in FontSet(system=True).paths
