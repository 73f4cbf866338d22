"""An earlier run's configuration: what overrides make of it, and that they last."""

import os

import pytest
from omegaconf import OmegaConf

from ocrexp.commands.eval import REPLACEABLE as EVALUATED
from ocrexp.commands.resume import REPLACEABLE, pin, reason_to_refuse
from ocrexp.config.changes import apply_overrides
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, read_frozen, read_resolved, write_job
from ocrexp.config.plain import label_digest
from ocrexp.errors import ConfigError


@pytest.fixture
def run_dir(tmp_path):
    write_job(tmp_path, compose("train", ["dataset=det_list", "dataset.root=/data"]), JobInfo("a run"))
    return tmp_path


@pytest.fixture(scope="module")
def recognizer():
    return compose("train", ["model=crnn_mbv3", "dataset=rec_list", "dataset.root=/data"])


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


def test_a_folder_of_runs_is_answered_with_its_latest_run(tmp_path):
    for folder in ("photos/first", "photos/my second"):
        (tmp_path / folder / ".hydra").mkdir(parents=True)
        (tmp_path / folder / ".hydra" / "config.yaml").write_text("a: 1\n")
    os.utime(tmp_path / "photos/first/.hydra/config.yaml", (1, 1))
    for given in (tmp_path, tmp_path / "photos"):
        with pytest.raises(ConfigError, match=rf"did you mean run_dir='{tmp_path}/photos/my second'\?"):
            read_frozen(given)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("logger=null", "logger=None: unknown option; options: csv, mlflow, none"),
        ("logger=wandbb", "options: csv, mlflow, none, tensorboard, visualdl, wandb"),
        ("optimizer=adamw", "the optimizer of a run cannot be replaced; change single keys with optim.KEY=…"),
        ("loader.eval_batch_size=many", "loader.eval_batch_size: expected a whole number, got 'many'"),
        ("postprocess.box_thresh=0.1,0.2", "supports sweeps"),
        ("~callbacks.pictures", "cannot be deleted"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run_dir, override, words):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(read_frozen(run_dir), [override], replaceable=REPLACEABLE)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        "charset=en36", "+charset.lower=true", "targets.min_text_size=9", "task=rec", "overfit=true",
        "model/backbone=resnet18_vd", "+anything=1", "optimizer=sgd", "preprocess.resize.limit_side_len=5",
        "~logger.csv", "sweep_dir=x", "seed=4", "trainer.devices=2", "dataset.train_labels=x",
        "++targets.thresh_max=0.8",
    ],
)  # fmt: skip
def test_a_resume_refuses_every_key_that_is_not_listed(run_dir, override):
    with pytest.raises(ConfigError) as caught:
        resumed(run_dir, override)
    assert "may not change here" in str(caught.value) or "cannot be deleted" in str(caught.value)


def test_a_misspelt_key_is_told_before_it_is_refused(run_dir):
    with pytest.raises(ConfigError, match=r"did you mean trainer\.max_epochs|did you mean max_epochs"):
        resumed(run_dir, "trainer.max_epoch=7")


def test_a_changed_length_leaves_the_targets_as_they_were(tmp_path):
    overrides = ["dataset=det_list", "dataset.root=/data", "targets=db_dynamic", "trainer.max_epochs=50"]
    config = compose("train", overrides)
    before = label_digest(config)
    write_job(tmp_path, config, JobInfo("a run"))
    for epochs in (80, 20):
        frozen = read_frozen(tmp_path)
        pin(frozen)
        changed = apply_overrides(
            frozen, [f"trainer.max_epochs={epochs}", "dataset.root=/moved"], refuse=reason_to_refuse
        )
        assert changed.targets.shrink_ratio.total_epochs == 50
        assert label_digest(changed) == before
        write_job(tmp_path, changed, JobInfo("a run"))
        assert label_digest(read_resolved(tmp_path)) == before


@pytest.mark.parametrize(
    ("node", "value"),
    [("charset.unknown", "drop"), ("charset.lower", True), ("charset.unknown_map", {"é": "e"}), ("task", "det"),
     ("targets.max_text_length", 7), ("dataset.val_labels", ["other.txt"])],
)  # fmt: skip
def test_what_changes_labels_changes_their_digest(recognizer, node, value):
    before = label_digest(recognizer)
    changed = recognizer.copy()
    OmegaConf.update(changed, node, value, force_add=True)
    assert label_digest(changed) != before


def test_a_value_that_is_missing_or_null_can_be_set(run_dir):
    config = apply_overrides(
        read_frozen(run_dir),
        ["dataset=rec_list", "dataset.root=/lines", "optim.clip_norm=1.5"],
        replaceable=["dataset"],
    )
    assert config.dataset.root == "/lines"
    assert config.optim.clip_norm == 1.5
    assert resumed(run_dir, "callbacks.early_stopping.patience=5").callbacks.early_stopping.patience == 5


def test_an_evaluation_takes_the_overrides_of_a_training(run_dir):
    config = apply_overrides(read_frozen(run_dir), ["callbacks.early_stopping.patience=5"], replaceable=EVALUATED)
    assert config.callbacks.early_stopping.patience == 5
    with pytest.raises(ConfigError, match=r"loader\.multi_scale is null here; .*loader=multi_scale") as caught:
        apply_overrides(read_frozen(run_dir), ["loader.multi_scale={sizes:[[32,100]]}"], replaceable=EVALUATED)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["!!timestamp x", "!!int abc", "!!float abc", "!!set {a, [b]}", "{[1]: 2}"])
def test_values_that_yaml_cannot_build_are_one_line(run_dir, value):
    path = run_dir / ".hydra" / "config.yaml"
    path.write_text(path.read_text() + f"own: {value}\n")
    with pytest.raises(ConfigError, match=r"config\.yaml: .*; restore it") as error:
        read_frozen(run_dir)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["3", "true", "[]", "a", "null", "2001-01-01", "- a", "%", "---\n---\n"])
def test_a_file_that_is_no_mapping_is_one_line(run_dir, content):
    (run_dir / ".hydra" / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.yaml: .*; restore it") as error:
        read_frozen(run_dir)
    assert "\n" not in str(error.value)
