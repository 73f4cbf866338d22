"""The networks equal PaddleOCR 2.10's: names, shapes, outputs, batch statistics, loss and gradients.

The golden files hold no weights: each follows from its name (`golden_state`), as does the input from a seed.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.assemble import build_model
from ocrexp.config.build import build as build_part
from ocrexp.config.compose import compose
from ocrexp.environment import SWITCH
from ocrexp.losses.db import DBLoss
from ocrexp.losses.east import EASTLoss
from ocrexp.losses.pse import PSELoss
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.backbones.resnet_vd import ResNetVd
from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN

NAMES = ["det_mv3_db", "ch_det_mv3_db_v2.0", "det_r18_vd_db", "det_r50_vd_db"]
# With the CPU's own kernels; and, for one of each backbone, without them: the operators that a GPU runs.
CASES = [*((name, "1") for name in NAMES), ("det_mv3_db", "0"), ("det_r18_vd_db", "0")]
# These need OCREXP_ORACLE; the networks are composed from `conf/`.
MODELS = {
    "ch_PP-OCRv3_det_student": "ppocrv3_det",
    "ch_PP-OCRv4_det_student": "ppocrv4_det",
    "ch_PP-OCRv4_det_student_scale": "ppocrv5_det",
    "det_r50_dbpp": "dbpp_r50",
    "det_mv3_pse": "pse_mbv3",
    "det_mv3_east": "east_mbv3",
    "det_r50_vd_east": "east_r50",
    "ch_PP-OCRv3_det_teacher": "ppocrv3_det_server",
    "ch_PP-OCRv4_det_teacher": "ppocrv4_det_server",
}
CASES += [*((name, "1") for name in MODELS), ("ch_PP-OCRv3_det_student", "0")]
# PaddleOCR's names of the parts of a loss, and ours where they differ; without those that are always 0.
LOSS_NAMES = {
    "loss_shrink_maps": "loss_shrink",
    "loss_threshold_maps": "loss_threshold",
    "loss_binary_maps": "loss_binary",
    "dice_loss": "loss_score",
    "smooth_l1_loss": "loss_geometry",
}
UNUSED_LOSSES = ("loss_cbn",)


class Golden:
    """One model's golden numbers, and ours, computed once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.info = json.loads((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        self.local = self.info["architecture"]["Head"]["name"] == "PFHeadLocal"
        self.loss = build_loss(self.info["loss"])
        if name in MODELS:
            config = compose("train", [f"model={MODELS[name]}"])
            self.model = build_model(config)
            if self.local:  # PaddleOCR's loss sees by the outputs what ours is told
                self.loss = build_part(config.loss)
        else:
            self.model = build(self.info["architecture"])
        suffixes = ("weight", *self.info.get("uniform_suffixes", ()))
        self.model.set_state_dict(golden_state(self.model, self.info["gain"], suffixes))
        spec = self.info["input"]
        generator = np.random.Generator(np.random.PCG64(spec["seed"]))
        self.image = paddle.to_tensor(generator.standard_normal(spec["shape"]).astype("float32"))
        self.names = [(key, list(value.shape)) for key, value in self.model.state_dict().items()]
        self.ours = self._run()

    def _run(self) -> dict[str, Any]:
        ours: dict[str, Any] = {}
        self.model.eval()
        with paddle.no_grad():
            features = self.model.backbone(self.image)
            for index, feature in enumerate(features):
                ours[f"stage.backbone.{index}"] = feature.numpy()
            joined = self.model.neck(features)
            ours["stage.neck"] = (joined.joined() if isinstance(joined, TwoLevels) else joined).numpy()
            ours |= {f"eval.{name}": value.numpy() for name, value in self.model(self.image).items()}
        self.model.train()
        outputs = self.model(self.image)
        ours |= {f"train.{name}": value.numpy() for name, value in outputs.items()}
        if self.local:  # PaddleOCR gives two of the maps a second time
            maps = ours["train.maps"]
            ours |= {"train.distance_maps": maps[:, :1], "train.cbn_maps": maps[:, 2:]}
        batch = {
            key[len("label.") :]: paddle.to_tensor(v) for key, v in self.arrays.items() if key.startswith("label.")
        }
        losses = self.loss(outputs, batch)
        ours["losses"] = {key: float(value) for key, value in losses.items()}
        losses["loss"].backward()
        parameters = dict(self.model.named_parameters())
        # paddle's reducer of several devices reads strided gradients in the wrong order.
        grads = {key: parameters[key].grad for key in self.info["grad_names"]}
        ours["strided"] = [key for key, grad in grads.items() if grad is not None and not grad.is_contiguous()]
        ours["grad_norms"] = np.array([np.nan if grad is None else norm(grad.numpy()) for grad in grads.values()])
        state = self.model.state_dict()
        for kind in ("mean", "variance"):
            ours[f"bn_{kind}_norms"] = np.array([norm(state[f"{bn}._{kind}"].numpy()) for bn in self.info["bn_names"]])
        return ours


def norm(array: np.ndarray) -> float:
    return float(np.sqrt((array.astype(np.float64) ** 2).sum()))


def build(architecture: dict[str, Any]) -> OCRModel:
    backbone = dict(architecture["Backbone"])
    kind = backbone.pop("name")
    if kind == "ResNet_vd":
        backbone.pop("disable_se", None)  # PaddleOCR accepts and ignores it
    return OCRModel(
        backbone=MobileNetV3(**backbone) if kind == "MobileNetV3" else ResNetVd(**backbone),
        neck=lambda in_channels: DBFPN(in_channels, architecture["Neck"]["out_channels"]),
        head=lambda in_channels: DBHead(in_channels, architecture["Head"]["k"]),
    )


def build_loss(described: dict[str, Any]) -> Any:
    options = {key: value for key, value in described.items() if key != "name"}
    if described["name"] == "PSELoss":
        return PSELoss(**options | {"reduction": "sum"})
    if described["name"] == "EASTLoss":
        return EASTLoss(**options, masked_geometry=False)
    return DBLoss(**options)


def sensitivity(about: dict[str, Any], kind: str = "max_abs_over_std") -> float:
    """Change of an array where the input is multiplied by 1 + 1e-6 noise: one number in the older files."""
    found = about["sensitivity"]
    return float(found[kind] if isinstance(found, dict) else found)


def golden_state(model: OCRModel, gain: float, suffixes: tuple[str, ...] = ("weight",)) -> dict[str, np.ndarray]:
    state = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        if name.endswith("_variance"):
            value = generator.uniform(0.5, 1.5, shape)
        elif name.endswith("_mean"):
            value = generator.normal(0, 0.1, shape)
        elif len(shape) <= 1 and name.endswith(suffixes):
            value = generator.uniform(0.5, 1.5, shape)
        elif len(shape) <= 1:
            value = generator.normal(0, 0.1, shape)
        else:
            fan_in = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
            value = gain * generator.normal(0, 1 / np.sqrt(fan_in), shape)
        state[name] = value.astype(np.float32)
    return state


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{'tuned' if case[1] == '1' else 'plain'}")
def case(request: pytest.FixtureRequest, golden: Path) -> Iterator[Golden]:
    name, tuning = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, tuning)
        if name in MODELS:
            yield Golden(request.getfixturevalue("oracle") / "models", name)
        else:
            yield Golden(golden / "models", name)


def test_parameters_have_the_names_shapes_and_order_of_paddleocr(case: Golden) -> None:
    assert case.names == [(name, shape) for name, shape, *_ in case.info["parameters"]]
    trainable = sum(int(p.size) for p in case.model.parameters() if not p.stop_gradient)
    assert trainable == case.info["trainable"]
    assert case.model.backbone.out_channels == case.info["out_channels"]["backbone"]
    assert case.model.neck.out_channels == case.info["out_channels"]["neck"]


def test_outputs_are_equal_in_evaluation_and_training(case: Golden) -> None:
    for key, expected in case.arrays.items():
        if not key.startswith(("eval", "train", "stage")):
            continue
        about = case.info["outputs"][key]
        limit = max(1e-3 if key.startswith("train") else 1e-4, 5 * sensitivity(about))
        assert list(case.ours[key].shape) == about["shape"]
        ours = case.ours[key].reshape(-1)[:: about["stride"]]
        difference = np.abs(ours - expected.reshape(-1)).max() / about["std"]
        assert difference <= limit, f"{key}: {difference:.1e} of its std"


def test_batch_statistics_are_equal_after_one_training_forward(case: Golden) -> None:
    for key in ("bn_mean_norms", "bn_variance_norms"):
        np.testing.assert_allclose(case.ours[key], case.arrays[key], rtol=1e-4)


def test_loss_and_gradients_are_equal(case: Golden) -> None:
    assert not case.ours["strided"]
    compared = 0
    for key, expected in case.arrays.items():
        kind, _, name = key.partition(".")
        if kind != "loss" or name in UNUSED_LOSSES:
            continue
        # PSE's losses have a value for each image; its training adds them up, and the IoU is no loss.
        value = float(expected.mean() if name.startswith("iou") else expected.sum())
        if case.local and name == "loss_binary_maps":  # ours is the sum of both
            value += float(case.arrays["loss.loss_cbn"].sum())
        limit = max(1e-4, 5 * sensitivity(case.info["outputs"][key]))
        assert case.ours["losses"][LOSS_NAMES.get(name, name)] == pytest.approx(value, rel=limit), name
        compared += 1
    assert compared >= 3
    expected = case.arrays["grad_norms"]
    np.testing.assert_array_equal(np.isnan(case.ours["grad_norms"]), np.isnan(expected))
    above = expected > 1e-4 * np.nanmax(expected)
    relative = np.abs(case.ours["grad_norms"] - expected)[above] / expected[above]
    about = case.info["outputs"]["grad_norms"]["sensitivity"]
    # The files that travel with the project have shorter names for the same two numbers.
    largest = about.get("max", about.get("max_rel_of_norms_above_1e-4_of_the_largest"))
    median = about.get("median", about.get("median_rel_above"))
    assert relative.max() <= max(1e-2, 5 * largest)
    assert np.median(relative) <= max(1e-3, 5 * median)
