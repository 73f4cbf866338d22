"""The table of networks, and what it refuses."""

from dataclasses import replace

import pytest

from ocrexp.compress.judge import Judged, lost_too_much, table
from ocrexp.compress.settings import parse_compression, without_effect
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError

ROWS = [
    Judged("baseline", 10.0, 4.0, 100.0, 0.93),
    Judged("float", 6.0, 2.4, 60.0, 0.925),
    Judged("int8", 2.0, 2.4, 40.0, 0.915),
]


def test_a_loss_counts_from_the_first_network():
    assert lost_too_much(ROWS, "hmean", 0.02) == []
    (line,) = lost_too_much(ROWS, "hmean", 0.01)
    assert line.startswith("int8: hmean is 0.9150, 0.0150 below baseline")
    assert len(lost_too_much([ROWS[0], Judged("int8", 1, None, 1, float("nan"))], "hmean", 1.0)) == 1


def test_the_table_has_factors_of_the_first_network():
    lines = table([*ROWS, Judged("older", 20.0, None, 200.0, 0.9)], "hmean")
    assert lines[0].split() == ["network", "MB", "GMACs", "ms/image", "size", "speed", "hmean"]
    assert lines[3].split() == ["int8", "2.00", "2.4", "40.0", "÷5.00", "×2.50", "0.9150"]
    assert lines[4].split()[2] == "–"
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("export.int8=statc", "did you mean static"),
        ("export.int8=paddle", "use export.int8=static"),
        ("export.max_drop=-0.1", "expected a number from 0 to 1"),
        ("export.calibration=0", "expected 1 or more"),
        ("export.judged=0", "null for all"),
        ("export.baseline=/nowhere", "folder not found"),
    ],
)
def test_a_value_that_cannot_be_used_is_one_line(override, expected):
    with pytest.raises(ConfigError) as raised:
        parse_compression(compose("export", [override]).export, ["paddle", "onnx"], "det")
    assert override.partition("=")[0] in str(raised.value)
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


def test_integers_need_the_onnx_file():
    with pytest.raises(ConfigError, match=r"add onnx to export\.format"):
        parse_compression(compose("export", ["export.int8=static"]).export, ["paddle"], "det")


def test_keys_that_nothing_uses_are_reported():
    plain = parse_compression(compose("export", []).export, ["onnx"], "det")
    typed = ["export.calibration", "export.max_drop", "export.judged", "export.dir"]
    assert [line.partition(":")[0] for line in without_effect(typed, plain)] == typed[:3]
    assert without_effect([], plain) == []
    assert without_effect(typed, replace(plain, int8=True)) == []
