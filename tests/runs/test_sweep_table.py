"""A sweep's table: every value visible, folders at any depth, the metric's name, the best job, a plot."""

import csv
import json

import pytest
from omegaconf import OmegaConf

from ocrexp.runs.job import objective
from ocrexp.runs.sweep_table import finish_sweep, read_sweep


def job(folder, number, overrides, **status):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "job.json").write_text(json.dumps({"name": "job", "number": number, "overrides": overrides}))
    (folder / "status.json").write_text(json.dumps(status))


@pytest.fixture
def sweep(tmp_path):
    done = {"state": "done", "step": 9, "seconds": 61.0, "best_metric": "hmean"}
    folder = tmp_path / "runs [1]"
    for number, (labels, lr, best) in enumerate([("[a.txt]", "1e-4", 0.5), ("[a.txt,/b]", "1e-2", 0.75)]):
        overrides = ["model=crnn_mbv3", f"dataset.train_labels={labels}", f"optim.lr={lr}"]
        job(folder / "deep" / f"lr={lr}", number, overrides, best_value=best, val_loss=1.5 - best, **done)
    job(folder / "2", 2, ["model=crnn_mbv3", "optim.lr=1e-3"], state="failed", error="the disk [/x] is full")
    return folder


def test_the_table_shows_values_that_look_like_markup_and_jobs_at_any_depth(sweep, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    rows = finish_sweep(sweep)
    assert [row["job"] for row in rows] == ["deep/lr=1e-2", "deep/lr=1e-4", "2"]
    out = capsys.readouterr().out
    assert "runs [1]" in out and "[a.txt,/b]" in out and "[a.txt]" in out
    assert "hmean" in out and "val loss" in out and "1:01" in out
    assert "job 2: the disk [/x] is full" in out
    best = next(line for line in out.splitlines() if line.startswith("best: "))
    assert "hmean 0.7500" in best and "optim.lr=1e-2" in best and str(sweep / "deep" / "lr=1e-2") in best
    with (sweep / "sweep.csv").open(newline="", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["metric"], first["best"], first["val_loss"]) == ("hmean", "0.75", "0.75")
    assert (first["dataset.train_labels"], first["folder"]) == ("[a.txt,/b]", rows[0]["folder"])
    assert (sweep / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_values_before_training_have_a_column_where_a_job_has_one(sweep, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    assert "zero_shot" not in finish_sweep(sweep)[0]
    assert "before training" not in capsys.readouterr().out
    path = sweep / "deep" / "lr=1e-2" / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "zero_shot": 0.7125}))
    finish_sweep(sweep)
    out = capsys.readouterr().out
    assert "before training" in out and "0.7125" in out
    with (sweep / "sweep.csv").open(newline="", encoding="utf-8") as file:
        assert [row["zero_shot"] for row in csv.DictReader(file)] == ["0.7125", "", ""]


def test_of_equal_metrics_the_lower_validation_loss_wins(tmp_path):
    for number, loss in enumerate([3.0, None, 2.0, float("nan")]):
        job(tmp_path / str(number), number, [f"optim.lr={number}"], state="done", best_value=0.0, val_loss=loss)
    assert [row["job"] for row in read_sweep(tmp_path)] == ["2", "0", "1", "3"]


def test_a_job_file_that_was_cut_short_does_not_hide_the_others(sweep):
    (sweep / "2" / ".hydra" / "job.json").write_text("")
    assert [row["state"] for row in read_sweep(sweep)] == ["done", "done", "failed"]


@pytest.mark.parametrize(
    ("sweeper", "value", "failed"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}, 0.75, None),
        ({"_target_": "optuna", "direction": "minimize"}, -0.75, 0.0),
        ({"_target_": "optuna", "direction": ["maximize"]}, 0.75, 0.0),
        ({"_target_": "nevergrad", "optim": {"maximize": False}}, -0.75, 0.0),
        ({"_target_": "nevergrad", "optim": {"maximize": True}}, 0.75, 0.0),
        ({"_target_": "ax", "ax_config": {"experiment": {"minimize": True}}}, -0.75, 0.0),
    ],
)
def test_a_sweeper_that_searches_gets_the_metric_in_its_own_direction(sweeper, value, failed):
    assert objective(0.75, OmegaConf.create(sweeper)) == value
    assert objective(None, OmegaConf.create(sweeper)) == failed
