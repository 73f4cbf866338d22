"""Config errors: one line, the mend in it, exit code 2, and no heavy import before them."""

import subprocess
import sys
import time

import pytest

from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["optim.lrr=1"], ["optim.lrr", "did you mean lr?"]),
        (["lr=1e-4"], ["unknown key lr", "did you mean optim.lr?"]),
        (["optimizer=adamm"], ["optimizer has no option 'adamm'", "did you mean adam", "adamw", "momentum"]),
        (["model=db_mbv4"], ["model has no option", "did you mean db_mbv3?", "db_r18"]),
        (["model/backbone=resnet19_vd"], ["model/backbone has no option", "resnet18_vd"]),
        (["modell=db_r18"], ["modell", "did you mean model?"]),
        (["optim.lr=high"], ["optim.lr", "'high' is no number"]),
        (["trainer.max_epochs=2.5"], ["trainer.max_epochs", "2.5", "whole number"]),
        (["trainer.max_epoch=2"], ["trainer.max_epoch", "did you mean max_epochs?"]),
        (["loader.batchsize=2"], ["loader.batchsize", "did you mean batch_size?"]),
        (["+optim.lr=1"], ["optim.lr", "without the leading '+'"]),
        (["trainer.max_epochs=1,2"], ["several values", "-m"]),
        (["name=a b=c"], ["cannot read the override", "quote"]),
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


def run(*arguments, cwd=None):
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ocrexp", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    return done, lines, imported, time.perf_counter() - started


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["optim.lrr=1"], "did you mean lr?"),
        (["optimizer=adamm"], "options: "),
        (["optim.lr=high"], "no number"),
        (["-m", "optim.lr=interval(1e-5,1e-3)"], "grid sweeper"),
        (["trane"], "did you mean train?"),
        (["-m", "optim.lrr=1,2"], "did you mean lr?"),
    ],
    ids=["key", "option", "type", "interval", "verb", "sweep"],
)
def test_command_line_answers_before_paddle_is_imported(arguments, word, tmp_path):
    done, lines, imported, _ = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(lines) == 1, lines
    assert word in lines[0]
    assert "paddle" not in imported
    assert not (tmp_path / "outputs").exists()


def test_unknown_key_of_a_part_is_refused_before_data_is_loaded(tmp_path):
    done, lines, _, _ = run("+model.backbone.scal=0.5", "dataset=det_list", "dataset.root=/nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert lines == ["ocrexp: unknown key model.backbone.scal: MobileNetV3 takes no 'scal'; did you mean scale?"]
    assert not (tmp_path / "outputs").exists()
