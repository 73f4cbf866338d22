"""The charset encodes as PaddleOCR does where that is right, keeps Unicode whole, and says what it does not know."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import KINDS as CODECS
from ocrexp.charset.codecs import CTCCodec
from ocrexp.charset.sources import from_characters, from_dictionary, from_labels
from ocrexp.charset.unknown import UnknownCharacter
from ocrexp.errors import ConfigError, DataError

KINDS = {
    "CTCLabelEncode": "ctc",
    "AttnLabelEncode": "attention",
    "SARLabelEncode": "sar",
    "NRTRLabelEncode": "nrtr",
}


def dictionary(tmp_path: Path, content: bytes | str) -> str:
    path = tmp_path / "dict.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.fixture(scope="module")
def recorded(golden: Path) -> dict[str, Any]:
    return json.loads((golden / "rec" / "rec_encode.json").read_text())


def test_labels_equal_the_recorded_ones_where_all_is_known(recorded: dict[str, Any], golden: Path) -> None:
    compared = 0
    for name, encoder in recorded["encoders"].items():
        kind = KINDS.get(name.split(".")[0])
        if kind is None:
            continue
        space = encoder["config"]["use_space_char"]
        if encoder["config"]["dictionary"]:
            charset = from_dictionary(str(golden / "rec" / "en_dict.txt"), use_space_char=space)
        else:
            charset = from_characters("0123456789abcdefghijklmnopqrstuvwxyz", lower=True)
        codec = charset.codec(kind)
        assert codec.classes == encoder["classes"] - (space and not encoder["config"]["dictionary"])
        for text, theirs in zip(recorded["texts"], encoder["outputs"], strict=True):
            if theirs is None:
                continue
            try:
                positions = charset.encode(text)
            except UnknownCharacter:
                continue
            assert theirs["length"] == len(positions)
            ours = codec.label(positions, 12)
            label = np.array(theirs["label"])
            width = min(len(ours), len(label))
            np.testing.assert_array_equal(ours[:width], label[:width], err_msg=f"{name} {text!r}")
            assert (ours[width:] == codec.padding).all()
            compared += 1
    assert compared > 50


def test_every_kind_takes_max_text_length_characters() -> None:
    """PaddleOCR's attention, NRTR, SAR and PARSeq encoders reject or misshape the last one to three lengths."""
    charset = from_characters("ab")
    for kind in CODECS:
        codec = charset.codec(kind)
        labels = [codec.label([0] * length, 5) for length in range(1, 6)]
        assert {label.shape for label in labels} == {(codec.width(5),)}
        for length, label in enumerate(labels, start=1):
            assert codec.is_character(label).sum() == length
            assert charset.decode(codec.position(label[codec.is_character(label)])) == "a" * length
        with pytest.raises(ValueError, match="6 characters, at most 5 fit"):
            codec.label([0] * 6, 5)


def test_class_counts_are_paddleocrs() -> None:
    assert from_characters("0123456789abcdefghijklmnopqrstuvwxyz").class_counts() == {
        "ctc": 37,
        "attention": 38,
        "nrtr": 40,
        "sar": 39,
        "parseq": 39,
        "vitstr": 38,
        "cppd": 37,
        "visionlan": 37,
        "abinet": 37,
        "satrn": 39,
        "rfl": 38,
        "spin": 38,
        "srn": 38,
        "pren": 39,
        "seed": 39,
    }


def test_steps_that_ctc_needs_include_blanks_between_repeats() -> None:
    assert [CTCCodec.steps_needed(ids) for ids in ([], [1], [1, 2], [1, 1], [1, 1, 1, 2])] == [0, 1, 2, 3, 6]


def test_a_second_blank_of_use_space_char_is_kept_for_trained_files(golden: Path) -> None:
    charset = from_dictionary(str(golden / "rec" / "en_dict.txt"), use_space_char=True)
    assert len(charset) == 96
    assert charset.class_counts()["ctc"] == 97
    assert charset.encode(" ") == [95]
    assert charset.decode([94, 95]) == "  "


def test_a_missing_dictionary_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.txt: cannot be read"):
        from_dictionary(str(tmp_path / "none.txt"))


def test_characters_are_compared_after_normalisation() -> None:
    charset = from_characters(["é", "n"])
    assert charset.encode("e\u0301") == [0]
    assert "e\u0301" in charset
    # A mark without a composed form is an entry of its own, or belongs to its character.
    assert from_characters(["n", "\u0308"]).encode("n\u0308") == [0, 1]
    assert from_characters(["n\u0308", "n"]).encode("nn\u0308n") == [1, 0, 1]
    with pytest.raises(UnknownCharacter) as error:
        charset.encode("nn\u0308")
    assert error.value.character == "n\u0308"
    assert "U+006E U+0308" in str(error.value)


def test_entries_that_only_differ_before_normalisation_keep_their_classes() -> None:
    """ppocr_keys_v1 holds compatibility ideographs that NFC turns into others of its entries."""
    compatibility, unified = "\uf929", "\u6717"
    charset = Charset([compatibility, unified, "x"])
    assert len(charset) == 3
    assert charset.encode(compatibility + unified) == [1, 1]
    assert charset.decode([0, 1]) == unified * 2


def test_all_dictionaries_of_paddleocr_are_read_or_refused_in_one_line(real_data: Path) -> None:
    refused = {}
    for path in sorted((real_data / "dicts").rglob("*.txt")):
        try:
            charset = from_dictionary(str(path))
        except ConfigError as error:
            refused[path.name] = str(error)
            continue
        known = [c for c in charset.characters if c.isalnum()]
        assert charset.decode(charset.encode("".join(known))) == "".join(known), path
    assert set(refused) == {"table_structure_dict.txt"}


def test_unknown_characters_follow_the_policy() -> None:
    with pytest.raises(UnknownCharacter):
        from_characters("abc").encode("a€b")
    assert from_characters("abc", unknown="drop").encode("a€b") == [0, 1]
    mapped = from_characters("abc'", unknown="map", unknown_map={"’": "'", "…": "", "æ": "ac"})
    assert mapped.decode(mapped.encode("a’b…æ")) == "a'bac"
    with pytest.raises(UnknownCharacter):
        mapped.encode("€")
    for arguments, message in [
        ({"unknown": "ignore"}, r"unknown: expected error, map or drop, got ignore"),
        ({"unknown_map": {"x": "a"}}, r"set unknown=map"),
        ({"unknown": "map", "unknown_map": {"x": "y"}}, r"'y' replaces 'x', but 'y' \(U\+0079\) is not"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_characters("abc", **arguments)  # type: ignore[arg-type]


def test_labels_are_checked_before_training_with_character_count_and_place() -> None:
    texts = [("ab", "rec.txt:1"), ("a€b", "rec.txt:2"), ("€€é", "rec.txt:3")]
    with pytest.raises(DataError) as error:
        from_characters("ab").check(texts)
    assert str(error.value).startswith(
        "rec.txt:2: '€' (U+20AC) is not in the charset (the configured characters), 3 times (and 1"
    )
    assert "\n" not in str(error.value)
    coverage = from_characters("ab", unknown="drop").check(texts)
    assert coverage.unknown == Counter({"€": 3, "é": 1})
    assert coverage.first == {"€": "rec.txt:2", "é": "rec.txt:3"}
    assert coverage.describe().startswith("2 characters outside the charset, 4 times in 2 of 3 labels: '€' (U+20AC) 3×")
    assert from_characters("ab€é").check(texts).describe() == ""


def test_charset_from_labels_holds_their_characters_in_order() -> None:
    charset = from_labels(["beé", "ab", "cafe\u0301"])
    assert "".join(charset.characters) == "abcefé"
    assert from_labels(["aab"], min_count=2).characters == ("a",)
    assert from_labels(["AbA"], lower=True).characters == ("a", "b")
    with pytest.raises(ValueError, match="the training labels contain no characters"):
        from_labels([])


def test_the_fingerprint_is_of_characters_and_order_alone() -> None:
    a, b = from_characters("abc"), from_characters(["a", "b", "c"], unknown="drop")
    assert a.fingerprint == b.fingerprint
    assert a == b
    assert a != from_characters("acb")
    assert len({a, b}) == 1


def test_it_is_usable_without_paddle() -> None:
    modules = "ocrexp.charset.sources, ocrexp.postprocess.ctc, ocrexp.data.targets.text"
    code = f"import sys; import {modules}; print('paddle' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "False"
