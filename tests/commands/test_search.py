"""A search that trains: its jobs report to the study, and one that does worse is ended early."""

import json

import pytest
import warm

optuna = pytest.importorskip("optuna", reason="extra 'search' is not installed")


def test_a_job_that_does_worse_is_pruned_and_keeps_its_checkpoints(tiny_run, tmp_path):
    search = [
        "-m", "ocrexp", "-m", "sweep_dir=sweep", *tiny_run, "callbacks=none", "trainer.max_epochs=2",
        "trainer.limit_train_batches=1", "hydra/sweeper=ocrexp_optuna", "hydra.sweeper.sampler=grid",
        "hydra.sweeper.objectives=[val_loss]", "hydra.sweeper.pruner_startup=1",
    ]  # fmt: skip
    done = warm.run([*search, "optim.lr=1e-9,0.1"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / "sweep" / job / "status.json").read_text()) for job in "01")
    assert (first["state"], first["step"]) == ("done", 2)
    assert (second["state"], second["step"], second["total_steps"]) == ("pruned", 1, 2)
    assert "pruned, because other jobs of the search do better (val_loss " in second["reason"]
    for name in ("latest", "best_accuracy"):
        assert (tmp_path / "sweep" / "1" / "checkpoints" / f"{name}.pdparams").is_file()
    assert f"job 1 (optim.lr=0.1) pruned: hmean {second['best_value']:.4f}, 1 of 2 steps" in done.stdout
    study = optuna.load_study(study_name="sweep", storage=storage(tmp_path / "sweep" / "study.log"))
    assert [(trial.state.name, sorted(trial.intermediate_values)) for trial in study.trials] == [
        ("COMPLETE", [1, 2]),
        ("PRUNED", [1]),
    ]
    assert study.best_value == first["val_loss"]


def storage(path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))
