"""`ocrexp prune`: the run folder that it writes is one like any other."""

import csv
import errno
import os

import paddle
import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import assemble, build_charset, build_model
from ocrexp.commands import prune, resume
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, read_frozen, write_job
from ocrexp.config.inherit import with_model_of_run, with_teacher_of_run
from ocrexp.engine.checkpoint import BEST, CheckpointStore
from ocrexp.errors import CheckpointError, ConfigError
from ocrexp.runs.derived import write_run

MODEL = ["model=ppocrv6_tiny_rec_ctc", "charset=characters", "charset.characters='abc '", "model.image_shape=[48,64]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_words):
    """A run of a recognizer with random weights, and a pruned one made of it."""
    folder = tmp_path_factory.mktemp("prune")
    words = draw_words(folder / "words", ["abc", "cab"])
    own = [*MODEL, "dataset=rec_list", f"dataset.root={words}", "loader.num_workers=0", "trainer.device=cpu"]
    config = compose("train", [*own, f"run_dir={folder / 'run'}"])
    (folder / "run").mkdir()
    write_job(folder / "run", config, JobInfo("run"))
    paddle.seed(0)
    charset = build_charset(config)
    model = build_model(config, charset)
    states = {"global_step": 3, "extras": {"charset": charset.saved()}}
    CheckpointStore(folder / "run").save(BEST, dict(model.state_dict()), {}, states)
    assert prune.run([f"run_dir={folder / 'run'}", f"output={folder / 'pruned'}", "flops=0.7", "images=1"]) == 0
    return folder, own


def test_its_configuration_states_the_channels_and_its_weights_fit_them(run):
    folder, _ = run
    config = read_frozen(folder / "pruned")
    weights = folder / "pruned" / "checkpoints" / "best_accuracy.pdparams"
    before = assemble(read_frozen(folder / "run"), weights=folder / "run" / "checkpoints" / "best_accuracy.pdparams")
    after = assemble(config, weights=weights)
    assert after.summary.macs <= 0.72 * before.summary.macs
    layers = dict(after.model.named_sublayers())
    for name, sizes in config.model.widths.items():
        assert sizes[-1] in layers[name].weight.shape, name
    rows = list(csv.DictReader((folder / "pruned" / "pruning.csv").open()))
    assert any(int(row["kept"]) < int(row["channels"]) for row in rows)
    with pytest.raises(ConfigError, match="is not overwritten"):
        prune.run([f"run_dir={folder / 'run'}", f"output={folder / 'pruned'}"])


def test_it_is_fine_tuned_not_resumed(run):
    folder, _ = run
    with pytest.raises(CheckpointError, match=r"start a new run from its weights: python -m ocrexp model\.pretrained="):
        resume.run([f"run_dir={folder / 'pruned'}"])


def test_a_training_that_starts_from_it_has_its_channels(run):
    folder, own = run
    start = f"model.pretrained={folder / 'pruned'}"
    pruned = read_frozen(folder / "pruned")
    config = compose("train", with_model_of_run([start, *own[4:]]))
    assert OmegaConf.to_container(config.model.widths) == OmegaConf.to_container(pruned.model.widths)
    model = build_model(config, build_charset(config))
    assert model.coverage.parts["backbone"].share == 1
    with pytest.raises(ConfigError, match=r"model\.widths: .* nolayer"):
        broken = compose("train", [*own, "+model.widths={nolayer: [1, 2]}"])
        build_model(broken, build_charset(broken))


def test_nothing_is_fitted_without_images(run, capsys):
    folder, _ = run
    words = [f"run_dir={folder / 'run'}", f"output={folder / 'plain'}", "flops=0.7", "images=1", "refit=0"]
    with pytest.raises(ConfigError, match=r"^criterion=thinet: needs images .* set refit=256, or criterion=fpgm$"):
        prune.run(words)
    assert prune.run([*words, "criterion=fpgm"]) == 0
    assert "fitted" not in capsys.readouterr().out


def test_it_is_the_student_of_the_run_that_it_was_made_of(run):
    folder, own = run
    words = ["model=distill", "model/student=ppocrv6_tiny_rec_ctc", f"model.pretrained={folder / 'pruned'}"]
    words += [f"model.teacher.pretrained={folder / 'run'}", "model.student.image_shape=[48,64]", *own[1:3], *own[4:]]
    config = compose("train", with_model_of_run(with_teacher_of_run(words)))
    pruned = read_frozen(folder / "pruned")
    assert OmegaConf.to_container(config.model.student.widths) == OmegaConf.to_container(pruned.model.widths)
    assert config.model.teacher.widths is None
    with pytest.raises(ConfigError, match=r"the run's model differs from .* \(model\.backbone.*; remove"):
        with_model_of_run(with_teacher_of_run([words[0], "model/student=crnn_mbv3", *words[2:]]))


def test_a_run_that_is_not_finished_is_reported(run, monkeypatch, capsys):
    folder, _ = run

    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    monkeypatch.setattr(prune, "_choose", stop)
    status = folder / "run" / "status.json"
    for content, expected in (('{"state": "interrupted"}', "is not finished"), ('{"state": "do', "damaged")):
        status.write_text(content)
        with pytest.raises(Stop):
            prune.run([f"run_dir={folder / 'run'}", f"output={folder / 'later'}"])
        assert expected in capsys.readouterr().err
    status.unlink()


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(run, monkeypatch):
    folder, _ = run
    monkeypatch.setattr(prune, "_choose", None)
    (folder / "file").write_text("")
    for output in (folder / "file" / "pruned", folder / ("x" * 300)):
        with pytest.raises(ConfigError, match=r"^output=.*: cannot be written \(.*\); set output to a writable path"):
            prune.run([f"run_dir={folder / 'run'}", f"output={output}"])


def test_a_full_disk_leaves_nothing_so_that_the_same_command_can_be_repeated(run, monkeypatch):
    folder, _ = run
    config = read_frozen(folder / "run")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CheckpointStore, "save", full)
    output = folder / "small disk" / "pruned"
    with pytest.raises(ConfigError, match=r"pruned: cannot be written \(No space left on device\)"):
        write_run(output, config, {}, {})
    assert list(output.parent.iterdir()) == []
