"""Model, data and exported models are of one task, or one line says so."""

import json
import shlex
import subprocess
import sys

import pytest
from omegaconf import DictConfig

from ocrexp.__main__ import main
from ocrexp.command_line import command
from ocrexp.commands.synth import _charset
from ocrexp.config.arguments import arrange
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.task import training_on, with_callbacks, with_default_model
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists
from ocrexp.deploy.description import Description
from ocrexp.errors import ConfigError

REGIONS = json.dumps([{"transcription": "WORD", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}])


@pytest.mark.parametrize(
    ("choices", "right"),
    [
        (["model=crnn_mbv3", "dataset=det_list", "dataset.root=x"], ("dataset=rec_list", "model=db_mbv3")),
        (["model=db_mbv3", "dataset=rec_list", "dataset.root=x"], ("dataset=det_list", "model=crnn_mbv3")),
        (["model=svtr_tiny", "dataset=icdar2015"], ("dataset=rec_list", "model=db_mbv3")),
        (["dataset=rec_lmdb", "dataset.root=x"], ("dataset=det_list", "model=crnn_mbv3")),
        (["model=db_r18", "dataset=synth_rec"], ("dataset=det_list", "model=crnn_mbv3")),
    ],
)
def test_a_model_of_one_task_with_data_of_another_is_refused(choices, right):
    with pytest.raises(ConfigError) as caught:
        check(compose("train", choices))
    assert str(caught.value).startswith("dataset: ") and all(word in str(caught.value) for word in right)


@pytest.mark.parametrize(
    ("overrides", "added"),
    [
        (["dataset=rec_list", "dataset.root=x"], True),
        (["-m", "dataset=rec_list,rec_lmdb"], True),
        (["dataset=synth_rec"], True),
        (["dataset=det_list"], False),
        (["dataset=rec_list,det_list", "-m"], False),
        (["dataset=rec_list", "model=svtr_tiny"], False),
        (["dataset=rec_list", "experiment=quickstart_rec"], False),
        (["dataset=nothing"], False),
        (["optim.lr=1"], False),
    ],
)
def test_the_data_chooses_the_model_where_none_is_named(overrides, added):
    assert with_default_model(overrides) == (["model=crnn_mbv3", *overrides] if added else overrides)


def test_the_users_own_data_set_chooses_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "conf/dataset/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("_target_: ocrexp.data.rec_lists.RecLists\nroot: x\ntrain_labels: a\nval_labels: b\n")
    assert with_default_model(["dataset=mine"])[0] == "model=crnn_mbv3"
    check(compose("train", with_default_model(["dataset=mine"])))


def test_choosing_imports_neither_paddle_nor_the_users_module(tmp_path, monkeypatch):
    """paddle must be imported after the process is prepared for it."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "conf/dataset/mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("_target_: sys.exit\n")
    assert with_default_model(["dataset=mine"]) == ["dataset=mine"]
    code = (
        "import sys; from ocrexp.config.task import with_default_model as f; print(f(['dataset=rec_lmdb']));"
        " sys.exit('paddle' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "crnn_mbv3" in result.stdout, result.stderr


@pytest.mark.parametrize("label", [REGIONS, "1,2,3,4,5,6,7,8,word", f" {REGIONS} "])
def test_a_detection_list_is_not_read_as_texts(tmp_path, label):
    (tmp_path / "list.txt").write_text(f"a.png\t{label}\nb.png\t{label}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        RecLists(tmp_path, "list.txt", "list.txt").train_records()
    assert str(tmp_path / "list.txt") in str(caught.value) and "dataset=det_list" in str(caught.value)


@pytest.mark.parametrize("label", ["word", "1,234.50", "two words", "Größe 4"])
def test_a_recognition_list_is_not_read_as_regions(tmp_path, label):
    (tmp_path / "list.txt").write_text(f"a.png\t{label}\nb.png\t{label}\n" * 9000, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        DetLists(tmp_path, "list.txt", "list.txt").train_records()
    assert str(tmp_path / "list.txt") in str(caught.value) and "dataset=rec_list" in str(caught.value)


def test_texts_that_look_a_little_like_regions_are_texts(tmp_path, draw_words):
    root = draw_words(tmp_path / "words", ["points", "[A]"])
    assert {record.texts[0] for record in RecLists(root, "train_list.txt", "val_list.txt").train_records()} == {
        "points", "[A]",
    }  # fmt: skip


def test_synth_names_a_charset_that_can_write_the_letters_of_a_corpus_or_script():
    dataset = DictConfig({"dictionary": None, "characters": None, "use_space_char": False})
    assert _charset(dataset, "ab1") == {}
    assert _charset(dataset, "ab 1") == {"charset.use_space_char": "true"}
    assert _charset(dataset, "aβ 1") == {"charset": "from_labels"}


@pytest.mark.parametrize(
    ("arguments", "task"),
    [
        ([], "det"),
        (["dataset=synth_rec", "dataset.characters='АБВ'", "dataset.scripts=[cyrillic]"], "rec"),
        (["dataset=synth_rec", "dataset.dictionary='my keys.txt'", "dataset.scripts=[cyrillic]"], "rec"),
    ],
)
def test_what_synth_prints_is_a_command_that_composes_and_reads_its_lists(
    tmp_path, monkeypatch, capsys, arguments, task
):
    from ocrexp.assemble import assemble

    monkeypatch.chdir(tmp_path)
    out = "it's my, folder"
    (tmp_path / "my keys.txt").write_text("А\nБ\nВ\n", encoding="utf-8")
    sizes = ["dataset.train_pages=1", "dataset.val_pages=1", "dataset.size=128"]
    if task == "rec":
        sizes = ["dataset.train_words=4", "dataset.val_words=2"]
    assert main(["synth", *arguments, *sizes, f'out="{out}"', "dataset.workers=1"]) == 0
    printed = capsys.readouterr().out.splitlines()[-1]
    command = shlex.split(printed.partition("(train: ")[2].removesuffix(")"))
    assert command[:3] == ["python", "-m", "ocrexp"]
    config = compose("train", arrange("train", command[3:]))
    assert (config.task, config.dataset.root) == (task, out)
    check(config)
    parts = assemble(config)
    assert parts.source.train_records() and parts.source.val_records()
    if task == "rec":
        assert parts.charset is not None and "".join(parts.charset.characters) == "АБВ"


@pytest.mark.parametrize(("key", "task"), [("det", "rec"), ("rec", "det"), ("cls", "det"), ("det", "cls")])
def test_an_export_of_another_task_is_named_with_its_own_key(tmp_path, monkeypatch, capsys, key, task):
    monkeypatch.chdir(tmp_path)
    for name in {key, task, "rec"}:
        folder = tmp_path / f"as_{name}"
        folder.mkdir()
        (folder / "inference.onnx").write_bytes(b"x")
        Description.default(task if name == key else name).write(folder / "inference.yml")
    (tmp_path / "page.png").write_bytes(b"x")
    others = ["rec=as_rec"] if key != "rec" else []
    assert main(["predict", "images=page.png", f"{key}=as_{key}", *others]) == 2
    error = capsys.readouterr().err
    assert f"{key}=as_{key}" in error and f"{task}=as_{key}" in error and error.count("\n") == 1


@pytest.mark.parametrize("verb", ["eval", "export", "resume"])
def test_an_export_is_not_taken_for_a_run(tmp_path, monkeypatch, capsys, verb):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    Description.default("rec").write(tmp_path / "model/inference.yml")
    assert main([verb, "run_dir=model"]) == 2
    error = capsys.readouterr().err
    assert "run_dir=model" in error and "rec=model" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "added"),
    [
        (["callbacks.early_stopping.patience=5"], ["callbacks=early_stopping"]),
        (["--cfg", "job", "callbacks.early_stopping.patience=5"], ["callbacks=early_stopping"]),
        (["callbacks.pictures.font=a.ttf"], []),
        (["callbacks=none", "callbacks.early_stopping.patience=5"], []),
        (["experiment=quickstart", "callbacks.early_stopping.patience=5"], []),
        (["callbacks.early_stoping.patience=5"], []),
    ],
)
def test_the_keys_of_a_callback_switch_it_on(typed, added):
    flags = typed[:2] if typed[0] == "--cfg" else []
    arranged = arrange("train", typed)
    assert with_callbacks(arranged) == [*flags, *added, *arranged[len(flags) :]]
    if added:
        assert compose("train", with_callbacks(arranged)[len(flags) :]).callbacks.early_stopping.patience == 5


@pytest.mark.parametrize(
    ("written", "task", "parts", "expected"),
    [
        ("lmdb", "rec", ["train", "val"], {"root": "new ä", "train": "train", "val": "val"}),
        ("lmdb", "rec", ["train", "test"], {"root": "new ä", "train": "train", "val": None, "val_split": 0.1}),
        ("shards", "det", ["train"], {"root": "new ä", "train": "train-*.tar", "val": None, "val_split": 0.1}),
        ("shards", "det", ["test"], {"root": "new ä", "train": "test-*.tar", "val": None, "val_split": 0.1}),
        ("paddleocr", "rec", ["train"], {"root": "new ä", "val_labels": None, "val_split": 0.1}),
        ("paddleocr", "rec", ["test"], {"train_labels": "test_list.txt", "val_labels": None, "val_split": 0.1}),
        ("paddleocr", "det", ["val"], {"train_labels": "val_list.txt", "val_labels": None, "val_split": 0.1}),
        ("paddleocr", "det", ["val", "test"], {"train_labels": "test_list.txt", "val_labels": "val_list.txt"}),
    ],
)
def test_what_is_printed_trains_on_what_was_written(written, task, parts, expected):
    typed = shlex.split(command("train", training_on("new ä", written, task, parts)))
    config = compose("train", arrange("train", typed[3:]))
    check(config)
    assert config.task == task and {key: config.dataset[key] for key in expected} == expected
