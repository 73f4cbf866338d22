"""DBLoss equals PaddleOCR 2.10's recorded values and gradients, and is right where those are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from golden_maps import SHAPE, stacked_targets

from ocrexp.errors import ConfigError
from ocrexp.losses.db import DBLoss

PARTS = {
    "loss": "loss",
    "loss_shrink_maps": "loss_shrink",
    "loss_threshold_maps": "loss_threshold",
    "loss_binary_maps": "loss_binary",
}


@pytest.fixture(scope="module")
def recorded(golden: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    info = json.loads((golden / "losses" / "db_loss.json").read_text())
    with np.load(golden / "losses" / "db_loss.npz") as arrays:
        return info, dict(arrays)


def targets(batch: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if batch == "synthetic2":
        return stacked_targets(arrays, ("target.concave", "target.curved"))
    ones, zeros = np.ones(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    if batch == "no_positive":
        shrink_mask = ones.copy()
        shrink_mask[20:51, 20:91] = 0
        maps = (zeros, shrink_mask, np.full(SHAPE, 0.3, np.float32), zeros)
    else:
        shrink_map = zeros.copy()
        shrink_map[:120] = 1
        ramp = np.broadcast_to((0.3 + 0.4 * (np.arange(160) / 159)).astype(np.float32), SHAPE)
        maps = (shrink_map, ones, ramp, shrink_map)
    return {
        name: m[None]
        for name, m in zip(("shrink_map", "shrink_mask", "threshold_map", "threshold_mask"), maps, strict=True)
    }


def prediction(batch: str, kind: str, about: dict[str, Any], maps: dict[str, np.ndarray]) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(about["seed"]))
    u = generator.random(about["shape"], dtype=np.float32)
    if kind == "uniform":
        values = np.float32(0.01) + np.float32(0.98) * u
    else:
        stacked = np.stack([maps["shrink_map"], maps["threshold_map"], maps["shrink_map"]], axis=1).astype(np.float32)
        values = np.float32(0.7) * stacked + np.float32(0.25) * u + np.float32(0.02)
    assert values.sum(dtype=np.float64) == pytest.approx(about["sum"], rel=1e-7), (batch, kind)
    return values


def run(loss: DBLoss, values: np.ndarray, maps: dict[str, np.ndarray]) -> tuple[dict[str, float], np.ndarray]:
    tensor = paddle.to_tensor(values, stop_gradient=False)
    losses = loss({"maps": tensor}, {name: paddle.to_tensor(value) for name, value in maps.items()})
    losses["loss"].backward()
    return {name: float(value) for name, value in losses.items()}, tensor.grad.numpy()


def configured(config: dict[str, Any]) -> DBLoss:
    return DBLoss(**{key: value for key, value in config.items() if key != "name"})


def well_defined(case: str) -> bool:
    """Where PaddleOCR's value is what its configuration says; the others have tests of their own below."""
    if "balance_false.BCELoss" in case:
        return False
    return not (case.startswith("no_positive") and "balance_true" in case)


def test_values_and_gradients_equal_the_recorded_ones(
    recorded: tuple[dict[str, Any], dict[str, np.ndarray]],
) -> None:
    info, arrays = recorded
    cases = [case for case in info["cases"] if well_defined(case)]
    assert len(cases) == 32
    for case in cases:
        compare(case, info, arrays, targets(case.partition(".")[0], arrays))


def compare(case: str, info: dict[str, Any], arrays: dict[str, np.ndarray], maps: dict[str, np.ndarray]) -> None:
    """Our losses and gradient of a recorded case against PaddleOCR's."""
    batch, kind, config = case.split(".", 2)
    values = prediction(batch, kind, info["predictions"][f"{batch}.{kind}"], maps)
    losses, gradient = run(configured(info["configs"][config]), values, maps)
    for theirs, ours in PARTS.items():
        expected = info["cases"][case]["losses"][theirs]["value"]
        assert losses[ours] == pytest.approx(expected, rel=1e-5, abs=1e-7), (case, ours)
    # Balanced losses that are one number were recorded with about 2e-4 of summation error.
    rel = 5e-4 if "balance_true" in config and "BCE" not in config else 1e-5
    assert np.linalg.norm(gradient.astype(np.float64)) == pytest.approx(
        info["cases"][case]["grads"]["maps"]["l2"], rel=rel
    ), case
    sampled = gradient.reshape(-1)[arrays[f"{case}.grad.maps.index"]]
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(sampled, arrays[f"{case}.grad.maps.value"], atol=rel * scale, err_msg=case)


def no_text() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    maps = targets("no_positive", {})
    values = np.random.default_rng(0).uniform(0.01, 0.99, (1, 3, *SHAPE)).astype(np.float32)
    return values, maps


def test_balanced_bce_learns_from_a_batch_without_text_where_paddleocr_gives_zero() -> None:
    values, maps = no_text()
    losses, gradient = run(DBLoss(main_loss_type="BCELoss"), values, maps)
    mask = maps["shrink_mask"].astype(bool)
    expected = 5 * -np.log1p(-values[:, 0].astype(np.float64))[mask].mean()
    assert losses["loss_shrink"] == pytest.approx(expected, rel=1e-5)
    assert (gradient[:, 0][mask] > 0).all()


def test_dice_of_a_batch_without_text_is_one_with_and_without_balance() -> None:
    values, maps = no_text()
    for balance in (True, False):
        losses, gradient = run(DBLoss(balance_loss=balance), values, maps)
        assert losses["loss_shrink"] == pytest.approx(5)
        assert not gradient[:, 0].any()


def test_bce_without_balance_is_the_mean_over_the_mask_where_paddleocr_gives_a_map() -> None:
    values, maps = no_text()
    maps["shrink_map"] = np.zeros((1, *SHAPE), np.uint8)
    maps["shrink_map"][:, 100:110, 100:120] = 1
    losses, gradient = run(DBLoss(main_loss_type="BCELoss", balance_loss=False), values, maps)
    p, t = values[:, 0].astype(np.float64), maps["shrink_map"]
    mask = maps["shrink_mask"].astype(bool)
    expected = 5 * -np.where(t == 1, np.log(p), np.log1p(-p))[mask].mean()
    assert losses["loss_shrink"] == pytest.approx(expected, rel=1e-5)
    assert not gradient[:, 0][~mask].any()


def test_dice_focal_is_dice_plus_focal_loss() -> None:
    values, maps = no_text()
    maps["shrink_map"] = np.zeros((1, *SHAPE), np.uint8)
    maps["shrink_map"][:, 100:110, 100:120] = 1
    both, _ = run(DBLoss(main_loss_type="DiceFocalLoss", balance_loss=False), values, maps)
    dice, _ = run(DBLoss(main_loss_type="DiceLoss"), values, maps)
    p, t = values[:, 0].astype(np.float64), maps["shrink_map"]
    mask = maps["shrink_mask"].astype(bool)
    focal = np.where(t == 1, -0.25 * (1 - p) ** 2 * np.log(p), -0.75 * p**2 * np.log1p(-p))[mask].mean()
    assert both["loss_shrink"] == pytest.approx(dice["loss_shrink"] + 5 * focal, rel=1e-5)


def test_the_binary_map_and_auxiliary_maps_as_paddleocr_3_7() -> None:
    """Dice + focal loss of both maps, binarizations of exactly 0 and 1 kept 1e-6 away, levels weighted."""
    values, maps = no_text()
    maps["shrink_map"] = np.zeros((1, *SHAPE), np.uint8)
    maps["shrink_map"][:, 100:110, 100:120] = 1
    values[:, 2, :40], values[:, 2, 40:80] = 0.0, 1.0
    options = {"main_loss_type": "DiceFocalLoss", "binary_loss_type": "DiceFocalLoss", "balance_loss": False}
    options |= {"focal_gamma": 2.5, "dice_weight": 0.5, "focal_weight": 2.0}
    loss = DBLoss(**options, aux_weights={"p4": 0.2, "p2": 0.4, "p3": 0.0})
    tensor = paddle.to_tensor(values, stop_gradient=False)
    batch = {name: paddle.to_tensor(value) for name, value in maps.items()}
    outputs = {"maps": tensor, "aux_maps_p4": tensor, "aux_maps_p2": tensor * 0.5}
    losses = {name: float(value) for name, value in loss(outputs, batch).items()}
    mask = maps["shrink_mask"].astype(bool)
    t = maps["shrink_map"].astype(np.float64)

    def dice_focal(map_: np.ndarray) -> float:
        dice = 1 - 2 * (map_ * t)[mask].sum() / (map_[mask].sum() + t[mask].sum() + 1e-6)
        p = map_.astype(np.float32).clip(1e-6, 1 - 1e-6).astype(np.float64)
        focal = np.where(t == 1, -0.25 * (1 - p) ** 2.5 * np.log(p), -0.75 * p**2.5 * np.log1p(-p))
        return 0.5 * dice + 2.0 * focal[mask].mean()

    exact = values.astype(np.float64)
    assert losses["loss_shrink"] == pytest.approx(5 * dice_focal(exact[:, 0]), rel=1e-4)
    assert losses["loss_binary"] == pytest.approx(dice_focal(exact[:, 2]), rel=1e-4)
    main = losses["loss_shrink"] + losses["loss_threshold"] + losses["loss_binary"]
    assert losses["loss_aux_p4"] == pytest.approx(0.2 * main, rel=1e-5)
    assert "loss_aux_p3" not in losses
    assert losses["loss"] == pytest.approx(main + losses["loss_aux_p4"] + losses["loss_aux_p2"], rel=1e-5)


def test_wrong_values_of_the_levels_are_refused() -> None:
    values, maps = no_text()
    with pytest.raises(ConfigError, match=r"aux_weights\.p3=0\.3.*aux=true"):
        run(DBLoss(aux_weights={"p3": 0.3}), values, maps)
    with pytest.raises(ValueError, match=r"aux_weights\.p5: .*p4, p3, p2"):
        DBLoss(aux_weights={"p5": 0.3})
    with pytest.raises(ValueError, match=r"aux_weights\.p4: expected 0 or more, got -1"):
        DBLoss(aux_weights={"p4": -1})
    with pytest.raises(ValueError, match=r"binary_loss_type: .*DiceFocalLoss, got BCELoss"):
        DBLoss(binary_loss_type="BCELoss")


def test_parts_add_up_and_ignored_pixels_get_no_gradient() -> None:
    values, maps = no_text()
    maps["shrink_map"][:, 100:110, 100:120] = 1
    maps["threshold_mask"] = maps["shrink_map"]
    for kind in ("DiceLoss", "BCELoss", "MaskL1Loss", "DiceFocalLoss"):
        losses, gradient = run(DBLoss(main_loss_type=kind), values, maps)
        assert losses["loss"] == pytest.approx(sum(v for name, v in losses.items() if name != "loss"), rel=1e-6)
        assert not gradient[:, 0][maps["shrink_mask"] == 0].any(), kind
        assert not gradient[:, 1][maps["threshold_mask"] == 0].any(), kind


def test_half_precision_maps_are_computed_in_float32() -> None:
    values, maps = no_text()
    half = paddle.to_tensor(values).astype("bfloat16")
    batch = {name: paddle.to_tensor(value) for name, value in maps.items()}
    with paddle.amp.auto_cast(dtype="bfloat16", level="O1"):
        losses = DBLoss(main_loss_type="BCELoss")({"maps": half}, batch)
    exact = DBLoss(main_loss_type="BCELoss")({"maps": half.astype("float32")}, batch)
    assert losses["loss"].dtype == paddle.float32
    assert float(losses["loss"]) == float(exact["loss"])


def test_an_unknown_main_loss_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r"main_loss_type: expected one of DiceLoss, BCELoss.*got Dice"):
        DBLoss(main_loss_type="Dice")
