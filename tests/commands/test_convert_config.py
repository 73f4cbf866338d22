"""The verb: what it writes, prints and returns."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocrexp.__main__ import main
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError

from ..config.paddleocr_files import detector, put, recognizer, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to start from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_experiment_is_written_that_runs_by_its_name(folder, capsys):
    write(folder, detector(), "my det.yml")
    assert main(["convert-config", "config='my det.yml'", "-o", "Global.epoch_num=9"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("written: conf/experiment/my_det.yaml (model db_mbv3; ")
    assert printed.splitlines()[-1].endswith("run: python -m ocrexp experiment=my_det")
    config = compose("train", ["experiment=my_det"])
    assert (config.name, config.trainer.max_epochs, config.model.head.k) == ("my_det", 9, 40)


def test_a_written_file_is_not_overwritten_unasked(folder, capsys):
    write(folder, detector())
    (folder / "a.yaml").write_text("mine")
    assert main(["convert-config", "config=source.yml", "out=a.yaml"]) == 2
    assert "out=a.yaml: exists and is not overwritten; " in capsys.readouterr().err
    assert (folder / "a.yaml").read_text() == "mine"
    assert main(["convert-config", "config=source.yml", "out=a.yaml", "overwrite=true"]) == 0
    printed = capsys.readouterr().out
    assert "run: mkdir -p conf/experiment && cp a.yaml conf/experiment/ && python -m ocrexp experiment=a" in printed


def test_a_file_that_another_command_writes_meanwhile_is_kept(folder, capsys, monkeypatch):
    from ocrexp.config import paddleocr

    convert = paddleocr.convert

    def slow(*arguments):
        Path("a.yaml").write_text("another command's")
        return convert(*arguments)

    write(folder, detector())
    monkeypatch.setattr(paddleocr, "convert", slow)
    assert main(["convert-config", "config=source.yml", "out=a.yaml"]) == 2
    assert "out=a.yaml: exists and is not overwritten" in capsys.readouterr().err
    assert (folder / "a.yaml").read_text() == "another command's"


def test_a_file_that_would_end_in_yml_is_written_where_it_is_found(folder, capsys):
    write(folder, detector(), "12.yml")
    assert main(["convert-config", "config=12.yml", "out=conf/experiment/twelve.yml"]) == 0
    printed = capsys.readouterr()
    assert "conf/experiment/twelve.yaml" in printed.out and "twelve.yaml" in printed.err
    assert compose("train", ["experiment=twelve"]).name == "twelve"
    (folder / "conf/experiment/twelve.yaml").rename(folder / "conf/experiment/twelve.yml")
    with pytest.raises(ConfigError) as caught:
        compose("train", ["experiment=twelve"])
    assert "conf/experiment/twelve.yml" in str(caught.value) and "rename it to twelve.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["12.yml", "null.yml", "my det (2).yml", "_x.yml", "größe.yml", "a,b=c.yml", "1e-4.yml"]
)
def test_any_file_name_gives_an_experiment_that_runs_by_its_name(folder, capsys, name):
    write(folder, detector(), name)
    assert main(["convert-config", f"config='{name}'"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].rpartition("; run: ")[2]
    assert compose("train", command.split()[3:]).model.head.k == 40


def test_an_experiment_of_the_same_name_is_not_taken_for_the_new_one(folder):
    write(folder, detector())
    assert main(["convert-config", "config=source.yml"]) == 0
    write(folder, recognizer())
    assert main(["convert-config", "config=source.yml", "overwrite=true"]) == 0
    assert compose("train", ["experiment=source"]).task == "rec"


def test_what_is_left_behind_makes_the_exit_code_1(folder, capsys):
    write(folder, put(detector(), "Loss.balance_los", 3))
    assert main(["convert-config", "config=source.yml"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^missing  Loss\.balance_los: 3: unknown key; .*; did you mean balance_loss\?$", printed, re.M)
    assert (folder / "conf/experiment/source.yaml").exists()  # what could be carried over is there
    assert main(["convert-config", "config=source.yml", "overwrite=true", "strict=false"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "config: is missing; add a PaddleOCR training file: config=FILE.yml"),
        (["config=none.yml"], "config=none.yml: "),
        (["config=."], "config=.: "),
        (["confg=source.yml"], "add a PaddleOCR training file"),
        (["config=source.yml", "ouut=a.yaml"], "unknown key ouut"),
        (["config=source.yml", "out=a.txt"], "out=a.txt: expected a file that ends in .yaml"),
        (["config=source.yml", "out='a b.yaml'"], "expected a name that begins with a letter"),
        (["config=source.yml", "out=null.yaml"], "expected a name that begins with a letter"),
        (["config=source.yml", "strict=perhaps"], "strict: expected true or false, got perhaps"),
        (["config=source.yml", "-o"], "-o: the value is missing; write Section.key=value"),
        (["config=source.yml", "-o", "Global.epoch_num"], "-o Global.epoch_num: expected Section.key=value"),
        (["config=source.yml", "-o", "Globl.epoch_num=1"], "the file has no Globl; did you mean Global?"),
        (["config=bad.yml"], "bad.yml:3: not valid YAML ("),
    ],
)
def test_faults_are_said_in_one_line(folder, capsys, arguments, message):
    write(folder, detector())
    (folder / "bad.yml").write_text("a: [1,\nb: 2\n")
    assert main(["convert-config", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "conf").exists()


def test_it_needs_no_paddle_to_say_what_is_wrong(folder):
    write(folder, put(detector(), "Architecture.algorithm", "PGNet"))
    code = (
        "import sys; sys.modules['paddle'] = None; from ocrexp.__main__ import main;"
        " sys.exit(main(['convert-config', 'config=source.yml']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "unsupported algorithm PGNet" in result.stderr


def test_help_lists_its_keys(capsys):
    assert main(["convert-config", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "strict: true" in printed and "-o Global.epoch_num=5" in printed


def test_the_example_of_the_docs_is_true(folder, capsys):
    """docs/from-paddleocr.md shows a file, the command and its output."""
    page = (ROOT / "docs" / "from-paddleocr.md").read_text(encoding="utf-8")
    source, shown = re.search(r"```yaml\n# (?:.*?)\n(.*?)```.*?```console\n(.*?)```", page, re.DOTALL).groups()
    assert yaml.safe_load(source)["Architecture"]
    (folder / "words.yml").write_text(source, encoding="utf-8")
    command, *expected = shown.strip().splitlines()
    assert command == "$ python -m ocrexp convert-config config=words.yml"
    assert main(command.split()[4:]) == 1  # a misspelt key is left behind
    assert capsys.readouterr().out.splitlines() == expected
    config = compose("train", ["experiment=words"])
    assert config.model.neck.hidden_size == 64
    assert list(config.model.image_shape) == [32, 160]
