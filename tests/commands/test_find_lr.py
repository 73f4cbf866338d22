"""`find-lr` as a user types it: overrides, files, and one line where nothing can be suggested."""

import csv
import json

import pytest
import warm

from ocrexp.commands.find_lr import _settle, run
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError


def find(tiny_run, tmp_path, *more):
    """The verb in a process of its own, on a tiny detector."""
    given = [item for item in tiny_run if not item.startswith("trainer.max_epochs")]
    return warm.run(["-m", "ocrexp", "find-lr", *given, "output=found", *more], cwd=tmp_path)


def test_a_range_test_prints_overrides_and_leaves_its_points(tiny_run, tmp_path):
    done = find(tiny_run, tmp_path, "start=1e-5", "end=1", "steps=24", "smoothing=0.8", "trainer.devices=2")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found" / "lr_range.json").read_text())
    best = found["suggestions"][found["recommended"]]
    assert f"Use {best['override']} ({found['recommended']}): {found['reason']}." in done.stdout.splitlines()
    assert all(one["override"] in done.stdout for one in found["suggestions"].values())
    assert "for 8 images per step" in done.stdout  # two processes of 4
    with (tmp_path / "found" / "lr_range.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "lr", "loss", "smoothed"] and float(rows[0]["lr"]) == 1e-5
    assert (tmp_path / "found" / "lr_range.png").stat().st_size > 10_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found"]  # no run folder


def test_trainings_at_rates_name_the_best(tiny_run, tmp_path):
    done = find(tiny_run, tmp_path, "rates=[1e-12,0.01]", "steps=6")
    assert done.returncode == 0, done.stderr
    assert "Use optim.lr=0.01: it has the lowest validation loss after 6 steps." in done.stdout
    assert "It is the highest of the given rates; a higher one may be better." in done.stdout
    found = json.loads((tmp_path / "found" / "lr_trainings.json").read_text())
    losses = [one["result"]["val_loss"] for one in found["trainings"]]
    assert found["recommended"] == 0.01 and losses[1] < losses[0] == pytest.approx(found["start"]["val_loss"], rel=0.5)
    with (tmp_path / "found" / "lr_trainings.csv").open() as file:
        assert [row["lr"] for row in csv.DictReader(file)] == ["1e-12", "0.01"]
    assert (tmp_path / "found" / "lr_trainings.png").is_file()


def test_a_list_that_does_not_exist_is_wrong_input(tiny_run, tmp_path):
    done = find(tiny_run, tmp_path, "dataset.train_labels=none.txt", "start=1e-5", "end=1", "steps=24")
    assert done.returncode == 2
    assert "dataset.train_labels: label file " in done.stderr


def test_a_flat_curve_is_one_line_and_exit_code_1(tiny_run, tmp_path):
    done = find(tiny_run, tmp_path, "start=1e-12", "end=1e-11", "steps=12")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("ocrexp: find-lr: ")]
    assert len(lines) == 1 and "the loss has not fallen" in lines[0] and "set another start or end" in lines[0]
    assert (tmp_path / "found" / "lr_range.png").is_file() and not (tmp_path / "found" / "lr_range.json").exists()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["start=0"], r"^start: expected a number above 0, got 0$"),
        (["end=1e-9"], r"^end: expected a number above start=1e-07, got 1e-09$"),
        (["steps=3"], r"^steps: expected 12 or more for a ramp, got 3$"),
        (["steps=many"], r"^steps: expected a whole number, 1 or more, or null, got 'many'$"),
        (["mode=cosine"], r"^mode: expected exponential or linear, got 'cosine'$"),
        (["smoothing=1"], r"^smoothing: expected a number from 0 to below 1, got 1$"),
        (["diverge=1"], r"^diverge: expected a number above 1, got 1$"),
        (["rates=[1e-4,0]"], r"^rates: expected different numbers above 0"),
        (["rates=[1e-4,1e-3]", "end=1"], r"^end: belongs to the ramp"),
        (["run_dir=x"], r"^run_dir=x: find-lr trains in no run folder; remove it$"),
        (["sweep=lr_batch"], r"^sweep=lr_batch: find-lr tries one configuration; remove it$"),
        (["strat=1e-5"], r"unknown key strat"),
        (["optim.lrr=1"], r"did you mean lr\?"),
        (["loader.batch_size=no"], r"^loader.batch_size: expected a whole number, 1 or more, or auto, got 'no'$"),
    ],
)
def test_what_cannot_be_is_one_line(overrides, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=line):
        run(overrides)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(tmp_path, tiny_run):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "mine.txt").write_text("")
    with pytest.raises(ConfigError, match=r"found: exists and is not overwritten; choose another folder$"):
        run([*tiny_run, f"output={tmp_path / 'found'}"])


def test_the_test_has_what_an_adaptation_chooses_in_one_process(tmp_path, draw_words, capsys, monkeypatch):
    monkeypatch.setattr("ocrexp.runs.adapt.available_cores", lambda: 2)
    root = draw_words(tmp_path / "words", ["AB1", "C2", "3D4", "E", "F5", "6G"])
    given = ["experiment=finetune_rec", f"dataset.root={root}", "model.pretrained=null", "trainer.device=cpu"]
    config = compose("train", given)
    _settle(config, given)
    assert (config.loader.batch_size, config.trainer.accumulate, config.trainer.devices) == (2, 2, 1)  # of 18 lines
    assert "makes the images of a step those of 2 processes" in capsys.readouterr().out
    assert config.optim.schedule.warmup_steps == compose("train", given).optim.schedule.warmup_steps  # no length
