"""Students that learn from teachers and from each other: trained, resumed, evaluated and extracted."""

import re
from pathlib import Path

import numpy as np
import paddle
import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import assemble, build_charset, build_model
from ocrexp.commands import extract_student
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, read_resolved, write_job
from ocrexp.errors import ConfigError, OcrexpError
from ocrexp.runs.fit import build_trainer
from ocrexp.weights.reader import read_parameters

QUIET = [
    "callbacks=none",
    "logger=none",
    "optimizer=sgd",
    "scheduler=constant",
    "trainer.device=cpu",
    "loader.num_workers=0",
]
DET = ["backbone=mobilenetv3_small_x0_5"]
SMALL = ["backbone.scale=0.35", "neck.out_channels=16"]


def config_of(overrides):
    config = compose("train", [*QUIET, *overrides])
    OmegaConf.set_struct(config, False)
    config.run_dir = "unused"
    check(config)
    return config


def train(run_dir: Path, config, epochs: int, resume=False):
    config = config.copy()
    config.run_dir, config.trainer.max_epochs = str(run_dir), epochs
    run_dir.mkdir(exist_ok=True)
    write_job(run_dir, config, JobInfo(run_dir.name))
    trainer = build_trainer(run_dir, config, resume=resume)
    try:
        trainer.fit()
    finally:
        trainer.train_loader.close()
        trainer.validation.close()
    return trainer


def save_random(overrides, path: Path, seed=5) -> Path:
    """Weights of a network as a file of PaddleOCR has them: parameters alone."""
    paddle.seed(seed)
    paddle.save(assemble(config_of(overrides)).model.state_dict(), str(path))
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in read_parameters(path).items()}


@pytest.fixture
def detectors(tmp_path, tiny_run):
    """A teacher with wider maps, and two students of CML with a feature between all of them."""
    data = [item for item in tiny_run if not item.startswith(("model", "trainer.max_epochs"))]
    teacher = ["model/backbone=mobilenetv3_small_x0_5", "model.backbone.scale=0.35", "model.neck.out_channels=24"]
    weights = save_random([*data, *teacher], tmp_path / "teacher.pdparams")
    parts = [f"model/{role}/backbone=mobilenetv3_small_x0_5" for role in ("student", "teacher")]
    parts += [f"model.{role}.backbone.scale=0.35" for role in ("student", "teacher")]
    return [
        *data,
        "model=distill_cml",
        "model/student=db_mbv3",
        "model/teacher=db_mbv3",
        *parts,
        "model.student.neck.out_channels=16",
        "model.teacher.neck.out_channels=24",
        f"model.teacher.pretrained={weights}",
        "+model.features.neck={student: neck, teacher: neck}",
        "+loss.terms.feature={_target_: ocrexp.losses.distill_terms.Distance, output: neck,"
        " pairs: [[student, teacher], [student2, teacher]]}",
        "trainer.ema_decay=0.5",
        "loader.batch_size=6",
        "augment.warp.size=[64,64]",
        "preprocess.resize.limit_side_len=64",
    ]


def test_cml_resumes_exactly_and_either_student_is_extracted(tmp_path, detectors, capsys):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    config = config_of(detectors)
    trainer = train(whole, config, epochs=2)
    teacher = {name: value.numpy() for name, value in trainer.model.teacher.state_dict().items()}
    given = arrays(tmp_path / "teacher.pdparams")
    assert all(np.array_equal(value, given[name]) for name, value in teacher.items())  # its norms' statistics too

    train(parted, config, epochs=1)
    train(parted, config, epochs=2, resume=True)
    one, two = (arrays(folder / "checkpoints" / "latest.pdparams") for folder in (whole, parted))
    parts = {name.partition(".")[0] for name in one}
    assert parts == {"backbone", "neck", "head", "student2", "projection", "projection2"}
    assert one.keys() == two.keys()
    assert all(np.array_equal(value, two[name]) for name, value in one.items())

    (tmp_path / "teacher.pdparams").unlink()  # evaluation and extraction need no teacher
    whole_figures = figures(whole)
    for which in ("student", "student2"):
        extract_student.run([f"run_dir={whole}", f"output={tmp_path / which}", f"student={which}"])
        alone = read_resolved(tmp_path / which)
        assert alone.model._target_.endswith("OCRModel")
        assert alone.loss._target_.endswith("DBLoss")
    assert figures(tmp_path / "student") == whole_figures
    out = capsys.readouterr().out
    assert "extracted student2" in out
    assert f"evaluate it: python -m ocrexp eval run_dir={tmp_path / 'student2'}" in out
    place = "checkpoints/best_accuracy.pdparams"
    first, second = (arrays(tmp_path / which / place) for which in ("student", "student2"))
    assert first.keys() == second.keys()
    assert not np.array_equal(first["head.binarize.conv1.weight"], second["head.binarize.conv1.weight"])
    with pytest.raises(ConfigError, match="has no student"):
        extract_student.run([f"run_dir={tmp_path / 'student'}", f"output={tmp_path / 'again'}"])


def figures(run_dir: Path):
    """Outputs of the evaluated weights for a fixed page."""
    weights = run_dir / "checkpoints" / "best_accuracy.pdparams"
    parts = assemble(read_resolved(run_dir), weights=weights)
    parts.model.eval()
    page = paddle.to_tensor(np.random.default_rng(0).integers(0, 255, (1, 96, 96, 3), np.uint8))
    return parts.model(page)["maps"].numpy().tobytes()


@pytest.fixture
def recognizers(tmp_path, draw_words):
    """A teacher that knows abcx, and a student of abcd."""
    root = draw_words(tmp_path / "words", ["ab", "cd", "bad"])
    data = ["dataset=rec_list", f"dataset.root={root}", "charset=characters", "augment=rec_none", "loader.batch_size=3"]
    parts = ["backbone=rec_mobilenetv3_small_x0_35", "neck=rnn"]
    small = [*(f"model/{part}" for part in parts), "model.neck.hidden_size=8", "charset.characters=abcx"]
    weights = save_random([*data, "model=crnn_mbv3", *small], tmp_path / "teacher.pdparams")
    (tmp_path / "abcx.txt").write_text("a\nb\nc\nx\n", encoding="utf-8")
    roles = [f"model/{role}/{part}" for role in ("student", "teacher") for part in parts]
    given = [*data, "model=distill", "model/student=crnn_mbv3", "model/teacher=crnn_mbv3", *roles]
    given += ["model.student.neck.hidden_size=4", "model.teacher.neck.hidden_size=8", "charset.characters=abcd"]
    given += [f"model.teacher.pretrained={weights}", f"model.teacher.pretrained_charset={tmp_path / 'abcx.txt'}"]
    return [*data, "model=crnn_mbv3", *small], given


def test_a_teacher_with_other_characters_teaches_those_that_both_know(tmp_path, recognizers):
    alone, overrides = recognizers
    teacher = assemble(config_of([*alone, f"model.pretrained={tmp_path / 'teacher.pdparams'}"])).model
    teacher.eval()
    images = paddle.to_tensor(np.random.default_rng(0).integers(0, 255, (2, 32, 100, 3), np.uint8))
    wanted = teacher(images)["ctc"].numpy()[..., :4]  # blank, a, b, c; x is the last one

    model = assemble(config_of(overrides)).model
    model.train()
    outputs = model(images)
    assert outputs["ctc"].shape[-1] == 5  # d too
    assert outputs["student.ctc"].shape == outputs["teacher.ctc"].shape == list(wanted.shape)
    found = paddle.nn.functional.softmax(outputs["teacher.ctc"], axis=-1).numpy()
    np.testing.assert_allclose(found, wanted / wanted.sum(axis=-1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(outputs["student.ctc"].numpy(), outputs["ctc"].numpy()[..., :4])
    assert outputs["teacher.ctc"].stop_gradient
    assert set(model.trainable().state_dict()) == set(model.student.state_dict())

    run = tmp_path / "run"
    train(run, config_of([*overrides, "logger=csv", "trainer.log_every_steps=1"]), epochs=1)
    assert "loss_kd" in (run / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]


def test_weights_that_a_continued_training_replaces_are_reported(tmp_path, recognizers, caplog):
    alone, _ = recognizers
    start = [f"model.pretrained={tmp_path / 'teacher.pdparams'}", f"trainer.start_from={tmp_path / 'none'}"]
    config = config_of([*alone, *start, "charset.unknown=drop"])
    (tmp_path / "run").mkdir()
    write_job(tmp_path / "run", config, JobInfo("run"))
    with pytest.raises(OcrexpError, match=r"trainer.start_from=.*none: none.pdparams, .* not found"):
        build_trainer(tmp_path / "run", config)
    assert "model.pretrained=" in caplog.text
    assert "has no effect" in caplog.text


def test_a_prefix_of_names_is_refused_for_a_deployed_model(tmp_path, recognizers):
    alone, _ = recognizers
    (tmp_path / "inference.onnx").touch()
    for key, value in (("pretrained_prefix", "Student"), ("pretrained_rgb", "true")):
        config = config_of([*alone, f"model.pretrained={tmp_path / 'inference.onnx'}", f"model.{key}={value}"])
        with pytest.raises(ConfigError, match=rf"^model\.{key}: is for files of weights, .*; set it to (null|false)"):
            build_model(config, build_charset(config))


def test_networks_that_do_not_fit_are_told_in_one_line(recognizers):
    _, overrides = recognizers

    def message(make):
        with pytest.raises(OcrexpError) as told:
            assemble(make()).model  # noqa: B018
        assert "\n" not in str(told.value)
        return str(told.value)

    kept = [item for item in overrides if not item.startswith(("model/teacher", "model.teacher"))]
    found = message(lambda: config_of([*kept, "model/teacher=db_mbv3"]))
    assert found.startswith("model.teacher: db_mbv3 is for detection, but the student is for recognition")
    found = message(lambda: config_of([*kept, "model/teacher=ppocrv4_rec_ctc"]))
    assert found.startswith("model.teacher.image_shape: is [48, 320], but the student has [32, 100]")
    found = message(lambda: config_of([*overrides, "loss=ctc"]))
    assert found.startswith("loss: the model has several networks, and this loss compares none")

    config = config_of(overrides)

    def changed(key, value):
        one = config.copy()
        OmegaConf.update(one, key, value, force_add=True)
        check(one)
        return one

    found = message(lambda: changed("model.features.x", {"student": "nekc", "teacher": "neck"}))
    assert re.match(r"model\.features\.x: there is no layer 'nekc'; did you mean neck\?", found)
    found = message(lambda: changed("model.features.x", {"student": "backbone", "teacher": "neck"}))
    assert "features.x" in found and "choose layers whose maps have equal sizes" in found
    found = message(lambda: changed("model.teacher.pretrained", None))
    assert found.startswith("model.teacher.pretrained: is null")
