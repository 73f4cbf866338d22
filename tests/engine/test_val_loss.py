"""The loss on evaluation images: beside the metric, of the same images, without changing either."""

import numpy as np
import paddle
import pytest

from ocrexp.data.targets.db import DBTargets
from ocrexp.data.val_targets import TargetsBeside
from ocrexp.engine.evaluator import Evaluator
from ocrexp.losses.db import DBLoss
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.report.figures import figures
from ocrexp.tasks.rec import TASK as REC
from ocrexp.types import UnusableSample
from tests.engine.standins import Closeness


class Rows(paddle.nn.Layer):
    """A backbone whose value for an image is the image's own."""

    out_channels = 1

    def forward(self, x):
        return x.mean(axis=[1, 2, 3]).unsqueeze(1)


class Head(paddle.nn.Layer):
    """Evaluation gives the value, training its negative; dropout would show in either."""

    needs_targets = True
    out_channels = 1

    def __init__(self, in_channels):
        super().__init__()
        self.dropout = paddle.nn.Dropout(0.5)

    def forward(self, x, targets=None):
        x = self.dropout(x)
        return {"value": x} if not self.training else {"value": -x, "seen": targets["label"].astype("float32")}


class Loader:
    def __init__(self, batches):
        self.batches = batches
        self.counts = {}

    def epoch(self, epoch, start=0):
        yield from self.batches

    def __len__(self):
        return len(self.batches)

    def close(self): ...


class Target:
    def __call__(self, sample, rng):
        if sample["texts"][0] == "":
            raise UnusableSample("label is empty")
        sample["label"] = np.array([float(sample["texts"][0])], np.float32)
        return sample


def sample(index, text):
    class Record:
        image_path = f"{index}.png"

    made = {
        "record": Record, "index": index, "texts": [text], "polygons": [], "ignored": np.zeros(0, bool),
        "image": np.full((2, 2, 3), index, np.uint8), "epoch": 0,
    }  # fmt: skip
    return TargetsBeside(Target())(made, np.random.default_rng(0))


def loss(outputs, batch):
    return {"loss": ((outputs["value"] - batch["label"]) ** 2).mean(), "loss_seen": outputs["seen"].mean()}


def test_each_image_counts_once_and_those_without_targets_are_named():
    model = OCRModel(Rows(), head=Head, normalize={"mean": [0.0] * 3, "std": [1 / 255] * 3})
    batches = [
        REC.collate_eval([sample(1, "1"), sample(2, ""), sample(3, "3")], np.empty),
        REC.collate_eval([sample(4, "4")], np.empty),
        REC.collate_eval([sample(5, "")], np.empty),
    ]

    class Metric(Closeness):
        def update(self, predictions, references):
            self.seen = [*getattr(self, "seen", []), *predictions]

        def compute(self):
            return {self.main: 0.5}

        def reset(self): ...

    def read(outputs, batch):
        return [float(value) for value in outputs["value"].reshape(-1)]

    metric = Metric()
    model.train()
    result = Evaluator(Loader(batches), read, metric, loss=loss).run(model)
    assert metric.seen == pytest.approx([1, 2, 3, 4, 5])  # what evaluation gives, in order
    # The head of training gives -x: (2 · 1)², (2 · 3)² and (2 · 4)², each image once.
    assert result.losses["loss"] == pytest.approx((4 + 36 + 64) / 3)
    assert result.losses["loss_seen"] == pytest.approx((1 + 3 + 4) / 3)
    assert result.not_in_loss == {"label is empty": 2}
    assert all(layer.training for layer in model.sublayers(include_self=True))


def test_regions_are_led_into_the_resized_image_and_the_ground_truth_stays():
    polygon = np.array([[10, 10], [50, 10], [50, 30], [10, 30]], np.float32)
    made = {
        "image": np.zeros((64, 128, 3), np.uint8), "shape": np.array([32, 32, 2.0, 4.0]), "texts": ["a"],
        "polygons": [polygon / 2], "ignored": np.zeros(1, bool), "epoch": 0,
    }  # fmt: skip
    got = TargetsBeside(DBTargets())(made, np.random.default_rng(0))
    ys, xs = np.nonzero(got["targets"]["shrink_map"])
    assert got["targets"]["shrink_map"].shape == (64, 128)
    assert xs.min() > 20 and xs.max() < 100 and ys.min() > 10 and ys.max() < 30
    np.testing.assert_array_equal(got["polygons"][0], polygon / 2)
    assert not got["ignored"].any()


def test_db_adds_the_maps_that_evaluation_lacks():
    head = DBHead(8)
    head.eval()
    x = paddle.rand([1, 8, 8, 8])
    with paddle.no_grad():
        maps = head.completed(x, head(x))["maps"]
        assert tuple(maps.shape) == (1, 3, 32, 32)
        np.testing.assert_array_equal(maps[:, :1].numpy(), head(x)["maps"].numpy())
        target = {name: paddle.ones([1, 32, 32]) for name in ("shrink_map", "shrink_mask")}
        target |= {name: paddle.ones([1, 32, 32]) for name in ("threshold_map", "threshold_mask")}
        assert float(DBLoss()({"maps": maps}, target)["loss"]) > 0


def test_a_recognizers_line_shows_two_values():
    values = {"accuracy": 0.5, "norm_edit_distance": 0.75, "accuracy_no_spaces": 0.6, "accuracy_length/1_5": 0.1}
    assert figures(values) == "accuracy 0.5000 norm_edit_distance 0.7500"
    assert figures(values, "accuracy_no_spaces") == "accuracy_no_spaces 0.6000 norm_edit_distance 0.7500"
    assert figures({"precision": 0.25, "hmean": 1.0}) == "precision 0.2500 hmean 1.0000"
