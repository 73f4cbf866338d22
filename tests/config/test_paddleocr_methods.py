"""Conversion of training files of the detectors beside DB: networks, and what their values become."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from paddle import nn

from ocrexp.config.compose import compose
from ocrexp.config.paddleocr import Conversion, convert
from ocrexp.errors import ConfigError
from ocrexp.models.pretrained import load_pretrained
from tests.config import paddleocr_methods as files
from tests.config.paddleocr_files import detector, put, write
from tests.config.test_paddleocr_mobile import converted

FILES = {
    "dbpp_r50": files.dbpp(),
    "pse_mbv3": files.pse(mobile=True),
    "pse_r50": files.pse(mobile=False),
    "east_mbv3": files.east(mobile=True),
    "east_r50": files.east(mobile=False),
    "sast_r50": files.sast(),
    "ct_r18": files.ct(),
    "fce_r50": files.fce(),
    "drrg_r50": files.drrg(),
}


@pytest.fixture(scope="module")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Conversion, Any]]:
    return {name: converted(tmp_path_factory.mktemp(name), tree) for name, tree in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_our_model(conversions: dict[str, tuple[Conversion, Any]], name: str) -> None:
    """With parts, loss, targets, thresholds and normalization of the shipped model, and without a lost key."""
    conversion, config = conversions[name]
    assert (conversion.model, conversion.complete) == (name, True), conversion.lines()
    shipped = compose("train", [f"model={name}"])
    for part in ("backbone", "neck", "head"):
        assert _values(config.model[part]) == _values(shipped.model[part]), part
    for group in ("loss", "targets", "postprocess"):
        assert config[group]["_target_"] == shipped[group]["_target_"]
    different = {"model.normalize"} if name == "ct_r18" else set()
    assert different == ({"model.normalize"} if config.model.normalize != shipped.model.normalize else set())


def _values(node: Any) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(node, resolve=True)
    return {key: value for key, value in values.items() if value != [False] * 4}


def test_what_training_and_evaluation_of_pse_become(conversions: dict[str, tuple[Conversion, Any]]) -> None:
    conversion, config = conversions["pse_r50"]
    warp, targets = config.augment.warp, config.targets
    assert (warp.crop, list(warp.size), list(warp.scale), warp.flip) == ("cut", [640, 640], [0.5, 3], 0.5)
    assert (targets.kernel_num, targets.text_ratio, config.loss.reduction) == (7, 0.9, "sum")
    assert (config.postprocess.thresh, config.postprocess.scale) == (0, 1)
    assert config.augment.color_jitter.saturation == 0.5
    assert any("RandomCropImgMask" in line and line.startswith("changed") for line in conversion.lines())
    mobile, config = conversions["pse_mbv3"]  # `( 0.5, 3 )` in braces is a text and a key to YAML
    assert list(config.augment.warp.scale) == [1.5, 4.0]
    assert any("scale_limit" in line and line.startswith("changed") for line in mobile.lines())


def test_one_transform_of_east_is_targets_and_augmentation(conversions: dict[str, tuple[Conversion, Any]]) -> None:
    conversion, config = conversions["east_r50"]
    warp = config.augment.warp
    assert (warp.crop, list(warp.size), list(warp.rotate), warp.flip) == ("fit", [512, 512], [0, 0], 0.0)
    assert (config.targets.min_text_size, config.loss.masked_geometry) == (10, False)
    assert (config.preprocess.resize.limit_side_len, config.preprocess.resize.limit_type) == (2400, "max")
    assert any("background_ratio" in line for line in conversion.lines())


def test_ct_reads_rgb_images_and_resizes_their_shorter_side(
    conversions: dict[str, tuple[Conversion, Any]], tmp_path: Path
) -> None:
    conversion, config = conversions["ct_r18"]
    resize, warp = config.preprocess.resize, config.augment.warp
    assert (resize.limit_type, resize.limit_side_len) == ("resize_short", 640)
    assert list(config.model.normalize.mean) == [0.406, 0.456, 0.485]
    assert (warp.crop, warp.reference_side, warp.flip, list(warp.rotate)) == ("cut", 853, 0.5, [-10, 10])
    assert (config.optim.schedule.power, config.model.pretrained_rgb) == (0.9, False)
    assert any("CTMetric" in line for line in conversion.lines())
    _, started = converted(tmp_path, put(files.ct(), "Global.checkpoints", "ct/latest"))
    assert (started.model.pretrained_rgb, started.trainer.start_from) == (True, None)
    mixed = put(files.ct(), "Eval.dataset.transforms.0", {"DecodeImage": {"img_mode": "BGR"}})
    assert not converted(tmp_path, mixed)[0].complete


def test_the_steps_of_fce_become_one_warp(conversions: dict[str, tuple[Conversion, Any]]) -> None:
    conversion, config = conversions["fce_r50"]
    warp, post = config.augment.warp, config.postprocess
    assert (list(warp.size), list(warp.rotate), warp.min_crop_side_ratio) == ([800, 800], [-30, 30], 0.3)
    assert (list(warp.scale), warp.flip, post.box_thresh, post.box_type) == ([0.75, 2.5], 0.5, 0.3, "poly")
    changed = [line for line in conversion.lines() if line.startswith("changed")]
    for step in ("RandomCropFlip", "RandomRotatePolyInstances", "SquareResizePad", "DetFCEMetric"):
        assert any(step in line for line in changed), step


def test_keys_of_sast_and_drrg(conversions: dict[str, tuple[Conversion, Any]]) -> None:
    conversion, config = conversions["sast_r50"]
    post = config.postprocess
    assert (post.sample_pts_num, post.expand_scale, post.shrink_ratio_of_width) == (6, 1.2, 0.2)
    assert (config.targets.min_text_size, list(config.augment.warp.size)) == (4, [512, 512])
    assert config.preprocess.resize.resize_long == 768
    for key in ("score_thresh", "max_text_size", "min_crop_size", "SASTProcessTrain"):
        assert any(key in line for line in conversion.lines()), key
    _, config = conversions["drrg_r50"]
    post = config.postprocess
    assert (post.link_thr, post.text_region_thr, post.center_region_thr, post.nms_thr) == (0.8, 0.3, 0.4, 0.3)
    assert (config.targets.num_max_comps, list(config.augment.warp.size)) == (600, [800, 800])


def test_a_resnet_is_plain_unless_its_weights_are_of_the_other_kind(tmp_path: Path) -> None:
    tree = put(detector(), "Architecture.Backbone", {"name": "ResNet", "layers": 50})
    conversion, config = converted(tmp_path, tree)
    assert config.model.backbone["_target_"].endswith("resnet.ResNet")
    assert not any(config.model.backbone.dcn_stage)
    assert any("Backbone.name" in line and "plain ResNet" in line for line in conversion.lines())
    _, early = converted(tmp_path, put(tree, "Global.pretrained_model", "ResNet50_vd_ssld_pretrained"))
    assert early.model.backbone["_target_"].endswith("resnet_vd.ResNetVd")


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("pse_r50", "Loss.name", "DBLoss", "Loss.name: DBLoss: expected PSELoss"),
        ("pse_r50", "Loss.reduction", "some", "Loss.reduction: expected none, sum or mean, got some"),
        ("east_r50", "Metric.name", "CTMetric", "Metric.name: CTMetric: expected DetMetric"),
        ("pse_r50", "Train.dataset.transforms.4.MakePseGt.kernel_num", 1, "kernel_num: expected a whole number, 2"),
    ],
)
def test_what_does_not_fit_a_method_is_named(tmp_path: Path, name: str, key: str, value: Any, said: str) -> None:
    tree = files.pse(mobile=False) if name == "pse_r50" else files.east(mobile=False)
    with pytest.raises(ConfigError) as caught:
        convert(write(tmp_path, put(tree, key, value)), "turned")
    assert said in str(caught.value)


def test_channels_of_weights_for_rgb_images_are_reversed() -> None:
    class Tiny(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2D(3, 2, 1), nn.Conv2D(2, 2, 1))

    model = Tiny()
    arrays = {
        name: np.random.default_rng(0).random(value.shape, np.float32) for name, value in model.state_dict().items()
    }
    load_pretrained(model, "tiny", arrays=dict(arrays), rgb=True)
    state = model.state_dict()
    np.testing.assert_array_equal(state["backbone.0.weight"].numpy(), arrays["backbone.0.weight"][:, ::-1])
    np.testing.assert_array_equal(state["backbone.1.weight"].numpy(), arrays["backbone.1.weight"])
    del arrays["backbone.0.weight"]
    with pytest.raises(ValueError, match="pretrained_rgb=true"):
        load_pretrained(model, "tiny", 0, arrays=arrays, rgb=True)
