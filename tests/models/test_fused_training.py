"""Every shipped network of blocks that deployed files have fused takes a training step in each way to train it."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from omegaconf import DictConfig, OmegaConf

from ocrexp.assemble import assemble
from ocrexp.bench.step import _detection_batch
from ocrexp.config.compose import compose
from ocrexp.config.paths import shipped_conf
from ocrexp.models.backbones.lcnet_v3 import RepConv

SIZES = {"det": (64, 64), "rec": (48, 64)}


def composed(option: str, *more: str) -> DictConfig:
    characters = ["charset=characters", "charset.characters=abc", "targets.ctc_steps=null"]
    rec = [] if option.endswith(("_det", "_det_server")) else characters
    return compose("train", [f"model={option}", *rec, "trainer.device=cpu", *more])


def networks() -> list[str]:
    """Options of the group `model` that have blocks to fuse, each network once."""
    found: dict[str, str] = {}
    folder = Path(shipped_conf(), "model")
    for file in sorted([*folder.glob("pp*.yaml"), *folder.glob("repsvtr*.yaml")]):
        node = OmegaConf.to_container(composed(file.stem).model)
        parts = [node.get(name) for name in ("backbone", "neck")]
        if any(part is not None and "fused" in part for part in parts):
            found.setdefault(str({key: value for key, value in node.items() if key != "name"}), file.stem)
    return list(found.values())


NETWORKS = networks()


def test_all_networks_are_found() -> None:
    sizes = ("tiny", "small", "medium")
    v6 = {f"ppocrv6_{size}_{kind}" for size in sizes for kind in ("det", "rec", "rec_ctc")}
    repsvtr = {"repsvtr_ch", "repsvtr_ch_ctc", "repsvtr_det"}
    assert {"ppocrv4_det", "ppocrv4_rec", "ppocrv4_rec_ctc", *v6, *repsvtr} == set(NETWORKS)


@pytest.mark.parametrize(("mode", "tuning"), [("fused", "1"), ("calibrated", "0")])
@pytest.mark.parametrize("option", NETWORKS)
def test_a_training_step_gives_all_parameters_finite_gradients(
    option: str, mode: str, tuning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is the second mode where nothing is set. Both sets of CPU kernels have their turn."""
    monkeypatch.setenv("OCREXP_CPU_TUNING", tuning)
    head = ["model.head.fused=true"] if mode == "fused" and option.endswith("_det") else []
    parts = assemble(composed(option, f"model.pretrained_mode={mode}", *head))
    model = parts.model
    batch = batch_of(parts, SIZES[parts.config.task])
    model.train()
    losses = parts.loss(model(batch["image"], batch), batch)
    losses["loss"].backward()
    assert np.isfinite(float(losses["loss"]))
    unused = {id(value) for layer in model.sublayers() if silent(layer) for value in layer.act.parameters()}
    wrong = [
        name
        for name, value in model.named_parameters()
        if not value.stop_gradient
        and id(value) not in unused
        and (value.grad is None or not np.isfinite(value.grad.numpy()).all())
    ]
    assert wrong == []


def silent(layer: paddle.nn.Layer) -> bool:
    """PaddleOCR has parameters behind convolutions of stride 2 that it never uses."""
    return isinstance(layer, RepConv) and not layer._activated


def batch_of(parts, size: tuple[int, int]) -> dict[str, paddle.Tensor]:
    if parts.config.task == "det":
        arrays = _detection_batch(2, *size)
    else:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
        samples = [
            parts.targets({"texts": [text], "image": image}, rng)
            for text, image in zip(("ab", "c"), images, strict=True)
        ]
        arrays = {key: np.stack([sample[key] for sample in samples]) for key in samples[0] if key != "texts"}
    return {name: paddle.to_tensor(value) for name, value in arrays.items()}
