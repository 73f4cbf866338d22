"""`ocrexp list` shows what there is; `ocrexp copy` puts a file into ./conf and never overwrites."""

from pathlib import Path

import pytest

from ocrexp.__main__ import main
from ocrexp.config.compose import compose
from ocrexp.config.paths import shipped_conf
from ocrexp.config.verbs import VERBS
from ocrexp.help import about, page


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "my ocr 发票"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_states_its_summary_and_usage(verb):
    summary, usage = about(verb)
    assert summary[0].isupper() and "\n" not in summary
    assert f"ocrexp {verb if verb != 'train' else '[VERB]'}" in usage
    assert summary in page(verb)


def test_list_shows_options_with_their_first_line_and_marks_own_ones(project, capsys):
    own = project / "conf" / "experiment" / "receipts.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "# conf/experiment/receipts.yaml\n# @package _global_\n# Receipts of our shop.\nname: receipts\n",
        encoding="utf-8",
    )
    assert main(["list", "experiment"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["receipts"].split() == ["receipts", "*", "Receipts", "of", "our", "shop."]
    assert "quickstart" in lines and "*" not in lines["quickstart"]


def test_list_without_a_group_shows_experiments_models_and_groups(project, capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "quickstart" in shown and "crnn_mbv3" in shown and "model/backbone (" in shown
    assert "_rec" not in [line.split()[0] for line in shown.splitlines() if line.strip()]


def test_copy_gives_the_definition_of_a_wandb_sweep_and_does_not_overwrite_it(project, capsys):
    assert main(["copy", "wandb-sweep"]) == 0
    assert "wandb sweep --project NAME wandb_sweep.yaml" in capsys.readouterr().out
    assert "${args_no_hyphens}" in (project / "wandb_sweep.yaml").read_text()
    assert main(["copy", "wandb-sweep"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["copy", "wandb-sweep", "to=other.txt"]) == 2
    assert "other.txt" in capsys.readouterr().err
    assert main(["copy", "wandb-sweep", "to=my sweeps/a.yaml"]) == 0
    assert (project / "my sweeps" / "a.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["list", "modle"], ["modle", "did you mean model?"]),
        (["list", "a", "b"], ["'a b'"]),
        (["copy"], ["GROUP=OPTION"]),
        (["copy", "quickstart"], ["'quickstart'", "experiment=quickstart"]),
        (["copy", "experiment=quickstrat"], ["experiment=quickstrat", "did you mean quickstart"]),
        (["copy", "experimnt=quickstart"], ["experimnt", "did you mean experiment?"]),
        (["copy", "experiment=quickstart", "to="], ["to"]),
        (["copy", "experiment=quickstart", "to=a/b.yml"], ["to=a/b.yml", "to=a/b.yaml"]),
        (["copy", "experiment=quickstart", "model=db_mbv3"], ["one GROUP=OPTION"]),
    ],
)
def test_what_does_not_exist_is_one_line_and_leaves_nothing(project, capsys, arguments, parts):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(part in error for part in parts), error
    assert not any(Path().iterdir())


def test_a_copy_composes_as_the_shipped_file_does_and_its_command_is_shown(project, capsys):
    assert main(["copy", "experiment=quickstart", "to=receipts"]) == 0
    shown = capsys.readouterr().out
    assert "python -m ocrexp experiment=receipts" in shown
    copied = project / "conf" / "experiment" / "receipts.yaml"
    assert copied.read_bytes() == (shipped_conf() / "experiment" / "quickstart.yaml").read_bytes()
    assert compose("train", ["experiment=receipts"]) == compose("train", ["experiment=quickstart"])


def test_a_copy_of_a_model_finds_what_it_inherits(project):
    assert main(["copy", "model=db_mbv3"]) == 0
    assert compose("train", ["model=db_mbv3"]).model.normalize.mean[0] == 0.485


def test_an_existing_file_is_never_overwritten(project, capsys):
    assert main(["copy", "experiment=quickstart"]) == 0
    own = project / "conf" / "experiment" / "quickstart.yaml"
    own.write_text("# mine\n", encoding="utf-8")
    assert main(["copy", "experiment=quickstart"]) == 2
    assert own.read_text(encoding="utf-8") == "# mine\n" and "to=NAME" in capsys.readouterr().err


def test_the_shipped_configuration_is_not_written_to(monkeypatch, capsys):
    monkeypatch.chdir(shipped_conf().parent)
    assert main(["copy", "experiment=quickstart", "to=never_written"]) == 2
    assert not (shipped_conf() / "experiment" / "never_written.yaml").exists()
