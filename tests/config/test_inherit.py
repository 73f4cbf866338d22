"""`model.pretrained=RUN_FOLDER` brings the run's model and characters; what contradicts it is one line."""

import shutil

import pytest

from ocrexp.assemble import build_charset
from ocrexp.charset.charset import Charset
from ocrexp.charset.normalization import Normalization
from ocrexp.config.arguments import arrange
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.config.inherit import with_model_of_run
from ocrexp.config.moved import MOVED
from ocrexp.config.task import with_default_model
from ocrexp.engine.sealed import seal_states
from ocrexp.errors import ConfigError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs that have not trained: a small CRNN with a dictionary, NRTR with the labels' characters, DB."""
    folder = tmp_path_factory.mktemp("my runs")
    (folder / "dict.txt").write_text("a\nb\nc\n")
    dictionary = ["charset=dictionary", f"charset.path={folder / 'dict.txt'}", "model.image_shape=[32,64]"]
    made = {
        "crnn": ["model=crnn_mbv3", "model.backbone.scale=0.35", *dictionary],
        "nrtr": ["model=nrtr", "charset=from_labels", "targets.max_text_length=7"],
        "db": ["model=db_r18", "model.neck.out_channels=32", "model.freeze=[backbone]"],
    }
    for name, overrides in made.items():
        run_dir = folder / name
        (run_dir / "checkpoints").mkdir(parents=True)
        write_job(run_dir, compose("train", arrange("train", overrides)), JobInfo(name=name))
        # An empty line and a second space, as PaddleOCR's dictionaries make them, are classes of the run.
        charset = Charset(["x", "", " ", " "], aliases=range(4), normalization=Normalization("nfkc"))
        saved = {"extras": {"charset": charset.saved()}} if name == "nrtr" else {}
        files = {suffix: {"sha256": "", "bytes": 0} for suffix in ("pdparams", "pdopt")}
        states = seal_states({"global_step": 1, "serial": 1, "files": files, **saved})
        (run_dir / "checkpoints" / "best_accuracy.pdstates").write_bytes(states)
    return folder


def composed(*typed, verb="train"):
    return compose("train", with_default_model(with_model_of_run(arrange(verb, list(typed)))))


def test_architecture_and_characters_come_with_the_weights(runs):
    config = composed(f"model.pretrained={runs / 'crnn'}", "dataset=rec_list", "dataset.root=x")
    assert (config.task, config.model.name, config.model.backbone.scale) == ("rec", "crnn_mbv3", 0.35)
    assert config.model.pretrained == str(runs / "crnn")
    assert build_charset(config).characters == ("a", "b", "c")
    assert list(config.preprocess.resize.image_shape) == [32, 64]
    config = composed(f"model.pretrained={runs / 'crnn'}", "model.image_shape=[48,320]", "charset=digits")
    assert list(config.preprocess.resize.image_shape) == [48, 320]  # it follows the model, as in the run
    assert len(build_charset(config)) == 10


def test_what_fits_the_model_comes_too_and_labels_that_are_gone_are_not_read(runs):
    config = composed(f"model.pretrained={runs / 'nrtr'}")
    assert config.loss._target_.endswith("NRTRLoss") and config.postprocess.kind == "nrtr"
    assert config.targets.max_text_length == 7
    assert config.preprocess.resize.gray is True
    charset = build_charset(config)
    assert (charset.characters, charset.normalization.form) == (("x", "", " ", " "), "nfkc")
    assert charset.encode("x ") == [0, 3]
    assert composed(f"model.pretrained={runs / 'nrtr'}", "targets.max_text_length=9").targets.max_text_length == 9


def test_what_is_frozen_and_where_weights_came_from_are_those_of_the_new_run(runs):
    config = composed(f"model.pretrained={runs / 'db'}")
    assert (config.model.neck.out_channels, config.model.freeze, config.model.name) == (32, [], "db_r18")


def test_a_dictionary_that_is_gone_is_replaced_by_the_characters_of_the_checkpoint(runs, tmp_path, monkeypatch):
    dictionary = tmp_path / "gone.txt"
    dictionary.write_text("q\n")
    run_dir = tmp_path / "run"
    overrides = ["model=crnn_mbv3", "charset=dictionary", f"charset.path={dictionary}"]
    (run_dir / "checkpoints").mkdir(parents=True)
    write_job(run_dir, compose("train", overrides), JobInfo(name="run"))
    states = runs / "nrtr" / "checkpoints" / "best_accuracy.pdstates"
    (run_dir / "checkpoints" / "latest.pdstates").write_bytes(states.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert build_charset(composed("model.pretrained=run")).characters == ("q",)
    dictionary.unlink()
    assert build_charset(composed("model.pretrained=run")).characters == ("x", "", " ", " ")


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["model=svtr_tiny"], ["model=svtr_tiny", "model.backbone"]),
        (["model=crnn_mbv3"], ["model=crnn_mbv3", "model.backbone.scale: 0.35 in the run, 0.5 here"]),
        (["model/neck=reshape", "model=crnn_mbv3"], ["model/neck=reshape"]),
        (["-m", "model=crnn_mbv3,svtr_tiny"], ["model=crnn_mbv3,svtr_tiny"]),
    ],
)
def test_another_model_is_one_line(runs, typed, named):
    with pytest.raises(ConfigError) as caught:
        with_model_of_run(arrange("train", [f"model.pretrained={runs / 'crnn'}", *typed]))
    message = str(caught.value)
    assert "\n" not in message
    for word in [*named, f"model.pretrained='{runs / 'crnn'}/checkpoints/best_accuracy.pdparams'"]:
        assert word in message


def test_a_part_that_has_moved_since_is_the_same(runs, tmp_path):
    shutil.copytree(runs / "nrtr", tmp_path / "old")
    now, before = "ocrexp.models.heads.nrtr.NRTRHead", "ocrexp.models.heads.old.NRTRHead"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MOVED, before, now)
        for name in ("config_resolved.yaml", ".hydra/config.yaml"):
            text = (tmp_path / "old" / name).read_text()
            assert now in text
            (tmp_path / "old" / name).write_text(text.replace(now, before))
        config = composed(
            "model=nrtr", "charset=digits", "targets.max_text_length=7", f"model.pretrained={tmp_path / 'old'}"
        )
        assert config.model.head._target_ in (before, now)


def test_the_same_model_may_be_repeated(runs):
    config = composed(f"model.pretrained={runs / 'crnn'}", "model=crnn_mbv3", "model.backbone.scale=0.35")
    assert build_charset(config).characters == ("a", "b", "c")


def test_a_sweep_over_runs_of_one_model(runs):
    pretrained = f"model.pretrained='{runs / 'crnn'}','{runs / 'crnn'}'"
    flags, model, *rest = with_model_of_run(arrange("train", ["-m", pretrained, "seed=1,2"]))
    assert (flags, model[:13]) == ("--multirun", "model=of_run_") and rest[-1] == "seed=1,2"
    with pytest.raises(ConfigError, match="different models"):
        with_model_of_run(arrange("train", ["-m", f"model.pretrained='{runs / 'crnn'}','{runs / 'db'}'"]))


@pytest.mark.parametrize("value", ["null", "best.pdparams", "RUN/checkpoints/best_accuracy.pdparams"])
def test_a_file_brings_weights_alone(runs, value):
    typed = ["--cfg", "job", f"model.pretrained={value.replace('RUN', str(runs / 'crnn'))}"]
    assert with_model_of_run(arrange("train", typed)) == arrange("train", typed)


def test_flags_stay_in_front(runs):
    arranged = with_model_of_run(arrange("train", ["--cfg", "job", f"model.pretrained={runs / 'db'}", "-p", "model"]))
    assert arranged[:4] == ["--cfg", "job", "--package", "model"] and arranged[4].startswith("model=of_run_")
    assert with_default_model(arrange("train", ["dataset=rec_list", "--cfg", "job"]))[:3] == [
        "--cfg", "job", "model=crnn_mbv3",
    ]  # fmt: skip
