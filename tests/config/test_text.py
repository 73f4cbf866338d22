"""Commands that are printed: typed into a shell, or expanded without quotes, they mean the text they were made of."""

import shlex
import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ocrexp.command_line import command, typed
from ocrexp.config.arguments import arrange, joined
from ocrexp.errors import ConfigError

TEXTS = [
    "/data/plain", "发票", "/data/my photos", "pred 发票/Label.txt", "it's", "a=b c", "x[1] (2)", "[a,b]", "$HOME `x`",
    'say "x"', "null", "", "'a'", "${seed}", "back\\slash", "C:\\a b\\", "~/x", "a!b", "#x", "*", "a;b&c|d", "2024",
]  # fmt: skip
CONTROL = ["a\x1b[31mb", "new\nline", "tab\there", "it's\x07", "\u202etxt.exe", "back\\\x1b", "\U000e0041"]


def value_of(verb, words):
    [override] = arrange(verb, words)
    return OverridesParser.create().parse_override(override).value()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("verb", "key"), [("train", "dataset.train_labels"), ("resume", "run_dir"), ("predict", "det")]
)
def test_a_printed_override_means_its_text(verb, key, text):
    assert value_of(verb, shlex.split(typed(verb, key, text))) == text


@pytest.mark.parametrize("text", CONTROL)
def test_control_codes_are_printed_as_escapes_that_bash_reads(text):
    line = typed("resume", "run_dir", text)
    assert line.isprintable()
    shell = subprocess.run(["bash", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert value_of("resume", [shell.stdout.decode()]) == text


@pytest.mark.parametrize("text", [*TEXTS[:5], "x[1] (2)", "a=b c", "2024"])
def test_a_printed_command_in_a_variable_means_its_text(text):
    words = command("train", {"dataset": "rec_list", "dataset.root": text, "dataset.train_labels": text}).split()[3:]
    arranged = arrange("train", words)
    assert [OverridesParser.create().parse_override(item).value() for item in arranged] == ["rec_list", text, text]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["'dataset.root=my", "data'", "seed=1"], ["dataset.root=my data", "seed=1"]),
        (['name="a', 'b"'], ['name="a b"']),
        (["name='a b'"], ["name='a b'"]),
        (["name='a", "seed=1"], ["name='a", "seed=1"]),  # there is no closing quote
        (["seed=1", "name=it's", "x=y's"], ["seed=1", "name=it's", "x=y's"]),
    ],
)
def test_quotes_that_the_shell_has_left_hold_words_together(words, expected):
    assert joined(words) == expected


def test_a_value_that_the_shell_has_split_is_shown_in_quotes():
    with pytest.raises(ConfigError, match=r'dataset\.root="/data/my photos"'):
        arrange("train", ["seed=1", "dataset.root=/data/my", "photos"])
