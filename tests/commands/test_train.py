"""The verbs as a user types them: train, resume, eval, a sweep; and what they leave."""

import csv
import json
import subprocess
import sys

import pytest
import warm

from ocrexp.__main__ import main
from ocrexp.engine.status import write_status
from ocrexp.lock import LOCK


def ocrexp(*arguments, cwd, fresh=False):
    """Run the program as a user does, `fresh` in a newly started Python; returns exit code, output and error lines."""
    arguments = ["-m", "ocrexp", *map(str, arguments)]
    if fresh:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False)
    else:
        done = warm.run(arguments, cwd=cwd)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_run):
    """A run of two epochs; returns its folder."""
    folder = tmp_path_factory.mktemp("runs")
    run_dir = folder / "run"
    code, out, err = ocrexp(f"run_dir={run_dir}", *tiny_run, cwd=folder, fresh=True)
    assert code == 0, err
    assert any(str(run_dir) in line for line in out)
    return run_dir


def test_run_folder_holds_what_is_promised(finished):
    for name in (".hydra/config.yaml", "config_resolved.yaml", "train.log", "metrics.csv", "status.json", "plots"):
        assert (finished / name).exists(), name
    for name in ("latest", "best_accuracy"):
        for suffix in ("pdparams", "pdopt", "pdstates"):
            assert (finished / "checkpoints" / f"{name}.{suffix}").is_file()
    status = json.loads((finished / "status.json").read_text())
    assert status["state"] == "done"
    assert status["step"] == status["total_steps"] == 6
    with (finished / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"step", "train/loss", "train/lr", "val/hmean"} <= set(rows[0])
    assert "data check: looked at 16 of 16 labels and 16 of 16 images" in (finished / "train.log").read_text()
    data = json.loads((finished / "environment.json").read_text())["data"]
    assert data["train_images"] == "12" and len(data["val_sha256"]) == 64


def test_existing_run_folder_is_not_overwritten(finished, tiny_run, tmp_path):
    before = (finished / "status.json").read_bytes()
    code, _, err = ocrexp(f"run_dir={finished}", *tiny_run, cwd=tmp_path)
    assert code == 2
    assert len(err) == 1
    assert "is not overwritten" in err[0]
    assert "resume" in err[0]
    assert (finished / "status.json").read_bytes() == before


def test_a_run_that_fails_says_why_in_one_line(tiny_run, tmp_path):
    code, _, err = ocrexp("run_dir=run", *tiny_run, "model.freeze=bakbone", cwd=tmp_path)
    assert code == 2
    assert err == ["ocrexp: model.freeze: unknown part 'bakbone'; did you mean backbone?"]
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"


def test_eval_repeats_the_figures_of_the_run(finished, tmp_path):
    code, out, err = ocrexp("eval", f"run_dir={finished}", f"output={tmp_path / 'eval.json'}", cwd=tmp_path)
    assert code == 0, err
    assert any(line.startswith("precision ") for line in out), out
    result = json.loads((tmp_path / "eval.json").read_text())
    status = json.loads((finished / "status.json").read_text())
    assert result["metrics"]["hmean"] == pytest.approx(status["best_value"])
    assert result["images"] == 4


def test_eval_takes_other_thresholds_and_refuses_unknown_keys(finished, tmp_path):
    output = tmp_path / "eval.json"
    code, _, err = ocrexp("eval", f"run_dir={finished}", f"output={output}", "postprocess.box_thresh=0.1", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(output.read_text())["postprocess"]["box_thresh"] == 0.1
    code, _, err = ocrexp("eval", f"run_dir={finished}", "postprocess.box_tresh=0.1", cwd=tmp_path)
    assert code == 2
    assert err == [
        "ocrexp: unknown key postprocess.box_tresh: 'box_tresh' does not exist in postprocess; did you mean box_thresh?"
    ]


def test_resume_of_a_finished_run_with_more_epochs(finished, tmp_path):
    code, _, err = ocrexp("resume", f"run_dir={finished}", "trainer.max_epochs=3", cwd=tmp_path)
    assert code == 0, err
    told = "\n".join(err)
    assert "resuming from step 6 of 9" in told
    assert "latest.pdparams" in told
    assert any(line.count("trainer.max_epochs") and "2" in line and "now 3" in line for line in err)
    assert "schedule" in told
    status = json.loads((finished / "status.json").read_text())
    assert status["state"] == "done"
    assert status["step"] == 9
    with (finished / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optim.lr=1e-4", ["optim.lr: may not change", "optimizer's state", "model.pretrained"]),
        ("model=db_r18", ["model: may not change"]),
        ("loader.batch_size=2", ["loader.batch_size: may not change", "position in the epoch"]),
        ("trainer.max_epoch=5", ["trainer.max_epoch"]),
        ("seed=3", ["seed: may not change"]),
    ],
)
def test_resume_refuses_what_would_make_another_run(finished, override, words, capsys):
    assert main(["resume", f"run_dir={finished}", override]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for word in words:
        assert word in message


def test_a_refused_resume_leaves_the_run_as_it_was(finished, capsys):
    names = ("config_resolved.yaml", ".hydra/config.yaml", "status.json")
    before = [(finished / name).read_bytes() for name in names]
    listing = sorted(finished.rglob("*"))
    assert main(["resume", f"run_dir={finished}", "dataset.root=/nowhere"]) != 0
    assert "dataset.root" in capsys.readouterr().err.splitlines()[-1]
    assert [(finished / name).read_bytes() for name in names] == before
    assert sorted(finished.rglob("*")) == listing


def test_a_run_that_trains_is_not_resumed(finished, capsys, lock_of_another):
    owner = lock_of_another(finished / LOCK)
    assert main(["resume", f"run_dir={finished}"]) == 2
    (finished / LOCK).unlink()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"process {owner.pid} on {owner.host}" in err


def test_resume_without_a_run_offers_the_latest(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_dir = tmp_path / "outputs" / "db" / "my run"
    (run_dir / ".hydra").mkdir(parents=True)
    (run_dir / ".hydra" / "job.json").write_text("{}")
    (run_dir / "checkpoints").mkdir()
    (run_dir / "checkpoints" / "latest.pdstates").touch()
    write_status(run_dir, state="running", step=5, total_steps=60)
    assert main(["resume"]) == 2
    err = capsys.readouterr().err
    assert "db/my run: interrupted (killed) at step 5 of 60" in err
    assert "ocrexp resume run_dir='outputs/db/my run'" in err


def test_verbs_on_no_run_folder(tmp_path, capsys):
    assert main(["resume", f"run_dir={tmp_path}"]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert main(["eval", f"run_dir={tmp_path / 'none'}"]) == 2
    assert "folder not found" in capsys.readouterr().err
    assert main(["resume"]) == 2
    assert "run_dir=" in capsys.readouterr().err


def test_lists_that_do_not_exist_are_wrong_input(tiny_run, finished, tmp_path):
    code, _, err = ocrexp(*tiny_run, "dataset.train_labels=none.txt", "run_dir=run", cwd=tmp_path)
    assert code == 2
    assert err[-1].startswith("ocrexp: dataset.train_labels: label file ")
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
    code, _, err = ocrexp("eval", f"run_dir={finished}", "dataset.val_labels=none.txt", cwd=tmp_path)
    assert code == 2
    assert "dataset.val_labels: label file " in err[-1]


def test_sweep_runs_all_jobs_ranks_them_and_does_nothing_twice(tiny_run, tmp_path):
    sweep = [
        "-m",
        "sweep_dir=sweep",
        *tiny_run,
        "trainer.max_epochs=1",
        "callbacks=none",
        "trainer.limit_train_batches=1",
    ]
    grid = ["optim.lr=1e-3,-1,1e-4"]
    code, out, err = ocrexp(*sweep, *grid, cwd=tmp_path, fresh=True)
    assert code == 1, err
    assert sum("job 1" in line and "failed" in line and "optim.lr=-1" in line for line in err) == 1
    states = {job: json.loads((tmp_path / "sweep" / job / "status.json").read_text())["state"] for job in "012"}
    assert states == {"0": "done", "1": "failed", "2": "done"}
    with (tmp_path / "sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done", "done", "failed"]
    assert {row["optim.lr"] for row in rows} == {"0.001", "-1", "0.0001"} or {row["optim.lr"] for row in rows} == {
        "1e-3",
        "-1",
        "1e-4",
    }

    stamp = (tmp_path / "sweep" / "0" / "metrics.csv").stat().st_mtime_ns
    code, out, _ = ocrexp(*sweep, *grid, cwd=tmp_path)
    assert code == 1
    assert sum("is finished and is not run again" in line for line in out) == 2
    assert (tmp_path / "sweep" / "0" / "metrics.csv").stat().st_mtime_ns == stamp


def test_a_second_sweep_in_a_folder_in_which_one_runs_is_refused(tmp_path, lock_of_another):
    (tmp_path / "sweep").mkdir()
    owner = lock_of_another(tmp_path / "sweep" / LOCK)
    code, _, err = ocrexp("-m", "sweep_dir=sweep", "seed=1,2", cwd=tmp_path)
    assert code == 2
    assert len(err) == 1 and err[0].startswith("ocrexp: sweep_dir=sweep: ") and str(owner.pid) in err[0]
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == [LOCK]


def test_sweep_holds_parts_against_their_signatures_before_data_is_loaded(tmp_path):
    sweep = ["-m", "sweep_dir=sweep", "dataset=det_list", "dataset.root=/nowhere", "+model.backbone.scal=0.5,0.7"]
    code, _, err = ocrexp(*sweep, cwd=tmp_path)
    assert code == 2
    assert any("model.backbone.scal:" in line and "did you mean scale?" in line for line in err)
    assert not (tmp_path / "sweep").exists()


def test_user_conf_wins_and_is_named(tiny_run, tmp_path):
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "experiment").mkdir()
    (tmp_path / "conf" / "optimizer" / "adam.yaml").write_text(
        "# @package optim\n# Mine.\ndefaults: [_schema, _self_]\nlr: 0.5\n"
        "optimizer: {_target_: ocrexp.optim.optimizers.Adam}\n"
    )
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\n# Mine.\nname: mine\n")
    code, out, err = ocrexp("--cfg", "job", "experiment=mine", cwd=tmp_path)
    assert code == 0, err
    assert any("replaces the shipped optimizer/adam.yaml" in line for line in err)
    assert "name: mine" in out
    assert "  lr: 0.5" in out
