"""Config errors: one line, the advice in it, exit code 2, and no heavy import before them."""

import json
import os
import subprocess
import sys

import pytest

from ocrexp.config.check import check_early
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["optim.lrr=1"], ["optim.lrr", "did you mean lr?"]),
        (["lr=1e-4"], ["unknown key lr", "did you mean optim.lr?"]),
        (["optimizer=adamm"], ["optimizer=adamm: unknown option", "did you mean adam", "adamw", "momentum"]),
        (["model=db_mbv4"], ["model=db_mbv4: unknown option", "did you mean db_mbv3?", "db_r18"]),
        (["model/backbone=resnet19_vd"], ["model/backbone=resnet19_vd: unknown option", "resnet18_vd"]),
        (["modell=db_r18"], ["modell", "did you mean model?"]),
        (["optim.lr=high"], ["optim.lr: expected a number, got 'high'"]),
        (["trainer.max_epochs=2.5"], ["trainer.max_epochs", "2.5", "whole number"]),
        (["trainer.max_epoch=2"], ["trainer.max_epoch", "did you mean max_epochs?"]),
        (["loader.batchsize=2"], ["loader.batchsize", "did you mean batch_size?"]),
        (["+optim.lr=1"], ["optim.lr", "without the leading '+'"]),
        (["trainer.max_epochs=1,2"], ["several values", "-m"]),
        (["dataset.cache_dir='a,b'", "model.freeze=[a,b]", "optim.lr=1,5"], ["optim.lr=1,5: has several values"]),
        (["optim.lr=1e-3", "logger=null"], ["logger=null", "did you mean logger=none?", "csv"]),
        (["scheduler=null"], ["scheduler=null", "options: constant, cosine"]),
        (["optim.lr=[1,2"], ["cannot read this override", 'optim.lr="[1,2"']),
        (["trainer.device=gpu:0,1"], ["trainer.devices=[0,1]"]),
        (["seed=range(3)"], ["seed=range(3)", "-m"]),
        (["loader.multi_scale={sizes:[[32,100]]}"], ["loader.multi_scale is null", "loader=multi_scale"]),
        (["hydra/sweeper=optuna"], ["hydra/sweeper", "use hydra/sweeper=ocrexp_optuna", "'ocrexp[search]'", "basic"]),
        (["hydra/launcher=submitit_slurm"], ["hydra/launcher", "use launcher=slurm ", "'ocrexp[slurm]'"]),
        (["hydra/launcher=joblib"], ["hydra/launcher", "use launcher=joblib"]),
        (["hydra/launcher=rq"], ["hydra/launcher", "pip install 'hydra-rq-launcher'"]),
        (["callbacks.early_stopping.patience=5"], ["callbacks=early_stopping"]),
        (["loader.multi_scale.by_ratio=true"], ["loader=multi_scale"]),
        (["logger.wandb.project=x"], ["choose it with logger=wandb"]),
        (["optimizer.beta1=0.8"], ["unknown key optimizer", "did you mean optim.optimizer.beta1?"]),
        (["optimizer.lr=1e-3"], ["unknown key optimizer", "did you mean optim.lr?"]),
        (["scheduler.warmup_steps=3"], ["unknown key scheduler", "did you mean optim.schedule.warmup_steps?"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and "=" in value[0] else "",
)
def test_one_line_with_the_mend(overrides, words):
    with pytest.raises(ConfigError) as caught:
        compose("train", overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


EARLY = {
    "key": (["optim.lrr=1"], "did you mean lr?"),
    "option": (["optimizer=adamm"], "options: "),
    "type": (["optim.lr=high"], "expected a number"),
    "interval": (["-m", "optim.lr=interval(1e-5,1e-3)"], "grid sweeper"),
    "verb": (["trane"], "did you mean train?"),
    "sweep": (["-m", "optim.lrr=1,2"], "did you mean lr?"),
    "glob": (["-m", "model=glob(*)", "seed=0,1", "optim.lrr=1"], "did you mean lr?"),
    "deleted node": (["~trainer"], "~trainer: a run needs this node"),
}
LATE = {
    "key of a part": ["+model.backbone.scal=0.5", "dataset=det_list", "dataset.root=/nowhere"],
    "value": ["trainer.precision=fp8", "run_dir=run"],
}
# A Python that has imported Hydra and the verb, and a fork of it for each command.
COMMANDS = """
import json, os, sys
import hydra, ocrexp.__main__, ocrexp.commands.train

for name, arguments in json.loads(sys.argv[1]).items():
    os.mkdir(name)
    pid = os.fork()
    if not pid:
        os.chdir(name)
        out, err = (os.open(each, os.O_WRONLY | os.O_CREAT) for each in ("stdout", "stderr"))
        os.dup2(out, 1), os.dup2(err, 2)
        sys.argv[1:] = arguments
        try:
            code = ocrexp.__main__.main()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush(), sys.stderr.flush()
        with open("ended", "w") as file:
            json.dump([code, sorted(sys.modules)], file)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """By the names of EARLY and LATE: exit code, error lines, imported modules, and the folder in which it ran."""
    folder = tmp_path_factory.mktemp("commands")
    asked = {name: arguments for name, (arguments, _) in EARLY.items()} | LATE
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", COMMANDS, json.dumps(asked)]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    found = {}
    for name in asked:
        code, modules = json.loads((folder / name / "ended").read_text())
        found[name] = code, (folder / name / "stderr").read_text().splitlines(), modules, folder / name
    return found


@pytest.mark.parametrize("name", EARLY)
def test_command_line_answers_before_paddle_is_imported(name, commands):
    code, lines, imported, folder = commands[name]
    assert code == 2
    assert len(lines) == 1, lines
    assert EARLY[name][1] in lines[0]
    assert "ocrexp.__main__" in imported and "paddle" not in imported
    assert not (folder / "outputs").exists()


def test_unknown_key_of_a_part_is_refused_before_data_is_loaded(commands):
    code, lines, _, folder = commands["key of a part"]
    assert code == 2
    assert lines == ["ocrexp: unknown key model.backbone.scal: MobileNetV3 has no argument 'scal'; did you mean scale?"]
    assert not (folder / "outputs").exists()


def test_missing_packages_are_told_with_the_command_to_run(tmp_path):
    """A folder of broken modules in front of the path stands for packages that are not there."""
    (tmp_path / "paddle.py").write_text("raise ModuleNotFoundError(\"No module named 'paddle'\", name='paddle')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "ocrexp", "run_dir=run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == "ocrexp: paddle is not installed: pip install 'ocrexp[cpu]' (GPU machines: see docs/installation.md)\n"
    )
    assert not (tmp_path / "run").exists()

    (tmp_path / "paddle.py").unlink()
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n"
    )
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 1
    assert (
        done.stderr == "ocrexp: OpenCV needs libGL, which this system lacks: apt-get install -y libgl1 libglib2.0-0\n"
    )


def test_impossible_trainer_values_leave_no_folder(commands):
    code, lines, _, folder = commands["value"]
    assert code == 2
    assert len(lines) == 1
    assert all(word in lines[0] for word in ("trainer.precision", "fp32, amp_o1, amp_o2", "fp8"))
    assert not (folder / "run").exists()


@pytest.mark.parametrize(("verb", "key"), [("synth", "experiment"), ("bench", "model"), ("convert-config", "logger")])
def test_a_group_of_training_is_not_offered_by_other_verbs(verb, key):
    with pytest.raises(ConfigError) as caught:
        compose(verb, [f"{key}=x"])
    assert f"unknown key {key}" in str(caught.value)
    offered = str(caught.value).partition(" known keys: ")[2].split(", ")
    assert offered[0]
    assert not {"experiment", "trainer", "optimizer", "model"} & set(offered)


def test_a_node_that_was_added_under_the_name_of_its_group_is_no_file():
    for override, meant in (("+optimizer.foo=1", "optim.optimizer.foo"), ("+optimizer.lr=1", "optim.lr")):
        with pytest.raises(ConfigError, match=f"^unknown key optimizer: .*did you mean {meant}\\?$"):
            check_early(compose("train", [override]))
