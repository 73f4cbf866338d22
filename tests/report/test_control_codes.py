"""Names come from strangers: control codes in them reach neither the terminal nor a file that is shown in one."""

import json

import pytest

from ocrexp.engine.console import Console
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.report.figures import figures
from ocrexp.report.title import plain
from ocrexp.runs.sweep_table import finish_sweep

ESCAPE = "\x1b]0;pwn\x07"


def clean(text):
    return all(character.isprintable() or character == "\n" for character in text)


def test_a_sweep_of_hostile_names(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / f"sweep{ESCAPE}"
    for number in range(2):
        (folder / str(number) / ".hydra").mkdir(parents=True)
        overrides = [f"+key{ESCAPE}={number}", f"name={ESCAPE}{number}"]
        job = {"name": "job", "number": number, "overrides": overrides}
        (folder / str(number) / ".hydra" / "job.json").write_text(json.dumps(job))
        status = {"state": f"do{ESCAPE}ne", "best_metric": f"hm{ESCAPE}", "best_value": 0.5, "error": f"disk {ESCAPE}"}
        (folder / str(number) / "status.json").write_text(json.dumps(status))
    finish_sweep(folder)
    printed = capsys.readouterr()
    assert clean(printed.out + printed.err)
    for shown in (r"sweep\x1b]0;pwn\x07", r"key\x1b", r"hm\x1b", r"disk \x1b"):
        assert shown in printed.out
    assert clean((folder / "sweep.csv").read_text())
    assert (folder / "sweep.png").is_file()


def test_hostile_names_of_metrics(tmp_path):
    assert figures({f"a{ESCAPE}": 0.5}) == r"a\x1b]0;pwn\x07 0.5000"
    logger = CSVLogger()
    logger.start(RunInfo(name="run", run_dir=tmp_path, config={}))
    for step in (1, 2):
        logger.log_metrics({f"val/a{ESCAPE}": 0.5}, step)
    assert clean((tmp_path / "metrics.csv").read_text())
    assert (tmp_path / "metrics.csv").read_text().count("0.5") == 2


@pytest.mark.parametrize("text", [ESCAPE, "a\nb", "\u202eb", "$x^2$"])
def test_titles_of_plots(text):
    shown = plain(text)
    assert shown.isprintable()
    assert "$" not in shown.replace(r"\$", "")


def test_the_bar_of_a_training(tmp_path, monkeypatch):
    shown = []
    console = Console(tmp_path)
    console._total = 9

    class Bar:
        class console:
            width = 200

        def update(self, task, completed, text):
            shown.append(text)

    console._bar = Bar()
    monkeypatch.setattr(console, "_bar_width", lambda: 20)
    console.progress("line", {f"loss{ESCAPE}[red]": f"0.5{ESCAPE}"}, 1)
    assert shown and clean(shown[0]) and r"\[red]" in shown[0]
