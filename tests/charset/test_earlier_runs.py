"""Runs of earlier versions name their charset by its earlier place."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import build_charset
from ocrexp.config import trust


@pytest.mark.parametrize(
    ("node", "characters"),
    [
        ({"_target_": "ocrexp.data.charset.from_characters", "characters": "ab", "use_space_char": True}, "ab "),
        ({"_target_": "ocrexp.data.charset.from_dictionary", "path": "FILE", "direction": "auto"}, "xy"),
    ],
)
def test_frozen_charsets_are_admitted_and_built(tmp_path: Path, node: dict[str, str], characters: str) -> None:
    (tmp_path / "dict.txt").write_text("x\ny\n", encoding="utf-8")
    node = {key: str(tmp_path / "dict.txt") if value == "FILE" else value for key, value in node.items()}
    config = {"charset": node}
    trust.admit(config, tmp_path / "config.yaml", tmp_path, ())
    charset = build_charset(OmegaConf.create(config))
    assert charset is not None
    assert "".join(charset.characters) == characters
