"""What a recognizer's lines decide: characters, lengths, case, widths."""

import numpy as np
import pytest
from made_choices import Made

from ocrexp.adapt.rec import RecAdaptation, joined
from ocrexp.charset.sources import from_characters

LABELS = {
    "charset._target_": "ocrexp.charset.sources.from_characters",
    "charset.characters": "012abcABC",
    "charset.use_space_char": False,
    "charset.normalize": "nfc",
    "charset.invisible": "keep",
    "charset.lower": False,
    "targets.max_text_length": 25,
    "metric.case": "keep",
    "loss.case": "keep",
}


def fit(texts, **changed):
    choices = Made({**LABELS, **changed})
    RecAdaptation().fit_labels(texts, choices)
    return choices


def test_known_characters_keep_the_charset_and_its_rows():
    choices = fit(["aB 1", "b2"])
    assert choices.values["charset.characters"] == "012abcABC"
    assert choices.values["charset.use_space_char"] is True
    assert "metric.case" not in choices.reasons


def test_new_characters_come_behind_those_that_have_rows():
    choices = fit(["aB€", "ß1"])
    assert choices.values["charset.characters"] == "012abcABCß€"
    assert "2 of the 5" in choices.reasons["charset.characters"]


def test_a_mark_alone_stays_a_character_of_its_own():
    """As one text, a letter and the mark behind it would become one character."""
    assert joined(["a", "\u0301"]) == ["a", "\u0301"]
    assert joined(["a", "b"]) == "ab"
    choices = fit(["x\u0301a"], **{"charset.characters": "ax"})
    charset = from_characters(choices.values["charset.characters"], use_space_char=True)
    assert list(charset.characters) == ["a", "x", "\u0301", " "]


def test_labels_are_counted_as_the_charset_normalizes_them():
    assert fit(["ABC"], **{"charset.characters": "abc", "charset.lower": True}).values["charset.characters"] == "abc"
    wide = fit(["\uff21"], **{"charset.normalize": "nfkc"})
    assert wide.values["charset.characters"] == "012abcABC"


def test_a_dictionary_is_not_changed():
    choices = fit(["xyz"], **{"charset._target_": "ocrexp.charset.sources.from_dictionary"})
    assert not {"charset.characters", "charset.use_space_char"} & choices.reasons.keys()


@pytest.mark.parametrize(("texts", "case"), [(["AB", "B1"], "upper"), (["ab", "1"], "lower"), (["12"], "keep")])
def test_labels_of_one_case_are_compared_without_it(texts, case):
    values = fit(texts).values
    assert values["metric.case"] == case
    assert values["loss.case"] == ("keep" if case == "keep" else "ignore")


def test_long_labels_are_not_dropped():
    assert fit(["a" * 40]).values["targets.max_text_length"] == 40
    assert fit(["a" * 400]).values["targets.max_text_length"] == 200
    assert "targets.max_text_length" not in fit(["a" * 20]).reasons


def test_widths_have_the_least_padding_and_hold_every_line():
    rules = RecAdaptation(widths=3)
    wanted = np.array([50.0] * 50 + [90.0] * 40 + [300.0] * 9 + [640.0])
    widths = rules.widths_of(wanted)
    assert widths[-1] == 640

    def padded(chosen):
        return sum(min(width for width in chosen if width >= each) for each in wanted)

    others = [[a, b, 640] for a in range(64, 640, 32) for b in range(a + 32, 640, 32)]
    assert padded(widths) == min(padded(each) for each in others)


def test_few_sizes_make_few_widths_and_long_lines_are_squeezed():
    assert RecAdaptation().widths_of(np.array([10.0, 60.0])) == [32, 64]
    assert RecAdaptation(most_width=320).widths_of(np.array([5000.0, 100.0])) == [128, 320]


def test_sizes_are_chosen_for_the_height_of_the_model():
    values = {"model.image_shape": [32, 320], "loader.multi_scale": {}, "loader.multi_scale.sizes": [[32, 320]]}
    choices = Made(values)
    sizes = np.array([[10, 20]] * 5 + [[20, 160], [np.nan, np.nan]], float)
    RecAdaptation().fit_widths(sizes, choices)
    assert choices.values["loader.multi_scale.sizes"] == [[32, 64], [32, 256]]
    assert choices.values["model.image_shape"] == [32, 64]
    assert "6 lines" in choices.reasons["loader.multi_scale.sizes"]


def test_one_size_is_left_alone():
    choices = Made({"model.image_shape": [32, 320], "loader.multi_scale": None})
    RecAdaptation().fit_widths(np.array([[10.0, 20.0]]), choices)
    assert choices.values["model.image_shape"] == [32, 320]
