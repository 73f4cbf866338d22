"""The command line as people type it: texts and paths stay what was typed, and every flag works or is one line."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ocrexp.config.arguments import arrange
from ocrexp.errors import ConfigError

TEXTS = [
    "发票", "my data (1)", "a=b", "x[1]", "[a]", "2024", "1e3", "007", "true", "Null", "~/x", "C:\\a\\b\\", "it's",
    "a, b", "0123456789.,€ab", "'\"\\", "$5", "\"x\" y", "\\'", "a\\\\'b", "(", "{", "glob(*)", "range(3)", "a:b", "#x",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("verb", "key"), [("train", "dataset.root"), ("eval", "run_dir"), ("predict", "det")])
def test_a_text_is_what_was_typed(text, verb, key):
    [override] = arrange(verb, [f"{key}={text}"])
    assert OverridesParser.create().parse_override(override).value() == text


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("name=null", None),
        ("name='a, b'", "a, b"),
        ("dataset.train_labels=[发票.txt,b c.txt]", ["发票.txt", "b c.txt"]),
        ("logger.wandb.tags=[发票,2024]", ["发票", "2024"]),
        ("+dataset.folder=发票", "发票"),
        ("optim.lr=1e-4", 1e-4),
        ("experiment=2024", "2024"),
        ("name=${model.name}", "${model.name}"),
    ],
)
def test_quotes_lists_null_and_interpolations_keep_their_meaning(typed, value):
    [override] = arrange("train", [typed])
    assert OverridesParser.create().parse_override(override).value() == value


def test_in_a_sweep_a_comma_separates_values_unless_it_is_quoted():
    assert arrange("train", ["name=a,发", "-m"]) == ["--multirun", "name=a,'发'"]
    assert arrange("train", ["-m", "name='a,b'"]) == ["--multirun", "name='a,b'"]
    assert arrange("train", ["-m", "seed=range(3)"]) == ["--multirun", "seed=range(3)"]


@pytest.mark.parametrize(
    ("typed", "arranged"),
    [
        (["--optim.lr=1"], ["optim.lr=1"]),
        (["seed=1", "--cfg", "job", "name=x"], ["--cfg", "job", "seed=1", "name=x"]),
        (["seed=1", "-c=job"], ["--cfg", "job", "seed=1"]),
        (["--info", "seed=1"], ["--info", "all", "seed=1"]),
    ],
)
def test_flags_and_dashes_anywhere(typed, arranged):
    assert arrange("train", typed) == arranged


@pytest.mark.parametrize(
    ("verb", "typed", "words"),
    [
        ("train", ["-c", "my.yml"], ["convert-config config=my.yml"]),
        ("train", ["-o", "Global.epoch_num=5"], ["convert-config"]),
        ("train", ["--config", "my.yml"], ["convert-config config=my.yml"]),
        ("convert-config", ["-c", "my.yml"], ["config=my.yml"]),
        ("train", ["--cfg", "jobb"], ["job, hydra, all", "jobb"]),
        ("train", ["--info", "x"], ["searchpath"]),
        ("train", ["--config-name", "x"], ["experiment="]),
        ("train", ["--config-path", "x"], ["./conf"]),
        ("train", ["--config-dir", "/nowhere"], ["/nowhere"]),
        ("train", ["--experimental-rerun", "x"], ["resume"]),
        ("train", ["-m", "--cfg", "job"], ["--multirun", "--cfg"]),
        ("train", ["--resolve"], ["--cfg job"]),
        ("train", ["--multirn"], ["did you mean --multirun?"]),
        ("train", ["--optim.lr", "1"], ["optim.lr=1"]),
        ("train", ["optim.lr", "=", "1"], ["optim.lr=1"]),
        ("train", ["rec"], ["key=value"]),
        ("train", ["seed=1", "eval"], ["python -m ocrexp eval"]),
        ("eval", ["--cfg", "job"], ["eval"]),
        ("predict", ["-m", "images=x"], ["sweeps are for training"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_fix(verb, typed, words):
    with pytest.raises(ConfigError) as caught:
        arrange(verb, typed)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
