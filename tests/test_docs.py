"""The commands in the documentation are ones that the program takes."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ocrexp.__main__ import VERBS, split_verb
from ocrexp.command_line import key_of
from ocrexp.commands.check_data import compose_for
from ocrexp.commands.copy import FILES
from ocrexp.config.arguments import arrange
from ocrexp.config.changes import split_overrides
from ocrexp.config.check import check, check_early
from ocrexp.config.compose import compose
from ocrexp.config.paths import groups, options_of
from ocrexp.config.task import with_default_model
from ocrexp.config.verbs import TAKES_RUNS
from ocrexp.runs.hooks import each_value_once
from ocrexp.weights.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "conf").rglob("*.yaml"))]
SKIPPED = ("--help", "--cfg", "--info", "-sc")


@cache
def composes(verb, *overrides):
    """Returns the keys. Pages repeat commands."""
    return [str(key) for key in compose(verb, list(overrides))]


@cache
def fits(*overrides):
    """Compose a training and check its parts."""
    config = compose("train", list(overrides))
    if "root" in config.dataset and not config.dataset.get("root", "x"):
        config.dataset.root = "/data"
    check(config)


def commands():
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.suffix == ".yaml":
            text = re.sub(r"\\\n#\s*", "", text)
            lines = re.findall(r"(?:^#   command    |  )(python -m ocrexp [^\n]*)", text, flags=re.MULTILINE)
        else:
            blocks = re.findall(r"```(?:bash|console)\n(.*?)```", text, flags=re.DOTALL)
            lines = re.findall(r"^\$? ?(python -m ocrexp[^\n]*)", "\n".join(blocks), flags=re.MULTILINE)
        found += [(page.name, line.split("  #")[0].strip()) for line in lines]
    return found


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value[:60])
def test_command_of_the_docs_composes(page, line):
    arguments = shlex.split(line)[3:]
    if any(flag in arguments for flag in SKIPPED) or "optim.lrr=1" in arguments or "pair=" in line:
        return
    if page == "extending.md":  # with files of the page: tests/test_extending.py runs them
        return
    if "experiment=pages" in arguments:  # a file of the tutorial: tests/test_tutorial.py composes it
        return
    if "experiment=receipts" in arguments:  # the reader's own file, shown beside the command
        return
    verb, rest = split_verb(arguments)
    assert verb in VERBS
    overrides = [item for item in rest if item != "-m"]
    if verb == "train":
        searches = any(item.startswith(("hydra/sweeper=", "sweep=optuna")) for item in overrides)
        for job in each_value_once(overrides, grid=not searches):
            fits(*with_default_model(job))
    elif verb in ("eval", "resume", "export"):
        keys = composes(verb) + [key_of(item) for item in overrides if "export." in item]
        own, others = split_overrides(keys, overrides)
        assert any(item.startswith(("run_dir=", "checkpoint=")) for item in own)
        composes(verb, *own)
        composes("train", *others)
    elif verb in ("find-lr", "find-batch"):
        own, others = split_overrides(composes(verb), arrange(verb, overrides))
        composes(verb, *own)
        fits(*with_default_model(others))
    elif verb in ("check-data", "browse"):
        own, others = split_overrides(composes(verb), overrides)
        composes(verb, *own)
        check_early(compose_for(None if any(item.startswith("dataset=") for item in others) else "rec", others))
    elif verb in ("doctor", "list", "copy"):  # no configuration: tests/commands has them
        assert all(item.partition("=")[0] in (*groups(), "pretrained", *FILES) for item in overrides)
    elif verb in TAKES_RUNS:
        composes(verb, *arrange(verb, overrides))
    elif verb == "fetch":
        assert overrides[0] in REGISTRY
    else:
        composes(verb, *overrides)


def test_there_are_commands_to_test():
    assert len(commands()) > 20


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        if page.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_keys_for_users_of_paddleocr_exist():
    """Keys and options in the second column of the tables of docs/from-paddleocr.md."""
    page = (ROOT / "docs" / "from-paddleocr.md").read_text(encoding="utf-8")
    table = page.partition("\n## Corresponding keys")[2].partition("\n## ")[0]
    words = [
        word.replace("…", "")
        for row in re.findall(r"^\| `.*? \| (.*) \|$", table, flags=re.MULTILINE)
        for span in re.findall(r"`([^`]+)`", row)
        for word in span.split()
    ]
    keys = {word.partition("=")[0] for word in words if re.match(r"[a-z]+\.[a-z]", word)}
    options = [word.split("=") for word in words if re.match(r"[a-z]{2,}(/[a-z]+)*=[a-z]", word)]
    assert len(keys) > 50
    assert len(options) > 12
    rec = ["charset=dictionary", "loader=multi_scale", "dataset=rec_list"]
    configs = [
        compose("train", ["dataset=det_list", "model=db_mbv3"]),
        compose("train", [*rec, "model=crnn_mbv3"]),
        compose("train", [*rec, "model=distill", "model/student=crnn_mbv3", "model/teacher=crnn_mbv3"]),
    ]
    known = {key for config in configs for key in _keys(OmegaConf.to_container(config, resolve=False))}
    assert not keys - known
    assert not [f"{group}={name}" for group, name in options if name not in options_of(group)]


def _keys(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{path}{key}"
            yield from _keys(value, f"{path}{key}.")
