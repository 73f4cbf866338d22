"""A recogniser through the verbs, as a user types them: train, eval, resume, other characters, one batch by heart."""

import json
import sys
from pathlib import Path

import pytest
import warm

from ocrexp.assemble import saved_charset
from ocrexp.engine.samples import read_samples
from ocrexp.runs.provenance import read_provenance

WORDS = ["ab1", "cab", "2b", "abc", "1c", "bca", "c12", "a"]
TINY = [
    "model=crnn_mbv3",
    "model/backbone=rec_mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35",
    "model.neck.hidden_size=16",
    "model.image_shape=[32,64]",
    "charset=from_labels",
    "dataset=rec_list",
    "loader.batch_size=4",
    "loader.num_workers=0",
    "trainer.device=cpu",
]


def main(arguments):
    """Run the program in a process of its own, whose threads and kernels are then no other test's; returns its code."""
    done = warm.run(["-m", "ocrexp", *arguments])
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


@pytest.fixture(scope="module")
def lists(tmp_path_factory, draw_words):
    """Lists of words of a, b, c, 1, 2."""
    return draw_words(tmp_path_factory.mktemp("words"), WORDS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, lists):
    """A run of two epochs; returns its folder."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main([*TINY, f"dataset.root={lists}", f"run_dir={run_dir}", "trainer.max_epochs=2"]) == 0
    return run_dir


def test_the_charset_travels_in_the_checkpoint(finished):
    status = json.loads((finished / "status.json").read_text())
    assert status["state"] == "done"
    assert {"accuracy", "norm_edit_distance"} <= set(status["metrics"])
    charset = saved_charset(finished / "checkpoints" / "best_accuracy.pdparams")
    assert "".join(charset.characters) == "12abc"


def test_a_run_leaves_what_comparisons_and_pages_need(finished, capsys):
    status, samples = json.loads((finished / "status.json").read_text()), read_samples(finished)
    assert len(samples.rows) == samples.images > 0 and samples.step == status["best_step"]
    assert all({"label", "read", "score"} <= set(row) and Path(row["path"]).is_file() for row in samples.rows)
    hits, of = (sum(row[name] for row in samples.rows) for name in ("hits", "of"))
    assert hits / of == pytest.approx(status["best_value"])
    assert status["parameters"] > 1000 and status["gmacs"] > 0
    assert {"paddlepaddle", "numpy"} & set(read_provenance(finished)["packages"])
    assert main(["compare", str(finished), "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"] == status["parameters"]


def test_eval_uses_the_characters_of_the_checkpoint_whatever_the_labels_are_now(finished, draw_words, tmp_path, capsys):
    other = draw_words(tmp_path / "other", ["xyz", "ab"])
    (other / "train_list.txt").unlink()  # the validation list is all that an evaluation needs
    code = main(["eval", f"run_dir={finished}", f"dataset.root={other}", f"output={tmp_path / 'eval.json'}"])
    assert code == 0
    assert "accuracy " in capsys.readouterr().out
    result = json.loads((tmp_path / "eval.json").read_text())
    assert result["images"] == 2
    assert result["metrics"]["accuracy"] == 0.0


def test_eval_says_that_the_configured_characters_are_not_those_of_the_checkpoint(finished, lists, tmp_path, capsys):
    weights = finished / "checkpoints" / "best_accuracy.pdparams"
    arguments = [*TINY, f"dataset.root={lists}", "charset=digits", f"output={tmp_path / 'eval.json'}", "pictures=0"]
    assert main(["eval", f"checkpoint={weights.with_suffix('')}", *arguments]) == 0
    said = f"warning: charset: {weights} has 5 characters, which differ from the 10 of the configuration"
    assert any(line.startswith(said) for line in capsys.readouterr().err.splitlines())


def test_resume_refuses_other_characters(finished, lists, tmp_path, capsys):
    changed = tmp_path / "lists"
    changed.mkdir()
    (changed / "images").symlink_to(lists / "images")
    for name in ("train_list.txt", "val_list.txt"):
        (changed / name).write_text((lists / name).read_text().replace("cab", "caz"))
    assert main(["resume", f"run_dir={finished}", f"dataset.root={changed}", "trainer.max_epochs=3"]) == 2
    assert "belongs to another run" in capsys.readouterr().err


def test_other_characters_keep_the_rows_of_those_that_both_know(finished, draw_words, tmp_path, capsys):
    more = draw_words(tmp_path / "more", ["ab1", "c€", "2z"])
    weights = finished / "checkpoints" / "best_accuracy.pdparams"
    run_dir = tmp_path / "run"
    code = main(
        [*TINY, f"dataset.root={more}", f"model.pretrained={weights}", f"run_dir={run_dir}", "trainer.max_steps=1"]
    )
    assert code == 0
    said = "pretrained: 5 characters keep their rows in the head; 2 start from random values: z€"
    assert said in capsys.readouterr().err.splitlines()
    assert said in (run_dir / "train.log").read_text()


@pytest.mark.parametrize(
    ("name", "overrides", "metric"),
    [
        ("rec", [*TINY, "optim.lr=3e-3", "model.neck.hidden_size=48", "trainer.max_steps=120"], "accuracy"),
        (
            "det",
            [
                "model=db_mbv3",
                "model/backbone=mobilenetv3_small_x0_5",
                "model.neck.out_channels=24",
                "dataset.size=160",
                "dataset.train_pages=2",
                "dataset.val_pages=1",
                "dataset.font_size=[24,40]",
                "dataset.illegible=0",
                "dataset.level=line",
                "dataset.degrade=0",
                "augment.warp.size=[160,160]",
                "preprocess.resize.limit_side_len=160",
                "loader.batch_size=2",
                "optim.lr=5e-3",
                "trainer.max_steps=120",
                "trainer.device=cpu",
                "seed=1",  # of the two pages of seed 0, one has no text
            ],
            "hmean",
        ),
    ],
)
def test_one_batch_is_learnt_by_heart(name, overrides, metric, lists, tmp_path):
    run_dir = tmp_path / name
    root = [f"dataset.root={lists}"] if name == "rec" else []
    assert main(["debug=overfit", "callbacks=none", *overrides, *root, f"run_dir={run_dir}"]) == 0
    status = json.loads((run_dir / "status.json").read_text())
    assert status["best_metric"] == metric
    assert status["best_value"] == 1.0
