"""A student beside its teacher, and a detector of two output maps: from the first step to the deployed model."""

import json
import os
import sys

import numpy as np
import pytest
import warm

from ocrexp.weights.reader import read_parameters

PARTS = '''
"""Parts of a user: a model of two networks, whose student has two output maps."""

from functools import partial

import paddle
from paddle import nn
from paddle.nn import functional as F

from ocrexp.deploy.detector import register_postprocess
from ocrexp.losses.db import DBLoss
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN
from ocrexp.models.network import Network
from ocrexp.postprocess.db import DBPostProcess


class TwoMaps(nn.Layer):
    output = "maps"
    outputs = ("maps", "border")

    def __init__(self, in_channels):
        super().__init__()
        self.db = DBHead(in_channels)
        self.edge = nn.Conv2DTranspose(in_channels, 1, 4, stride=4)

    def forward(self, x):
        return {**self.db(x), "border": F.sigmoid(self.edge(x))}


class Distilled(Network):
    def __init__(self, backbone, neck, *, head, normalize):
        super().__init__()
        self.student = OCRModel(backbone, neck, head=head, normalize=normalize)
        large = MobileNetV3("small", scale=0.5)
        self.teacher = OCRModel(large, partial(DBFPN, out_channels=16), head=TwoMaps, normalize=normalize)

    def trainable(self):
        return self.student

    def deployed(self):
        return self.student

    def forward(self, images, targets=None):
        outputs = self.student(images)
        if self.training:
            assert not any(layer.training for layer in self.teacher.sublayers())
            outputs["teacher_maps"] = self.teacher(images)["maps"]
        return outputs


class TwoMapsLoss:
    def __init__(self):
        self.db = DBLoss()

    def __call__(self, outputs, batch):
        border = batch["threshold_map"].unsqueeze(1)
        parts = {"loss_border": F.mse_loss(outputs["border"], border)}
        if "teacher_maps" in outputs:
            parts["loss_teacher"] = F.mse_loss(outputs["maps"][:, :1], outputs["teacher_maps"][:, :1])
            parts |= {key: value for key, value in self.db(outputs, batch).items() if key != "loss"}
        return {"loss": sum(parts.values()), **parts}


class TwoMapsPost(DBPostProcess):
    """Regions of the map where the border's is low: the second output decides, so that it cannot be lost."""

    def __call__(self, outputs, batch):
        inside = outputs["maps"] * (outputs["border"] < self.border)
        return super().__call__({"maps": inside}, batch)

    def __init__(self, border: float = 0.5, box_thresh: float = 0.1, thresh: float = 0.1):
        super().__init__(thresh=thresh, box_thresh=box_thresh)
        self.border = border


register_postprocess("TwoMapsPost", TwoMapsPost)
'''
PREDICT = """
import json, sys
import twoparts
from ocrexp.deploy import TextDetector
from ocrexp.errors import DeployError
found = TextDetector("run/inference", backend=sys.argv[1]).detect(sys.argv[2])
try:
    TextDetector("run/inference", tile=True)
except DeployError as error:
    print(error, file=sys.stderr)
print(json.dumps([found.scores, [polygon.tolist() for polygon in found.polygons]]))
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "twoparts.py").write_text(PARTS)
    files = {
        "model/head/two.yaml": "_target_: twoparts.TwoMaps\n_partial_: true\n",
        "loss/two.yaml": "_target_: twoparts.TwoMapsLoss\n",
        "postprocess/two.yaml": "_target_: twoparts.TwoMapsPost\nborder: 0.9\nbox_thresh: 0.1\nthresh: 0.1\n",
    }
    for name, text in files.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])}
    done = warm.run(arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done


def test_from_the_first_step_to_the_deployed_model(project, tiny_run, tiny_lists):
    small = ["model/head=two", "model._target_=twoparts.Distilled", "loss=two", "postprocess=two"]
    small += [
        "trainer.ema_decay=0.5",
        "model.freeze=[backbone]",
        "trainer.device=cpu",
        "callbacks=none",
        "optimizer=sgd",
    ]
    python(project, "-m", "ocrexp", "run_dir=run", *tiny_run, *small, "trainer.max_epochs=1")
    rows = (project / "run" / "metrics.csv").read_text()
    assert "loss_border" in rows and "loss_teacher" in rows

    checkpoints = project / "run" / "checkpoints"
    first = {name: np.asarray(value) for name, value in read_parameters(checkpoints / "latest.pdparams").items()}
    assert {name.partition(".")[0] for name in first} == {"backbone", "neck", "head"}  # the student's own names

    said = python(project, "-m", "ocrexp", "resume", "run_dir=run", "trainer.max_epochs=2").stderr
    assert "resuming from step" in said
    second = read_parameters(checkpoints / "latest.pdparams")
    assert second.keys() == first.keys()
    moved = {name.partition(".")[0] for name in first if not np.array_equal(first[name], second[name])}
    assert moved == {"neck", "head"}  # the backbone is frozen

    said = python(project, "-m", "ocrexp", "export", "run_dir=run", "export.format=[paddle,onnx]").stdout
    assert said.count(": holds, max difference") == 2
    parity = json.loads((project / "run/inference/parity.json").read_text())
    images = [str(tiny_lists / line.split("\t")[0]) for line in (tiny_lists / "val_list.txt").read_text().splitlines()]
    (project / "predict.py").write_text(PREDICT)
    found = {}
    for backend in ("paddle", "onnx"):
        done = python(project, "predict.py", backend, images[0])
        assert "tile=true needs a detector with one output map of DB" in done.stderr
        found[backend] = json.loads(done.stdout.splitlines()[-1])
        assert parity["formats"][backend]["files"]["results"] > 0
    assert found["paddle"][1] == found["onnx"][1]
    assert len(found["paddle"][0]) > 0
    done = warm.run(["-m", "ocrexp", "predict", "det=run/inference", f"images={images[0]}", "output=out"], cwd=project)
    assert done.returncode == 2
    assert "postprocess.name: 'TwoMapsPost'" in done.stderr and "register_postprocess" in done.stderr
