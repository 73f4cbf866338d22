"""A sweep that comes back to its folder is compared with what is there before its first job."""

import pytest
from omegaconf import OmegaConf

from ocrexp.errors import ConfigError
from ocrexp.runs.grid import check_grid


@pytest.fixture
def folder(tmp_path):
    """A sweep over lr=1,2 of which both jobs have run."""
    for number, lr in enumerate((1, 2)):
        (tmp_path / str(number) / ".hydra").mkdir(parents=True)
        (tmp_path / str(number) / ".hydra" / "overrides.yaml").write_text(f"- lr={lr}\n- size=3\n")
        OmegaConf.save({"lr": lr, "size": 3, "sweep_dir": "s"}, tmp_path / str(number) / "config_resolved.yaml")
    return tmp_path


def composed(overrides):
    composed.calls += 1
    return OmegaConf.create({**OmegaConf.from_dotlist(list(overrides)), "sweep_dir": "elsewhere"})


def check(folder, *jobs):
    composed.calls = 0
    check_grid(folder, jobs, composed)
    return composed.calls


def test_the_same_sweep_goes_on_and_may_grow_at_its_end(folder):
    assert check(folder, ["lr=1", "size=3"], ["size=3", "lr=2"], ["lr=4", "size=3"]) == 1
    assert check(folder, ["lr=1", "size=3"]) == 1


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([["lr=1", "size=3"], ["lr=4", "size=3"]], ("job 1", "lr=2", "now 4")),
        ([["lr=2", "size=3"], ["lr=1", "size=3"]], ("job 0", "lr=1", "now 2")),
        ([["lr=1", "size=4"], ["lr=2", "size=4"]], ("job 0", "size=3", "now 4")),
    ],
)
def test_another_grid_is_refused(folder, jobs, words):
    with pytest.raises(ConfigError, match=f"sweep_dir={folder}: .*another sweep_dir") as caught:
        check(folder, *jobs)
    assert all(word in str(caught.value) for word in words)


def test_a_folder_that_is_not_a_job_is_refused(folder):
    (folder / "2").mkdir()
    assert check(folder, ["lr=1", "size=3"], ["lr=2", "size=3"], ["lr=4", "size=3"]) == 1
    (folder / "2" / "photo.jpg").touch()
    with pytest.raises(ConfigError, match="/2 exists and is not a job"):
        check(folder, ["lr=1", "size=3"], ["lr=2", "size=3"], ["lr=4", "size=3"])


@pytest.mark.parametrize("content", ["", "- lr=1\n- si", "- [", "a: !!timestamp x", "3", "\0", "- lr=2\n" * 3])
def test_records_that_a_killed_sweep_left_are_composed_again(folder, content):
    """Hydra writes them in place."""
    (folder / "1" / ".hydra" / "overrides.yaml").write_text(content)
    assert check(folder, ["lr=1", "size=3"], ["lr=2", "size=3"]) == 2


@pytest.mark.parametrize("content", ["lr: [", "a: !!timestamp x", "\0", "- " * 100])
def test_a_damaged_configuration_of_a_job_is_one_line(folder, content):
    (folder / "0" / "config_resolved.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"0/config_resolved\.yaml: .*; restore it from a copy, or choose") as caught:
        check(folder, ["lr=1", "size=3"])
    assert "\n" not in str(caught.value)


def test_ranges_choices_and_lists_are_numbered_as_they_are_written():
    from ocrexp.runs.hooks import every_job

    assert every_job(["seed=range(3)", "optim.lr=choice(1,2)"]) == [
        [f"seed={seed}", f"optim.lr={lr}"] for seed in range(3) for lr in (1, 2)
    ]


def test_only_the_first_jobs_that_are_not_finished_may_start(folder):
    from ocrexp.runs.grid import first_open

    for number, state in enumerate(("done", "failed")):
        (folder / str(number) / ".hydra" / "job.json").write_text(f'{{"name": "j", "number": {number}}}')
        (folder / str(number) / "status.json").write_text(f'{{"state": "{state}"}}')
    assert first_open(folder, 5, 2) == [1, 2]
