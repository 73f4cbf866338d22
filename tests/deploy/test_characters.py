"""The characters of a run come back from its export: classes, direction, normalization, and text."""

from pathlib import Path

import numpy as np
import pytest

from ocrexp.charset.charset import Charset
from ocrexp.charset.dictionary import entries_of
from ocrexp.charset.saved import from_saved
from ocrexp.charset.sources import from_characters, from_dictionary
from ocrexp.deploy.backends.base import Backend, Images, Output
from ocrexp.deploy.characters import decoder_of
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.errors import DeployError
from ocrexp.export.describe import charset_facts, metadata


class Told(Backend):
    """A network that is never run: its classes and what its file says."""

    def __init__(self, classes: int, stated: dict[str, str] | None = None) -> None:
        super().__init__("cpu", 1, 1)
        self.name = "told"
        self.classes = classes
        self.metadata = stated or {}

    def run_all(self, images: Images) -> list[Output]:
        raise AssertionError


def steps(charset: Charset, text: str) -> np.ndarray:
    """CTC's probabilities [1, 2n, classes] of a text, with a blank behind each character."""
    positions = charset.encode(text)
    probabilities = np.full((1, 2 * len(positions) + 1, len(charset) + 1), 0.01, np.float32)
    probabilities[0, :, 0] = 0.5
    for step, position in enumerate(positions):
        probabilities[0, 2 * step, position + 1] = 0.9
    return probabilities


def written(charset: Charset, folder: Path) -> Description:
    Description(
        "rec", "", {"kind": "RecResize", "image_shape": [16, 64]}, (0.5,) * 3, (0.5,) * 3, {"name": "CTCLabelDecode"},
        charset.characters, ocrexp={"charset": charset_facts(charset)},
    ).write(folder / "inference.yml")  # fmt: skip
    return Description.read(folder / "inference.yml")


def of_lines(tmp_path: Path, *lines: str, **arguments) -> Charset:
    path = tmp_path / "dict.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return from_dictionary(str(path), **arguments)


@pytest.mark.parametrize(
    ("lines", "arguments", "text"),
    [
        (["a", "", "b"], {}, "abba"),
        (["", "a", "b", ""], {}, "ab"),
        (["a", "", " ", "b"], {"use_space_char": True}, "a b"),
        (["א", "", "ב", "1", "2", "("], {"use_space_char": True}, "אב 12"),
        (["é", "e", "\u0301"], {"normalize": None}, "ée\u0301"),
        (["ﬁ", "x"], {"normalize": "nfkc"}, "ﬁx"),
        (["é", "ạ"], {"normalize": "nfd"}, "éạ"),
        (["a", "\u00a0", "\u200b"], {"invisible": "clean"}, "a\u00a0a"),
        (["\uf929", "\u6717"], {}, "\u6717"),
    ],
)
def test_the_text_of_a_run_is_the_text_of_its_export(
    tmp_path: Path, lines: list[str], arguments: dict, text: str
) -> None:
    charset = of_lines(tmp_path, *lines, **arguments)
    classes = len(charset) + 1
    expected = charset.normalize(text)
    for again in (charset, from_saved(charset.saved(), "a checkpoint")):
        assert again.fingerprint == charset.fingerprint
        outputs = [steps(again, text)]
        folder = ModelFolder(tmp_path, None, None, None)
        (read,) = decoder_of(folder, written(again, tmp_path), Told(classes))(outputs)
        assert read.text == expected
        assert read.score == pytest.approx(0.9)
    stated = metadata(charset.characters)
    assert entries_of(stated["character"]) == list(charset.characters)
    if len(lines) > 1 and lines[-1]:
        assert stated["character"].splitlines() == list(charset.characters)  # as RapidOCR reads it


def test_a_dictionary_beside_a_model_has_paddleocrs_classes(tmp_path: Path) -> None:
    charset = of_lines(tmp_path, "a", "", "b", "")
    folder = ModelFolder(tmp_path, None, None, None)
    bare = Description("rec", "", {"kind": "RecResize", "image_shape": [16, 64]}, (0.5,) * 3, (0.5,) * 3,
                       {"name": "CTCLabelDecode"})  # fmt: skip
    for classes in (5, 6):  # without and with a space behind them
        decode = decoder_of(folder, bare, Told(classes), tmp_path / "dict.txt")
        probabilities = np.zeros((1, 3, classes), np.float32)
        probabilities[0, [0, 1, 2], [1, 2, 3]] = 0.9
        assert decode([probabilities])[0].text == "ab"
    with pytest.raises(DeployError, match="4 characters of"):
        decoder_of(folder, bare, Told(4), tmp_path / "dict.txt")
    assert charset.class_counts()["ctc"] == 5


@pytest.mark.parametrize(
    ("content", "words"), [(b"a\nb\n\xd6\xd0\n", "dict.txt:3: not UTF-8; "), ("ab\n".encode("utf-16"), "UTF-16")]
)
def test_a_dictionary_in_another_encoding_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "dict.txt").write_bytes(content)
    with pytest.raises(DeployError, match="rec_char_dict_path=") as error:
        decoder_of(
            ModelFolder(tmp_path, None, None, None), written(from_characters("ab"), tmp_path), Told(3),
            tmp_path / "dict.txt",
        )  # fmt: skip
    assert words in str(error.value)
    assert "iconv" in str(error.value)


def test_a_normalization_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    description = written(from_characters("ab"), tmp_path)
    assert description.ocrexp is not None
    description.ocrexp["charset"]["normalize"] = ["nfc"]
    with pytest.raises(DeployError, match=r"inference\.yml: charset\.normalize: expected"):
        decoder_of(ModelFolder(tmp_path, None, None, None), description, Told(3))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a ", "b ", "c"], "dict.txt:1: expected one character, got 'a ' (2 characters)"),
        (["a\t1", "b\t2", "c\t3"], "delete the number"),
        (["1 a", "2 b", "3 c"], "delete the number"),
        (["ab", "cd", "ef"], "dict.txt:1: expected one character, got 'ab'"),
        (["a", "b", "ch"], None),
    ],
)
def test_a_dictionary_of_lines_with_several_characters_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: list[str], words: str | None
) -> None:
    of_lines(tmp_path, *lines)
    folder, description = ModelFolder(tmp_path, None, None, None), written(from_characters("abc"), tmp_path)
    decoder_of(folder, description, Told(4), tmp_path / "dict.txt")
    assert [words in record.getMessage() for record in caplog.records] == ([True] if words else [])
