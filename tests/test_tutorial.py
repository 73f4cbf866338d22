"""The tutorial's files and commands, run in their order in an empty folder, with less data and fewer steps."""

import os
import re
import shlex
from pathlib import Path

import pytest
import warm

from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.runs.hooks import each_value_once

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[3:]
    for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in re.findall(r"^python -m ocrexp[^\n]*", block, flags=re.MULTILINE)
]
SMALLER = {  # what a test changes, by the first word of the command
    "synth": ["dataset.train_pages=8", "dataset.val_pages=2", "dataset.workers=1"],
    "experiment=pages": [
        "trainer.max_steps=2", "trainer.eval_every_steps=2", "model/backbone=mobilenetv3_small_x0_5",
        "loader.batch_size=2", "loader.num_workers=0", "augment.warp.size=[64,64]", "optim.schedule.warmup_steps=1",
    ],
    "eval": [],
    "export": ["export.parity.images=2", "postprocess.box_thresh=0.0"],
    "predict": ["backend=onnx", "workers=1"],
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "my pages"
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL):
        path = folder / re.match(r"# (conf/\S+)\n", block)[1]
        path.parent.mkdir(parents=True)
        path.write_text(block.split("\n", 1)[1], encoding="utf-8")
    return folder


def run(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = warm.run(command, cwd=folder, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_commands_run_in_their_order_up_to_the_deployed_model(project):
    seen = []
    for command in COMMANDS:
        if "-m" in command or "--cfg" in command or command[0] == "resume":
            continue
        run(["-m", "ocrexp", *command, *SMALLER[command[0]]], project)
        seen.append(command[0])
    assert seen == ["synth", "experiment=pages", "eval", "export", "predict"]
    assert (project / "predictions" / "predictions.jsonl").read_text(encoding="utf-8").count("\n") == 10
    snippet = re.search(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)[1]
    (project / "read.py").write_text(snippet, encoding="utf-8")
    assert "lines in" in run(["read.py"], project)


def test_its_sweep_and_its_experiment_compose(project, monkeypatch):
    monkeypatch.chdir(project)
    sweeps = [command for command in COMMANDS if "-m" in command]
    assert sweeps
    for command in sweeps:
        for job in each_value_once([item for item in command if item != "-m"], grid=True):
            check(compose("train", job))
