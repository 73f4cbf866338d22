"""Parts that have moved: an old `_target_` is checked, built and admitted, with one line that names the new one."""

import logging

from omegaconf import OmegaConf

from ocrexp.config import moved
from ocrexp.config.build import build
from ocrexp.config.locate import locate
from ocrexp.config.moved import MOVED, current


def test_every_new_place_is_there():
    assert locate("ocrexp.data.charset.from_labels", "charset") is locate("ocrexp.charset.sources.from_labels", "x")
    assert locate("ocrexp.config.hooks.RunGuard", "x").__module__ == "ocrexp.runs.hooks"
    assert all(current(new) == new for new in MOVED.values())


def test_an_old_name_is_told_once_with_the_new_one(monkeypatch, caplog):
    monkeypatch.setattr(moved, "_told", set())
    with caplog.at_level(logging.WARNING, "ocrexp.config.moved"):
        for _ in range(2):
            locate("ocrexp.data.charset.from_characters", "charset")
    (line,) = caplog.messages
    assert line.startswith("charset._target_: ocrexp.data.charset.from_characters")
    assert line.endswith("ocrexp.charset.sources.from_characters")


def test_an_old_name_is_built_also_within_a_node_and_with_its_interpolations():
    config = OmegaConf.create(
        {
            "letters": "ab",
            "charset": {"_target_": "ocrexp.data.charset.from_characters", "characters": "${letters}"},
            "outer": {
                "_target_": "builtins.dict",
                "inner": [{"_target_": "ocrexp.data.charset.from_characters", "characters": "${letters}"}],
            },
        }
    )
    OmegaConf.set_readonly(config, True)
    assert build(config.charset).characters == ("a", "b")
    assert build(config.outer)["inner"][0].characters == ("a", "b")
    assert config.charset._target_ == "ocrexp.data.charset.from_characters"
