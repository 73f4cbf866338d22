"""The direction classifier from drawn words to a deployed model."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import warm

from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.data.collate import stack_training
from ocrexp.data.synth.cls_dataset import SynthCls, turned
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.targets.classes import ClassTargets
from ocrexp.errors import ConfigError, DataError
from ocrexp.metrics.cls import ClsMetric
from ocrexp.results import ClsPrediction, ClsReference
from ocrexp.tasks.base import RunFacts
from ocrexp.tasks.find import find_task, task_names
from ocrexp.types import Record, UnusableSample


def ocrexp(*arguments: str) -> str:
    """Run a verb in a process of its own: training sets threads that later tests of numbers would see."""
    done = warm.run(["-m", "ocrexp", *arguments])
    assert done.returncode == 0, done.stderr
    return done.stdout


QUIET = ["callbacks=none", "trainer.save_latest_every_epochs=null"]  # no curves, and one save
SMALL = ["loader.batch_size=8", "loader.num_workers=0", "trainer.device=cpu", "model.image_shape=[32,64]"]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Bars at the top (0) or at the bottom (180) of small images."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, count in (("train", 16), ("val", 4)):
        lines = []
        for number in range(count):
            label = ("0", "180")[number % 2]
            image = np.full((32, 64, 3), 230, np.uint8)
            cv2.rectangle(image, (6, 4), (40 + number, 9), (20, 20, 20), -1)
            if label == "180":
                image = cv2.rotate(image, cv2.ROTATE_180)
            cv2.imwrite(str(folder / f"{split}{number}.png"), image)
            lines.append(f"{split}{number}.png\t{label}")
        (folder / f"{split}_list.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_lists_are_trained_exported_and_deployed(lists: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = ["dataset=cls_list", f"dataset.root={lists}", "augment=rec_none"]
    train = [*data, *SMALL, "trainer.max_epochs=40", "optim.lr=4e-3", "trainer.eval_every_epochs=null", *QUIET]
    ocrexp(*train, f"run_dir={run}")
    assert json.loads((run / "status.json").read_text())["metrics"]["accuracy"] == 1.0
    said = ocrexp("export", f"run_dir={run}", "export.format=onnx")
    report = json.loads((run / "inference" / "parity.json").read_text())
    assert report["holds"] and report["formats"]["onnx"]["files"]["exactly_equal"] == 4
    assert "labels exactly equal 4/4" in said
    from ocrexp.deploy import TextClassifier

    upright = cv2.imread(str(lists / "val0.png"))
    images, results, _ = TextClassifier(run / "inference", cls_thresh=0.5)([upright, cv2.rotate(upright, 1)])
    assert [label for label, _ in results] == ["0", "180"]
    assert np.array_equal(images[0], images[1])


def test_drawn_words_are_turned_by_their_label(tmp_path: Path) -> None:
    words = SynthRec(cache_dir=str(tmp_path), train_words=4, val_words=2, workers=1)
    source = SynthCls(words, labels=["0", "180"])
    assert [record.texts[0] for record in source.train_records()] == ["0", "180", "0", "180"]
    assert np.array_equal(source.draw("train", 1).image, cv2.rotate(words.draw("train", 1).image, cv2.ROTATE_180))
    other = SynthCls(words, labels=["0", "90", "180", "270"])
    assert other.folder != source.folder
    with pytest.raises(ValueError, match="labels"):
        SynthCls(words, labels=["up", "down"])


@pytest.mark.parametrize(("angle", "code"), [(90, cv2.ROTATE_90_CLOCKWISE), (270, cv2.ROTATE_90_COUNTERCLOCKWISE)])
def test_angles_turn_clockwise(angle: float, code: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    assert np.array_equal(turned(image, angle), cv2.rotate(image, code))
    assert turned(image, angle + 45).shape[0] > 15  # the frame holds all of a slanted image


def test_labels_that_are_not_named_are_counted_and_all_of_them_refused() -> None:
    class Source:
        def train_records(self) -> list[Record]:
            return [Record(Path("a.png"), (label,), source=f"list.txt:{n}") for n, label in enumerate(self.labels, 1)]

        val_records = train_records

    source, targets = Source(), ClassTargets(["0", "180"])
    facts = RunFacts({}, source, None, targets)
    source.labels = ["0", "90", "0"]
    text = "\n".join(find_task("cls").label_lines(facts))
    assert "list.txt:2" in text and "'90'" in text and "no image with label '180'" in text
    source.labels = ["up", "down"]
    with pytest.raises(DataError, match=r"list.txt:1.*labels="):
        find_task("cls").label_lines(facts)
    with pytest.raises(UnusableSample, match="90"):
        targets({"texts": ["90"]}, np.random.default_rng(0))


def test_accuracy_and_recall() -> None:
    metric = ClsMetric()
    said, truth = ["0", "0", "180", ""], ["0", "180", "180", "180"]
    metric.update([ClsPrediction(label, 0.9) for label in said], [ClsReference(label) for label in truth])
    assert metric.compute() == {"accuracy": 0.5, "recall/0": 1.0, "recall/180": pytest.approx(1 / 3)}
    other = ClsMetric()
    other.merge([metric.state(), metric.state()])
    assert other.compute() == metric.compute()


def test_a_target_that_a_loss_needs_is_in_the_batch_whatever_its_name() -> None:
    samples = [
        {
            "image": np.zeros((4, 4, 3), np.uint8),
            "index": n,
            "centerline_map": np.full((2, 2), n),
            "ignored": np.ones(3),
        }
        for n in range(2)
    ]
    batch = stack_training(samples, lambda shape, dtype: np.empty(shape, dtype), "crop")
    assert set(batch) == {"image", "index", "centerline_map"} and batch["centerline_map"].shape == (2, 2, 2)


def test_tasks_are_found_by_name() -> None:
    assert set(task_names()) == {"cls", "det", "rec"}
    assert [find_task(name).name for name in task_names()] == task_names()
    with pytest.raises(ConfigError, match="did you mean rec"):
        find_task("recc")
    with pytest.raises(ConfigError, match=r"json\.loads"):
        find_task("json.loads")


def test_the_models_shape_and_size_are_paddleocrs() -> None:
    config = compose("train", ["model=cls_mbv3"])
    check(config)
    from ocrexp.assemble import build_model

    model = build_model(config)
    assert sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient) == 129356
