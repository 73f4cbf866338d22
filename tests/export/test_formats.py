"""Names of formats and of models for other clients."""

from pathlib import Path

import pytest

from ocrexp.errors import ConfigError
from ocrexp.export import formats
from ocrexp.export.describe import metadata
from ocrexp.export.formats import folder_of, parse_formats
from ocrexp.tasks.find import find_task


def test_formats_come_in_the_order_in_which_they_are_written():
    assert parse_formats(["onnx", "paddle"]) == ["paddle", "onnx"]
    assert parse_formats("legacy") == ["legacy"]
    assert parse_formats("all") == ["paddle", "legacy", "onnx"]


def test_an_unknown_format_has_a_suggestion():
    with pytest.raises(ConfigError, match=r"export.format=onx: unknown format; did you mean onnx\?"):
        parse_formats("onx")
    with pytest.raises(ConfigError, match=r"export\.format: expected .* got nothing"):
        parse_formats([])


def test_onnx_without_its_converter_says_what_to_install(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None if name == "paddle2onnx" else object())
    with pytest.raises(ConfigError, match=r"needs paddle2onnx; run: pip install 'ocrexp\[export,onnx\]'"):
        parse_formats("onnx")
    assert parse_formats("paddle") == ["paddle"]


def test_the_older_format_gives_way_where_both_are_asked_for():
    assert folder_of(Path("out"), "legacy", ["legacy", "onnx"]) == Path("out")
    assert folder_of(Path("out"), "legacy", ["paddle", "legacy"]) == Path("out/legacy")


@pytest.mark.parametrize(
    ("resize", "name"),
    [
        ({"limit_type": "max"}, "PP-OCRv5_mobile_det"),
        ({"limit_type": "min"}, "PP-OCRv4_mobile_seal_det"),
        ({"limit_type": "min", "image_shape": [736, 1280]}, "PP-OCRv5_mobile_det"),
        ({"limit_type": "min", "resize_long": 960}, "PP-OCRv5_mobile_det"),
    ],
)
def test_a_detector_gets_a_name_that_paddlex_resizes_alike(resize, name):
    assert find_task("det").client_name(resize, "maps", "db_mbv3") == name


def test_only_ctc_gets_a_name_that_paddlex_runs():
    assert find_task("rec").client_name({}, "ctc", "crnn_mbv3") == "PP-OCRv5_mobile_rec"
    assert find_task("rec").client_name({}, "nrtr", "nrtr") == "nrtr"


def test_characters_that_rapidocr_would_split_at_stay_out_of_the_file(caplog):
    assert metadata(["\u3000", "a", " "])["character"].splitlines() == ["\u3000", "a", " "]
    assert metadata(None) == {}
    assert not caplog.records
    assert metadata(["a", "\u2028", "b", "\x85"]) == {}
    assert "would read U+2028, U+0085 as the end of a line" in caplog.text
