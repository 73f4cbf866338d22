"""The user's own YAML files: what is wrong is told with file and line, and what can be taken is taken."""

import pytest

from ocrexp.config.check import check_early
from ocrexp.config.compose import compose
from ocrexp.config.task import task_of_option
from ocrexp.errors import ConfigError

GLOBAL = b"# @package _global_\n"
# Nine lines of aliases that stand for 10^9 values.
BOMB = b"a: &a [1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name + 1, name + 1, b",".join([b"*%c" % name] * 10)) for name in b"abcdefghi"
)


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """`experiment(content, name)` writes ./conf/experiment/NAME in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)

    def write(content, name="x.yaml"):
        (folder / name).write_bytes(content)

    return write


@pytest.mark.parametrize(
    "header", [b"\xef\xbb\xbf# @package _global_\n", b"# @package: _global_\n", b"\n# Mine.\n# @package _global_\n"]
)
def test_what_can_be_taken_is_taken(experiment, header):
    experiment(header + b"optim:\n  lr: 0.5\n")
    assert compose("train", ["experiment=x"]).optim.lr == 0.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"optim:\n  lr: 0.5\n", ["x.yaml:1", "# @package _global_"]),
        (b"# @package _global\noptim:\n  lr: 0.5\n", ["x.yaml:1", "did you mean _global_?"]),
        (b"# package _global_\noptim:\n  lr: 0.5\n", ["x.yaml:1", "# @package _global_"]),
        (b"optim:\n  lr: 0.5\n# @package _global_\n", ["x.yaml:3", "move it to line 1"]),
        (GLOBAL + b"optim:\n\tlr: 0.5\n", ["x.yaml:3", "tab"]),
        (GLOBAL + b"optim:\n  lr: 1\noptim:\n  lr: 2\n", ["x.yaml:4", "duplicate key 'optim'"]),
        (GLOBAL + b"optim:\n  lr: 1\n weight: 2\n", ["x.yaml:4", "syntax"]),
        (GLOBAL + "# 发票\nname: x\n".encode("gbk"), ["x.yaml:2", "UTF-8"]),
        ("# @package _global_\nname: x\n".encode("utf-16"), ["x.yaml:1", "UTF-16"]),
        (GLOBAL + b"name: caf\xe9\n", ["x.yaml:2", "UTF-8"]),
        (GLOBAL + b"name: a\x00b\n", ["x.yaml:2", "U+0000"]),
        (b"", ["x.yaml", "empty"]),
        (GLOBAL + b"optim: &a\n  lr: *a\n", ["x.yaml", "alias *a"]),
        (GLOBAL + b"optim: &a [*a]\n", ["x.yaml", "alias *a"]),
        (GLOBAL + BOMB, ["x.yaml", "values"]),
        (GLOBAL + b"optim: " + b"[" * 2000 + b"]" * 2000, ["x.yaml", "nested"]),
        (GLOBAL + b"optim: !!set {lr, b}\n", ["x.yaml", "optim", "set"]),
        (GLOBAL + b"seed: !!int abc\n", ["x.yaml", "abc", "quote"]),
        (GLOBAL + b"seed: !!bool abc\n", ["x.yaml", "abc", "quote"]),
        (GLOBAL + b"seed: " + b"9" * 5000 + b"\n", ["x.yaml", "4300 digits"]),
        (GLOBAL + b"null: 1\n", ["x.yaml", "NoneType"]),
        (GLOBAL + b"defaults: 5\n", ["x.yaml", "defaults", "- model: db_mbv3", "'5'"]),
        (GLOBAL + b"defaults: [5]\n", ["x.yaml", "defaults", "'5'"]),
        (GLOBAL + b"defaults: [x]\n", ["defaults", "itself"]),
        (GLOBAL + b"- name: x\n", ["x.yaml:2", "a list"]),
        (GLOBAL + b"optm:\n  lr: 0.5\n", ["x.yaml:2", "optm", "did you mean optim?"]),
        (GLOBAL + b"logger:\n  wandb:\n    project: x\n", ["logger.wandb", "logger=wandb"]),
        (GLOBAL + b"callbacks:\n  early_stopping:\n    patience: 5\n", ["callbacks=early_stopping"]),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_line(experiment, content, words):
    experiment(content)
    with pytest.raises(ConfigError) as caught:
        check_early(compose("train", ["experiment=x"]))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_another_suffix_is_named(experiment):
    experiment(GLOBAL + b"seed: 3\n", "x.yml")
    with pytest.raises(ConfigError, match=r"x\.yml: .*rename it to x\.yaml"):
        compose("train", ["experiment=x"])


def test_a_node_that_interpolations_read_may_stand_at_the_top(experiment):
    experiment(GLOBAL + b"mine:\n  rate: 0.25\noptim:\n  lr: ${mine.rate}\n")
    config = compose("train", ["experiment=x"])
    check_early(config)
    assert config.optim.lr == 0.25


def test_a_data_set_of_ones_own_that_cannot_be_read_is_named_when_it_is_composed(experiment, tmp_path):
    (tmp_path / "conf" / "dataset").mkdir()
    for content in (BOMB, b"a: &a\n  b: *a\n", b"root: !!int abc\n", b"? [a]\n: 1\n", b"root: caf\xe9\n"):
        (tmp_path / "conf" / "dataset" / "mine.yaml").write_bytes(content)
        assert task_of_option("mine") is None
        with pytest.raises(ConfigError, match=r"conf/dataset/mine\.yaml"):
            compose("train", ["dataset=mine"])
