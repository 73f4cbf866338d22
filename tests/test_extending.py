"""docs/extending.md: its files, as printed, train in a run, in a sweep's process and in one elsewhere."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import warm

from ocrexp.__main__ import main
from ocrexp.config.locate import locate
from ocrexp.environment import START_FOLDER, find_own_modules
from ocrexp.errors import ConfigError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
SMALL = [
    "augment.warp.size=[64,64]", "preprocess.resize.limit_side_len=64", "preprocess.resize.limit_type=max",
    "model.neck.out_channels=16", "loader.batch_size=4", "loader.num_workers=0", "trainer.max_steps=1",
    "trainer.device=cpu", "callbacks=none",
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_lists):
    """The project of the page in a folder of its own, with boxes of the tiny lists."""
    for language, name, text in re.findall(
        r"```(\w+)\n# (\S+?)(?:, continued)?\n(.*?)```", PAGE.read_text(), re.DOTALL
    ):
        assert language in ("python", "yaml")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    (tmp_path / "mypkg" / "__init__.py").touch()
    pages = tmp_path / "pages"
    pages.mkdir()
    for split in ("train", "val"):
        rows = ["image,left,top,right,bottom,text"]
        for line in (tiny_lists / f"{split}_list.txt").read_text().splitlines():
            name, _, label = line.partition("\t")
            for region in json.loads(label):
                (left, top), _, (right, bottom), _ = region["points"]
                rows.append(f"{tiny_lists / name},{left},{top},{right},{bottom},{region['transcription']}")
        rows.append(f"{tiny_lists / 'none.png'},5,5,5,9,WORD")
        (pages / f"{split}.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypkg"]:
        del sys.modules[name]


def commands():
    text = PAGE.read_text(encoding="utf-8")
    return [shlex.split(line)[3:] for line in re.findall(r"^(python -m ocrexp .*)$", text, re.MULTILINE)]


def in_a_process(*arguments, code=0):
    """Train in a process of its own: threads and kernels that it sets would change the numbers of later tests."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = warm.run(["-m", "ocrexp", *arguments], env=environment)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_the_commands_of_the_page_train(project):
    single, sweep = commands()
    in_a_process(*single, *SMALL, "run_dir=run")
    assert (project / "run/lines.txt").read_text().startswith("1 train/loss=")
    assert "loss_near" in (project / "run/metrics.csv").read_text()
    sweep = ["model/backbone=small" if item.startswith("model/backbone=") else item for item in sweep]
    in_a_process(*sweep, "optim.lr=0.01", *SMALL, "sweep_dir=sweep")
    assert json.loads((project / "sweep/0/status.json").read_text())["state"] == "done"


def test_what_a_part_refuses_names_its_key(project, capsys):
    assert main(["model/backbone=small", "model.backbone.widht=8"]) == 2
    assert "model.backbone.widht" in capsys.readouterr().err
    part = ["model/backbone=small", "model.backbone.width=7", "dataset=box_table", "dataset.root=pages"]
    error = in_a_process(*part, *SMALL, code=2)
    assert "model.backbone" in error and "multiple of 4" in error


def test_processes_elsewhere_find_the_start_folder(project):
    """As a launcher's process, or a rank, which starts in another folder, and as the console script does."""
    code = "import sys; sys.path = [p for p in sys.path if p]; {}; import mypkg; print(mypkg.__file__)"
    calls = {
        "/": "from ocrexp.environment import find_own_modules as f; f()",
        str(project): "from ocrexp.__main__ import main; main(['--version'])",
    }
    for folder, call in calls.items():
        environment = {**os.environ, START_FOLDER: str(project)}
        if folder != "/":
            del environment[START_FOLDER]
        script = project / "script.py"
        script.write_text(code.format(call))
        result = subprocess.run(
            [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", str(script)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.stdout.splitlines()[-1:] == [str(project / "mypkg/__init__.py")], result.stderr


def test_no_file_of_the_start_folder_hides_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setenv(START_FOLDER, str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    find_own_modules()
    find_own_modules()
    assert sys.path[-1] == str(tmp_path) and sys.path.count(str(tmp_path)) == 1


def test_a_package_that_is_not_found_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        locate("nopkg_here.parts.Thing", "model.backbone")
    assert "nopkg_here.parts" in str(caught.value) and str(tmp_path) in str(caught.value)
