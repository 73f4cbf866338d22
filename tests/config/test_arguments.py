"""The command line as people type it: texts and paths stay what was typed, and every flag works or is one line."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from ocrexp.config.arguments import arrange
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError

TEXTS = [
    "发票", "my data (1)", "a=b", "x[1]", "[a]", "2024", "1e3", "007", "true", "Null", "~/x", "C:\\a\\b\\", "it's",
    "a, b", "0123456789.,€ab", "'\"\\", "$5", "\"x\" y", "\\'", "a\\\\'b", "(", "{", "glob(*)", "range(3)", "a:b", "#x",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("verb", "key"), [("train", "dataset.root"), ("eval", "run_dir"), ("predict", "det")])
def test_a_text_is_what_was_typed(text, verb, key):
    [override] = arrange(verb, [f"{key}={text}"])
    assert OverridesParser.create().parse_override(override).value() == text.replace("~", str(Path.home()))


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
        (["-sc", "install=bash"], ["--shell-completion", "install=bash"]),
        (["seed=1", "--hydra-help", "hydra.verbose=true"], ["--hydra-help", "hydra.verbose=true"]),
    ],
)
def test_flags_and_dashes_anywhere(typed, arranged):
    assert arrange("train", typed) == arranged


@pytest.mark.parametrize(
    ("verb", "typed", "words"),
    [
        ("train", ["-c", "my.yml"], ["convert-config config=my.yml"]),
        ("train", ["-sc"], ["--shell-completion", "install=SHELL"]),
        ("train", ["--shell-completion", "install=sh"], ["--shell-completion", "bash, fish or zsh"]),
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
        ("train", ["=1"], ["the key is missing"]),
        ("train", ["optim..lr=1"], ["unknown key optim..lr", "as optim.lr"]),
        ("train", ["é=1"], ["unknown key é"]),
        ("train", [".lr=1"], ["unknown key .lr"]),
        ("predict", ["rec=", "images=x"], ["rec=: the value is missing", "rec=null"]),
        ("train", ["model="], ["model=: expected an option", "crnn_mbv3"]),
        ("train", ["--seed", "--cfg", "job"], ["seed=VALUE"]),
        ("train", ["seed=1", "eval"], ["python -m ocrexp eval"]),
        ("eval", ["--cfg", "job"], ["eval"]),
        ("predict", ["-m", "images=x"], ["only training supports sweeps"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_fix(verb, typed, words):
    with pytest.raises(ConfigError) as caught:
        arrange(verb, typed)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_home_folder_in_paths_and_not_in_texts(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    typed = {
        "train": ["run_dir", "sweep_dir", "dataset.root", "charset.path", "model.pretrained", "hydra.run.dir"],
        "eval": ["run_dir", "output", "checkpoint"],
        "export": ["export.dir"],
        "predict": ["images", "det", "output", "font"],
        "serve": ["det", "rec_char_dict_path"],
        "eval-system": ["output", "dataset.root"],
        "cut-lines": ["out", "det"],
        "check-data": ["output", "dataset.root"],
        "browse": ["report", "dataset.root"],
        "convert": ["root", "out", "image_root"],
        "synth": ["out", "dataset.cache_dir"],
        "convert-config": ["config", "out"],
        "resume": ["run_dir"],
        "bench": ["output"],
    }
    for verb, keys in typed.items():
        for key in keys:
            assert arrange(verb, [f"{key}=~/a b"])[0].endswith("=/home/ann/a b"), (verb, key)
    assert arrange("predict", ["images=[~/a,b]"]) == ["images=[/home/ann/a,b]"]
    assert arrange("train", ["-m", "model.pretrained=~/a,~/b"])[1] == "model.pretrained=/home/ann/a,/home/ann/b"
    for key in ("name", "logger.wandb.project", "charset.characters"):
        assert OverridesParser.create().parse_override(arrange("train", [f"{key}=~/a"])[0]).value() == "~/a"


@pytest.mark.parametrize(
    ("typed", "mapping"),
    [
        ("{é:e}", {"é": "e"}),
        ("{’:\"'\",«:'\"'}", {"’": "'", "«": '"'}),
        ("{é: e , a:}", {"é": "e", "a": ""}),
        ("{a:b}", {"a": "b"}),
        ("{::;,é:e}", {":": ";", "é": "e"}),
    ],
)
def test_mappings_of_any_characters(typed, mapping):
    config = compose(
        "train", arrange("train", ["model=crnn_mbv3", "charset.unknown=map", f"charset.unknown_map={typed}"])
    )
    assert OmegaConf.to_container(config.charset, resolve=True)["unknown_map"] == mapping
    OmegaConf.resolve(config.charset)  # as --resolve does
    assert config.charset.unknown_map == mapping


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["model.backbone=x", "model.backbone.scale=1"], ["model/backbone=NAME"]),
        (["model.backbone=resnet18_vd", "model.backbone.scale=1"], ["choose it with model/backbone=resnet18_vd"]),
        (["augment.warp.size=[9,9]", "augment.warp=null"], ["augment.warp=null", "augment.warp.size"]),
        (["optim.schedule=cosin", "optim.schedule.warmup_epochs=1"], ["scheduler=cosine"]),
    ],
)
def test_a_value_for_a_node_whose_keys_are_set(typed, words):
    with pytest.raises(ConfigError) as caught:
        arrange("train", typed)
    for word in words:
        assert word in str(caught.value)
    assert arrange("train", ["logger=wandb", "logger.wandb.project=x", "model={a:1}", "model.b=2"])


def test_what_is_no_choice_is_left_out():
    assert arrange("train", ["experiment=null", "debug=null", "seed=1"]) == ["seed=1"]


@pytest.mark.parametrize(
    "override",
    [
        "+augment@x=rec", "model/backbone=resnet18_vd", "~logger.csv", "++a.b_c=1", "hydra/sweeper=basic",
        "augment.list[0].p=1", "dataset.ratios.0=1", "hydra.run.dir=x", "+x/y@z.w=b", "a.0.b=1", "key-with-dash=1",
    ],
)  # fmt: skip
def test_keys_that_hydra_reads(override):
    assert arrange("train", [override])
