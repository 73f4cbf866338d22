"""The shipped recognisers equal PaddleOCR 2.10's: names, shapes, stages, outputs, batch statistics, loss and gradients.

Each is composed from `conf/`. The golden files hold no weights: each follows from its name (`golden_state`), as does
the input from a seed. Some files travel with the project, the others need OCREXP_ORACLE.
"""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from ocrexp.assemble import assemble, build_model
from ocrexp.charset.charset import Charset
from ocrexp.charset.sources import from_characters, from_dictionary
from ocrexp.config.compose import compose
from ocrexp.losses.tokens import ClsLoss
from ocrexp.models.backbones.rec_mobilenet_v3 import RecMobileNetV3
from ocrexp.models.heads.cls import ClsHead
from ocrexp.models.layers import DropPath
from ocrexp.models.model import OCRModel

HERE = Path(__file__).parents[1] / "golden" / "rec"
EN36 = "0123456789abcdefghijklmnopqrstuvwxyz"
ASCII = "".join(map(chr, range(33, 127)))
FREE = ["model.head.teacher_forcing=false", "loss.reduction=sum", "loss.padding=true"]


def en_dict() -> Charset:
    return from_dictionary(str(HERE / "en_dict.txt"), use_space_char=True)


# Golden file: overrides, charset, kind of its label.
CASES: dict[str, tuple[list[str], Callable[[], Charset], str]] = {
    "rec_mv3_none_bilstm_ctc": (["model=crnn_mbv3"], partial(from_characters, EN36), "ctc"),
    "rec_mv3_none_none_ctc": (["model=rosetta_mbv3"], partial(from_characters, EN36), "ctc"),
    "rec_r34_vd_none_bilstm_ctc": (["model=crnn_r34"], partial(from_characters, EN36), "ctc"),
    "rec_mv3_tps_bilstm_ctc": (["model=starnet_mbv3"], partial(from_characters, EN36), "ctc"),
    "rec_mv3_tps_bilstm_ctc_fiducial": (["model=starnet_mbv3"], partial(from_characters, EN36), "ctc"),
    "rec_mv3_tps_bilstm_att": (["model=rare_mbv3", *FREE], partial(from_characters, EN36), "attention"),
    "rec_mv3_tps_bilstm_att_fiducial": (["model=rare_mbv3", *FREE], partial(from_characters, EN36), "attention"),
    "rec_svtrnet": (["model=svtr_tiny"], partial(from_characters, EN36), "ctc"),
    "en_PP-OCRv3_rec_ctc": (["model=svtr_lcnet_ctc"], en_dict, "ctc"),
    "en_PP-OCRv3_rec": (["model=svtr_lcnet"], en_dict, "ctc"),
    "en_PP-OCRv4_rec": (["model=ppocrv4_rec"], en_dict, "ctc"),
    "en_PP-OCRv4_rec_scale": (["model=ppocrv4_rec"], en_dict, "ctc"),
    "rec_mtb_nrtr": (["model=nrtr"], partial(from_characters, ASCII), "nrtr"),
    "rec_vit_parseq": (["model=parseq"], partial(from_characters, ASCII), "parseq"),
    "rec_vitstr_none_ce": (["model=vitstr_tiny"], partial(from_characters, ASCII), "vitstr"),
    "rec_r31_sar": (["model=sar", "targets.max_text_length=30"], partial(from_characters, ASCII[:90]), "sar"),
    "cls_mv3": ([], partial(from_characters, EN36), "cls"),
}
# Each code path of the matrix library adds in an order of its own: `MKL_DEBUG_CPU_TYPE=5`, which training sets on AMD,
# and those that it takes by itself on other CPUs than the one that made these numbers (Xeons with AMX: 1.9 times the
# limit). These files amplify rounding: their thin-plate spline sums terms of up to 7 to coordinates below 1; float32
# sums of the very same numbers in random orders differ from exact ones by up to 6e-3 of the rectified image's std.
# Measured on AMD's path: up to 2.8 times the limit; each matrix product alone is as near to float64 as on the usual
# path.
AMPLIFYING = ("rec_mv3_tps_bilstm_ctc_fiducial", "rec_mv3_tps_bilstm_att_fiducial", "en_PP-OCRv4_rec_scale")
ON_AMD = {"MKL_DEBUG_CPU_TYPE": "5"}
ROOM = 4
THEIR_NAMES = {"loss_ctc": "CTCLoss", "loss_sar": "SARLoss", "loss_nrtr": "NRTRLoss"}


class Golden:
    """One model's golden numbers, and ours, computed once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.room = ROOM if name in AMPLIFYING else 1  # factor of each limit below
        self.info = json.loads((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        overrides, charset, self.kind = CASES[name]
        if name == "cls_mv3":
            self.model = OCRModel(RecMobileNetV3("small", 0.35), head=ClsHead)
            self.loss = ClsLoss()
        else:
            config = compose("train", overrides)
            self.model, self.loss = build_model(config, charset()), assemble(config).loss
        self.model.set_state_dict(golden_state(self.model, self.info, self.arrays))
        spec = self.info["input"]
        generator = np.random.Generator(np.random.PCG64(spec["seed"]))
        self.image = paddle.to_tensor(generator.standard_normal(spec["shape"]).astype("float32"))
        names = {"label": f"label_{self.kind}", "label_gtc": "label_nrtr"}
        self.batch = {
            names.get(key[6:], key[6:]): paddle.to_tensor(value)
            for key, value in self.arrays.items()
            if key.startswith("label.")
        }
        self.names = [[key, list(value.shape)] for key, value in self.model.state_dict().items()]
        self.ours = self._evaluate() | self._train()

    def _evaluate(self) -> dict[str, np.ndarray]:
        ours: dict[str, np.ndarray] = {}
        self.model.eval()
        with paddle.no_grad():
            x = self.image
            for part in ("transform", "backbone", "neck"):
                layer = getattr(self.model, part)
                x = x if layer is None else layer(x)
                ours[f"stage.{part}"] = x.numpy()
            outputs = {key: value.numpy() for key, value in self.model(self.image).items()}
            if self.kind == "nrtr":
                # PaddleOCR stops one character before max_text_length.
                ours["eval.0"], ours["eval.1"] = (outputs[key][:, :25] for key in ("nrtr_ids", "nrtr_scores"))
            else:
                (ours["eval"],) = outputs.values()
                ours["eval.predict"] = ours["eval"]
            if "eval_with_valid_ratio" in self.arrays:
                ours["eval_with_valid_ratio"] = self.model(self.image, self.batch)["sar"].numpy()
        return ours

    def _train(self) -> dict[str, np.ndarray]:
        ours: dict[str, np.ndarray] = {}
        self.model.train()
        without_dropout(self.model)
        if self.kind == "parseq":
            orders = self.arrays["label.tgt_perms"]
            self.model.head.permutations = lambda length: orders if length == orders.shape[1] - 2 else None
        outputs = self.model(self.image, self.batch)
        for key, value in outputs.items():
            ours[f"train.{'gtc' if key == 'nrtr' else key}"] = value.numpy()
        if len(outputs) == 1:
            ours["train"] = next(iter(outputs.values())).numpy()
        if self.kind == "parseq":
            ours["train.predict"] = ours["train"][0]
            for order, logits in enumerate(ours["train"]):
                ours[f"train.logits_list.{order}"] = logits.reshape(-1, logits.shape[-1])
        losses = self.loss(outputs, self.batch)
        ours |= {f"loss.{THEIR_NAMES.get(key, key)}": value.numpy() for key, value in losses.items()}
        losses["loss"].backward()
        gradients = {key: value.grad for key, value in self.model.named_parameters()}
        ours["grad_norms"] = np.array(
            [np.nan if gradients[key] is None else norm(gradients[key].numpy()) for key in self.info["grad_names"]]
        )
        state = self.model.state_dict()
        for kind in ("mean", "variance"):
            names = self.info.get("bn_names", [])
            ours[f"bn_{kind}_norms"] = np.array([norm(state[f"{bn}._{kind}"].numpy()) for bn in names])
        return ours


def norm(array: np.ndarray) -> float:
    return float(np.sqrt((array.astype(np.float64) ** 2).sum()))


def without_dropout(model: nn.Layer) -> None:
    for layer in model.sublayers():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        elif isinstance(layer, nn.LSTM | nn.MultiHeadAttention):
            layer.dropout = 0.0
        elif isinstance(layer, DropPath):
            layer.drop_prob = 0.0


def golden_state(model: OCRModel, info: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    shared = dict(info.get("shared") or ())  # the value follows from the last name of a tensor
    suffixes = ("weight", *info.get("uniform_suffixes", ()))
    state = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        key = shared.get(name, name)
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        if f"as_built.{name}" in arrays:
            value = arrays[f"as_built.{name}"]
        elif key.endswith("_variance"):
            value = generator.uniform(0.5, 1.5, shape)
        elif key.endswith("_mean"):
            value = generator.normal(0, 0.1, shape)
        elif len(shape) <= 1 and key.endswith(suffixes):
            value = generator.uniform(0.5, 1.5, shape)
        elif len(shape) <= 1:
            value = generator.normal(0, 0.1, shape)
        else:
            fan_in = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
            gain = info.get("gain_overrides", {}).get(name, info["gain"])
            value = gain * generator.normal(0, 1 / np.sqrt(fan_in), shape)
        state[name] = value.astype(np.float32)
    return state


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Golden:
    name = request.param
    if (HERE / f"{name}.json").exists():
        return Golden(HERE, name)
    return Golden(request.getfixturevalue("oracle") / "models", name)


def test_parameters_have_the_names_shapes_and_order_of_paddleocr(case: Golden) -> None:
    assert case.names == [[name, shape] for name, shape, _ in case.info["parameters"]]
    trainable = sum(int(p.size) for p in case.model.parameters() if not p.stop_gradient)
    assert trainable == case.info["trainable"]


def test_stages_and_outputs_are_equal_in_evaluation_and_training(case: Golden) -> None:
    for key, expected in case.arrays.items():
        if not key.startswith(("eval", "train", "stage")):
            continue
        about = case.info["outputs"][key]
        assert list(case.ours[key].shape) == about["shape"], key
        ours = case.ours[key].reshape(-1)[:: about["stride"]]
        if expected.dtype == np.int64:
            np.testing.assert_array_equal(ours, expected.reshape(-1))
            continue
        limit = max(1e-3 if key.startswith("train") else 1e-4, 5 * about["sensitivity"]["max_abs_over_std"]) * case.room
        difference = np.abs(ours.astype(np.float64) - expected.reshape(-1)).max() / about["std"]
        assert difference <= limit, f"{key}: {difference:.1e} of its std"


def test_batch_statistics_are_equal_after_one_training_forward(case: Golden) -> None:
    # In the plain TPS files the grid reaches far outside the image and is badly conditioned.
    limit = 1e-4 if case.model.transform is None or "keep_as_built" in case.info else 5e-4
    limit *= case.room
    for key in ("bn_mean_norms", "bn_variance_norms"):
        if key in case.arrays:
            np.testing.assert_allclose(case.ours[key], case.arrays[key], rtol=limit)


def test_loss_and_gradients_are_equal(case: Golden) -> None:
    outputs = case.info["outputs"]
    for key in (key for key in case.arrays if key.startswith("loss.")):
        limit = max(1e-4, 5 * outputs[key]["sensitivity"]["max_abs_over_std"]) * case.room
        assert float(case.ours[key]) == pytest.approx(float(case.arrays[key]), rel=limit), key
    expected, ours = case.arrays["grad_norms"], case.ours["grad_norms"]
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(expected))
    above = expected > 1e-4 * np.nanmax(expected)
    relative = np.abs(ours - expected)[above] / expected[above]
    sensitivity = outputs["grad_norms"]["sensitivity"]
    assert relative.max() <= max(1e-2, 5 * sensitivity["max_rel_of_norms_above_1e-4_of_the_largest"]) * case.room
    assert np.median(relative) <= max(1e-3, 5 * sensitivity["median_rel_above"]) * case.room


def test_the_code_path_that_training_takes_on_amd_differs_by_rounding_only() -> None:
    """In a process of its own: the matrix library reads the variable when it is loaded."""
    test = test_stages_and_outputs_are_equal_in_evaluation_and_training
    later = test_loss_and_gradients_are_equal
    names = [name for name in AMPLIFYING if (HERE / f"{name}.json").exists()]
    cases = [f"{__file__}::{which.__name__}[{name}]" for name in names for which in (test, later)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *cases]
    done = subprocess.run(command, env=os.environ | ON_AMD, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(cases)} passed" in done.stdout
