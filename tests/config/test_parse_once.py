"""Hydra's files are parsed once, and again when they have changed; nobody changes what is kept."""

import os
from copy import deepcopy

from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from ocrexp.config.compose import compose, setup_hydra


def test_a_file_is_parsed_again_when_it_has_changed(tmp_path):
    setup_hydra()
    (tmp_path / "a.yaml").write_text("x: 1\n")
    source = SourcesRegistry.instance().resolve("file")(provider="test", path=f"file://{tmp_path}")
    first = source.load_config("a")
    first.config.x = 5
    assert source.load_config("a").config == {"x": 1}
    (tmp_path / "a.yaml").write_text("x: 2\n")
    os.utime(tmp_path / "a.yaml", ns=(1, 1))
    assert source.load_config("a").config == {"x": 2}


def test_options_that_depend_on_others_are_still_chosen():
    """Nothing is carried over from one composition to the next."""
    first = compose("train", ["model=crnn_mbv3", "optim.lr=0.5"])
    second = compose("train", ["model=db_mbv3"])
    assert (first.task, second.task) == ("rec", "det")
    assert second.optim.lr != 0.5


def test_copies_have_flags_and_results_of_resolvers_of_their_own():
    setup_hydra()
    OmegaConf.register_new_resolver("counted", lambda: len(calls.append(1) or calls), use_cache=True, replace=True)
    calls: list[int] = []
    first = OmegaConf.create({"a": {"b": 1, "c": "${counted:}"}})
    OmegaConf.set_struct(first, True)
    assert first.a.c == 1
    second = deepcopy(first)
    OmegaConf.set_struct(second, False)
    assert (OmegaConf.is_struct(first), OmegaConf.is_struct(second)) == (True, False)
    second.a.d = 2
    assert "d" not in first.a
    OmegaConf.clear_cache(second)
    assert (second.a.c, first.a.c) == (2, 1)
    assert first.a._metadata == deepcopy(first.a)._metadata


def test_a_later_composition_takes_no_more_than_an_earlier_one():
    """Hydra asks every class that it was ever given, so that none is given twice."""
    setup_hydra()
    before = {kind: len(found) for kind, found in Plugins.instance().plugin_type_to_subclass_list.items()}
    setup_hydra()
    assert {kind: len(found) for kind, found in Plugins.instance().plugin_type_to_subclass_list.items()} == before
