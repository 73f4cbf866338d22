"""A search: its space, its study shared by processes that are killed, pruning, what is found, and the table of it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="extra 'search' is not installed")

from fake_search import EVALUATIONS, LR, metric, search  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from ocrexp.config.compose import compose  # noqa: E402
from ocrexp.errors import ConfigError  # noqa: E402
from ocrexp.runs.plan import Budget, SweepPlan  # noqa: E402
from ocrexp.runs.search import sweeper  # noqa: E402
from ocrexp.runs.search.options import SearchOptions, storage_of  # noqa: E402
from ocrexp.runs.search.space import Axis, read_space  # noqa: E402
from ocrexp.runs.search.study import StudyError, open_storage, shown  # noqa: E402
from ocrexp.runs.sweep_table import finish_sweep, read_sweep  # noqa: E402

SIZE = Axis("size", choices=("8", "16", "32"))


def steps(study):
    """Evaluations over all trials."""
    return sum(len(trial.intermediate_values) for trial in study.trials)


# The space.


def space(*overrides, params=None):
    return read_space(params or {}, overrides, compose("train", []))


def test_a_space_is_read_from_the_command_line_and_the_configuration():
    found = space(
        "optim.lr=tag(log,interval(1e-5,1e-2))",
        "loader.batch_size=8,16",
        "trainer.max_epochs=range(2,9,3)",
        "optim.weight_decay=interval(0,1)",
        "seed=interval(1,4)",
        "name=x",
        params={"optim.lr": "1,2", "trainer.accumulate": [1, 2], "+model.head.k": "choice(10,50)"},
    )
    assert found.fixed == ["name=x"]
    assert found.describe() == {
        "optim.lr": "1e-05 to 0.01 (log)",
        "trainer.accumulate": "1, 2",
        "model.head.k": "10, 50",
        "loader.batch_size": "8, 16",
        "trainer.max_epochs": "whole 2 to 8 in steps of 3",
        "optim.weight_decay": "0 to 1",
        "seed": "whole 1 to 4",  # as it is in the configuration
    }
    params = {"optim.lr": 0.002, "trainer.accumulate": "2", "model.head.k": "10", "loader.batch_size": "8"}
    params |= {"trainer.max_epochs": 5, "optim.weight_decay": 0.5, "seed": 3}
    assert "+model.head.k=10" in found.job(params) and "trainer.max_epochs=5" in found.job(params)


def test_glob_lists_the_options_of_a_group():
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from ocrexp.config.paths import shipped_conf

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(shipped_conf()), version_base="1.3"):
        found = read_space({}, ["model/backbone=glob(resnet*)"], compose_again())
    assert {"resnet18_vd", "resnet50_vd"} <= set(found.axes["model/backbone"].choices)


def compose_again():
    from omegaconf import OmegaConf

    return OmegaConf.create({"model": {"backbone": {}}})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optim.lr=tag(lgo,interval(1e-5,1e-2))", ("optim.lr=tag(lgo", "unknown tag 'lgo'", "did you mean log")),
        ("optim.lr=tag(log,interval(0.0,1e-2))", ("optim.lr=", "above 0")),
        ("optim.lr=interval(1e-2,1e-5)", ("optim.lr=", "smaller one first")),
        ("optim.lr=tag(log,choice(1,2))", ("optim.lr=", "log", "list")),
        ("seed=range(3,3)", ("seed=range(3,3)", "one value or more")),
        ("optim.lr=1e-3", ("no key to search", "interval")),
    ],
)
def test_a_space_that_cannot_be_searched_is_one_line(override, words):
    with pytest.raises(ConfigError) as caught:
        space(override)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "tep"}, ("hydra.sweeper.sampler", "tpe", "'tep'")),
        ({"n_trials": 0}, ("hydra.sweeper.n_trials", "1 or more")),
        ({"n_trials": "ten"}, ("hydra.sweeper.n_trials", "'ten'")),
        ({"objectives": ["metrik"]}, ("objectives", "did you mean metric")),
        ({"objectives": ["metric", "parameters"], "pruner": "median"}, ("pruner=median", "pruner=none")),
        ({"objectives": ["metric", "parameters"], "sampler": "cmaes"}, ("cmaes", "tpe or random")),
        ({"trials": 3}, ("unknown key hydra.sweeper.trials", "did you mean n_trials")),
    ],
)
def test_options_that_cannot_be_are_one_line(options, words):
    with pytest.raises(ConfigError) as caught:
        SearchOptions.read(options)
    assert all(word in str(caught.value) for word in words)


# Samplers.


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_a_search_that_is_continued_asks_for_the_same_values(sampler, tmp_path):
    axes = (LR, Axis("dropout", low=0.0, high=0.5))
    _, study = search(tmp_path / "a", axes, n_trials=8, sampler=sampler, startup_trials=3, pruner="none")
    assert len(study.trials) == 8
    search(tmp_path / "b", axes, n_trials=5, sampler=sampler, startup_trials=3, pruner="none")
    again, continued = search(tmp_path / "b", axes, n_trials=8, sampler=sampler, startup_trials=3, pruner="none")
    assert again.ran == list(range(5, 8))  # nothing twice
    assert [trial.params for trial in continued.trials] == [trial.params for trial in study.trials]
    assert len({trial.params["lr"] for trial in study.trials}) == 8
    assert all(f"{trial.params['lr']:.4g}" == f"{trial.params['lr']:.9g}" for trial in study.trials)


def test_cmaes_comes_closer_to_the_best_than_its_random_start(tmp_path):
    axes = (LR, Axis("dropout", low=0.0, high=0.5))
    _, study = search(tmp_path, axes, n_trials=30, sampler="cmaes", startup_trials=6, pruner="none")
    distance = [abs(optuna_log(trial.params["lr"]) + 3) for trial in study.trials]
    assert sum(distance[-6:]) < sum(distance[:6]) / 2


def optuna_log(lr):
    from math import log10

    return log10(lr)


def test_a_grid_runs_each_combination_once_also_beside_another_process(tmp_path):
    axes = (Axis("lr", choices=("1e-4", "1e-3")), SIZE, Axis("n", low=1, high=3, step=2, whole=True))
    jobs, _ = search(tmp_path, axes, sampler="grid", budget=Budget(jobs=5))
    assert len(jobs.ran) == 5
    rest, study = search(tmp_path, axes, sampler="grid")
    assert len(rest.ran) == 7
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 12


# Pruning, objectives, failures.


@pytest.fixture(scope="module")
def unpruned(tmp_path_factory):
    """`unpruned(objective)`: the study of a search without pruning, made once for each objective."""

    @cache
    def study_of(objective):
        return search(tmp_path_factory.mktemp("unpruned"), pruner="none", objectives=[objective])[1]

    return study_of


@pytest.mark.parametrize(
    ("pruner", "objective"),
    [("median", "metric"), ("halving", "metric"), ("hyperband", "metric"), ("median", "val_loss")],
)
def test_pruning_saves_steps_and_finds_a_rate_as_good(pruner, objective, unpruned, tmp_path):
    whole = unpruned(objective)
    _, study = search(tmp_path / "b", pruner=pruner, objectives=[objective])
    assert steps(whole) == 20 * EVALUATIONS
    assert steps(study) < 0.75 * steps(whole)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) >= 5 and set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    best = metric(study.best_params["lr"], EVALUATIONS)
    assert best >= 0.95 * metric(whole.best_params["lr"], EVALUATIONS)
    rows = read_sweep(tmp_path / "b")
    assert {row["state"] for row in rows} == {"done", "pruned"}


def test_a_failed_job_is_failed_in_the_study_with_its_reason(tmp_path):
    _, study = search(tmp_path, n_trials=3, fails=[1])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[1].user_attrs["error"] == "the disk is full"


def test_several_objectives_give_the_pareto_front_in_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    SweepPlan(objectives=["metric", "parameters"]).write(tmp_path)
    _, study = search(tmp_path, (LR, SIZE), n_trials=12, objectives=["metric", "parameters"])
    rows = finish_sweep(tmp_path)
    front = {int(row["job"]) for row in rows if row["pareto_front"] == "yes"}
    assert front == {trial.number for trial in study.best_trials}
    assert [row["pareto_front"] for row in rows] == sorted((row["pareto_front"] for row in rows), reverse=True)
    out = capsys.readouterr().out
    assert "Pareto front of metric, parameters: job " in out and "parameters " in out
    with (tmp_path / "sweep.csv").open() as file:
        assert {row["pareto_front"] for row in csv.DictReader(file)} == {"yes", "no"}


# The study: storages, other studies, earlier runs.


def test_the_study_opens_where_the_documentation_says(tmp_path):
    """As `optuna-dashboard study.log` opens it."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    search(tmp_path / "lr", n_trials=2)
    study = optuna.load_study(
        study_name=None, storage=JournalStorage(JournalFileBackend(str(tmp_path / "lr/study.log")))
    )
    assert (study.study_name, len(study.trials), study.metric_names) == ("lr", 2, ["metric"])


def test_a_study_in_a_database(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    search(tmp_path / "lr", n_trials=2, storage=url)
    jobs, _ = search(tmp_path / "lr", n_trials=3, storage=url)
    assert jobs.ran == [2]
    assert len(optuna.load_study(study_name="lr", storage=url).trials) == 3


def test_a_storage_out_of_reach_is_one_line_without_the_password(tmp_path):
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    with pytest.raises(StudyError, match=r"hydra\.sweeper\.storage=sqlite:.*nowhere.*cannot be used") as caught:
        open_storage(f"sqlite:///{tmp_path}/nowhere/study.db")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"storage: expected FILE\.log"):
        storage_of(SearchOptions(storage="study.txt"), tmp_path)


def test_another_search_in_the_same_folder_is_refused(tmp_path):
    search(tmp_path, n_trials=1)
    with pytest.raises(ConfigError, match=r"lr was 1e-05 to 0.1 \(log\), is .*another sweep_dir.*warm_start"):
        search(tmp_path, (Axis("lr", low=1e-5, high=1e-3, log=True),), n_trials=2)
    with pytest.raises(ConfigError, match="fixed: seed=1, now seed=2"):
        search(tmp_path, fixed=["seed=2"], n_trials=2)


def test_a_journal_whose_last_entry_a_full_disk_has_truncated(tmp_path):
    search(tmp_path, n_trials=2)
    with (tmp_path / "study.log").open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    jobs, study = search(tmp_path, n_trials=3)
    assert jobs.ran == [2] and len(study.trials) == 3


def test_earlier_runs_count_from_the_start(tmp_path, capsys):
    from omegaconf import OmegaConf

    from ocrexp.config.frozen import JobInfo, write_job
    from ocrexp.engine.status import write_status

    for number, (lr, state, batch) in enumerate(
        [(1e-3, "done", 8), (2e-3, "done", 16), (0.5, "done", 8), (1e-3, "failed", 8)]
    ):
        run_dir = tmp_path / "earlier" / str(number)
        config = compose("train", [f"optim.lr={lr}", f"loader.batch_size={batch}"])
        config.task = "det"
        write_job(run_dir, config, JobInfo("job", number=number))
        write_status(run_dir, state=state, best_value=0.5 + number / 10, best_metric="hmean")
        OmegaConf.save(
            {"hydra": {"runtime": {"choices": {"model/backbone": "resnet18_vd"}}}}, run_dir / ".hydra/hydra.yaml"
        )
    axes = (
        Axis("optim.lr", low=1e-5, high=1e-1, log=True),
        Axis("loader.batch_size", choices=("8", "16")),
        Axis("model/backbone", choices=("resnet18_vd", "resnet50_vd"), group=True),
    )
    warm = {"warm_start": [str(tmp_path / "earlier")], "budget": Budget(jobs=0)}
    _, study = search(tmp_path / "new", axes, **warm)
    assert [trial.values for trial in study.trials] == [[0.5], [0.6]]
    assert study.trials[1].params == {
        "optim.lr": 2e-3, "loader.batch_size": "16", "model/backbone": "resnet18_vd"
    }  # fmt: skip
    out = capsys.readouterr().out
    assert "2 of 4 earlier runs added" in out and "1 not finished" in out and "1 with optim.lr outside" in out
    _, study = search(tmp_path / "new", axes, **warm)
    assert len(study.trials) == 2  # once
    with pytest.raises(ConfigError, match="nowhere is not a run folder or a sweep folder"):
        search(tmp_path / "other", warm_start=[str(tmp_path / "nowhere")])


# Several processes, killed.


def start(folder, seconds):
    script = Path(__file__).parents[1] / "helpers" / "fake_search.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    return subprocess.Popen([sys.executable, str(script), str(folder), str(seconds), "median"], env=environment)


def test_a_trial_of_a_process_that_died_before_it_named_itself(tmp_path, monkeypatch):
    """The search waits for the name; then the trial is one of its own, and none of the results is missing."""
    monkeypatch.setattr(sweeper, "_ASKING_SECONDS", 0.5)
    _, study = search(tmp_path, n_trials=4, budget=Budget(jobs=2))
    asked = study.ask()
    assert asked.number == 2
    jobs, study = search(tmp_path, n_trials=4)
    assert sorted(jobs.ran) == [2, 3]
    assert [trial.state.is_finished() for trial in study.trials] == [True] * 4


def test_two_processes_share_a_study_are_killed_and_continued(tmp_path):
    """Each of the 20 trials gets one result, those that were running when both were killed as well."""
    folder = tmp_path / "lr"
    both = [start(folder, 0.02), start(folder, 0.02)]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(1 for _ in folder.glob("*/status.json")) < 6:
        time.sleep(0.01)
    for process in both:
        process.send_signal(signal.SIGKILL)
        process.wait()
    killed = [int(path.parent.name) for path in folder.glob("*/status.json") if '"running"' in path.read_text()]
    both = [start(folder, 0.0), start(folder, 0.0)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    _, study = search(folder, pruner="median")
    trials = [trial for trial in study.trials if (folder / str(trial.number)).is_dir()]
    assert len(trials) == 20
    assert {trial.state for trial in study.trials[:20]} <= {TrialState.COMPLETE, TrialState.PRUNED}
    owners = {json.loads(trial.user_attrs["owner"])["pid"] for trial in trials}
    assert len(owners) >= 2
    for number in killed:
        assert study.trials[number].state.is_finished()
    assert steps(study) < 0.7 * 20 * EVALUATIONS
