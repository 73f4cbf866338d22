"""Old names of options are accepted and reported; nothing of the composition changes."""

import pytest

from ocrexp.config.compose import compose
from ocrexp.config.paths import options_of
from ocrexp.config.renamed import OPTIONS


@pytest.mark.parametrize("old", OPTIONS)
def test_an_old_name_composes_what_the_new_one_does_and_names_it(old, capfd, monkeypatch):
    monkeypatch.setattr("ocrexp.config.renamed._reported", set())
    group, _, name = old.rpartition("/")
    config = compose("train", [f"{group}={name}"])
    assert f"{group}={OPTIONS[old]}" in capfd.readouterr().err
    assert config == compose("train", [f"{group}={OPTIONS[old]}"])
    assert name not in options_of(group) and OPTIONS[old] in options_of(group)


def test_an_old_name_in_an_experiment_of_the_users_own_is_accepted(tmp_path, monkeypatch):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /model/backbone: mobilenetv3_large_x0_5_nose\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert compose("train", ["experiment=mine"]).model.backbone.disable_se is True
