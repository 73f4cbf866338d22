"""An earlier run's configuration: what overrides make of it, and that they last."""

import pytest

from ocrexp.commands.resume import REPLACEABLE, reason_to_refuse
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, apply_overrides, read_frozen, write_job
from ocrexp.errors import ConfigError


@pytest.fixture
def run_dir(tmp_path):
    write_job(tmp_path, compose("train", ["dataset=det_list", "dataset.root=/data"]), JobInfo("a run"))
    return tmp_path


def resumed(run_dir, *overrides):
    return apply_overrides(read_frozen(run_dir), overrides, refuse=reason_to_refuse, replaceable=REPLACEABLE)


def test_what_a_resume_changed_holds_for_the_next_one(run_dir):
    write_job(run_dir, resumed(run_dir, "trainer.max_epochs=7"), JobInfo("a run"))
    assert read_frozen(run_dir).trainer.max_epochs == 7
    assert "name: ${model.name}" in (run_dir / ".hydra" / "config.yaml").read_text()


def test_a_resumed_run_may_get_other_loggers_and_callbacks(run_dir):
    config = resumed(run_dir, "logger.wandb.project=receipts", "logger=wandb", "callbacks=early_stopping")
    assert set(config.logger) == {"csv", "wandb"}
    assert config.logger.wandb.project == "receipts"
    assert config.callbacks.early_stopping.patience == 10
    assert set(resumed(run_dir, "logger=[csv,visualdl]").logger) == {"csv", "visualdl"}


def test_a_group_is_chosen_before_its_values_are_set(run_dir):
    overrides = ["dataset.root=/other", "dataset=icdar2015"]
    config = apply_overrides(read_frozen(run_dir), overrides, replaceable=["dataset"])
    assert config.dataset.root == "/other"
    assert config.dataset.val_labels == "test_icdar2015_label.txt"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("logger=null", "logger has no option 'None'; options: csv, none"),
        ("logger=wandbb", "options: csv, none, visualdl, wandb"),
        ("optimizer=adamw", "is fixed; it may be changed key by key (optim.KEY=…)"),
        ("loader.batch_size=many", "'many' is no whole number"),
        ("postprocess.box_thresh=0.1,0.2", "sweeps are for"),
        ("~callbacks.pictures", "deleting a key"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run_dir, override, words):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(read_frozen(run_dir), [override], replaceable=REPLACEABLE)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
