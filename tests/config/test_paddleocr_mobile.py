"""convert-config of the mobile and server files of PP-OCRv3 to v5, their languages, and those of PP-OCRv6."""

from pathlib import Path
from typing import Any

import paddle
import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import build_model
from ocrexp.charset.sources import from_characters
from ocrexp.config.compose import compose
from ocrexp.config.paddleocr import Conversion, convert
from ocrexp.errors import ConfigError

from .paddleocr_files import (
    detector_v6,
    mobile_detector,
    mobile_recognizer,
    put,
    recognizer_v6,
    server_detector,
    server_recognizer,
    write,
)

LANGUAGES = ("arabic", "cyrillic", "devanagari", "el", "en", "eslav", "korean", "latin", "ta", "te", "th")


def converted(folder: Path, tree: dict[str, Any]) -> tuple[Conversion, Any]:
    conversion = convert(write(folder, tree), "turned")
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "turned.yaml").write_text(conversion.text, encoding="utf-8")
    config = compose("train", [f"hydra.searchpath=[file://{folder}]", "experiment=turned"])
    return conversion, config


def missing(conversion: Conversion) -> list[str]:
    return [note.key for note in conversion.notes if note.kind == "missing"]


@pytest.mark.parametrize(
    ("tree", "model"),
    [
        (mobile_detector(3), "ppocrv3_det"),
        (mobile_detector(4), "ppocrv4_det"),
        (mobile_detector(5), "ppocrv5_det"),
        (detector_v6("small"), "ppocrv6_small_det"),
        (detector_v6("medium"), "ppocrv6_medium_det"),
        (server_detector(3), "ppocrv3_det_server"),
        (server_detector(4), "ppocrv4_det_server"),
        (server_detector(5), "ppocrv5_det_server"),
        (mobile_recognizer(3), "svtr_lcnet"),
        (mobile_recognizer(4), "ppocrv4_rec"),
        (mobile_recognizer(5), "ppocrv5_rec"),
        (server_recognizer(4), "ppocrv4_rec_server"),
        (server_recognizer(5), "ppocrv5_rec_server"),
        (recognizer_v6("tiny"), "ppocrv6_tiny_rec"),
        (recognizer_v6("small"), "ppocrv6_small_rec"),
        (recognizer_v6("medium"), "ppocrv6_medium_rec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_becomes_the_model_of_its_generation(tmp_path: Path, tree: dict[str, Any], model: str) -> None:
    """The whole node `model` is the shipped one's, and nothing that changes the result is left behind."""
    conversion, config = converted(tmp_path, tree)
    assert (conversion.model, missing(conversion)) == (model, [])
    own, shipped = (
        OmegaConf.to_container(c.model, resolve=True) for c in (config, compose("train", [f"model={model}"]))
    )
    assert comparable(own) == comparable(shipped)


def comparable(node: Any) -> Any:
    """Without names of the run, and values that a class has as its defaults anyway."""
    if isinstance(node, dict):
        idle = ("name", "num_heads", "qkv_bias", "attn_drop_rate", "drop_path", "drop_rate", "mid_channels", "labels")
        return {key: comparable(value) for key, value in node.items() if key not in idle}
    return node


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_differ_in_their_dictionary(tmp_path: Path, language: str) -> None:
    conversion = convert(write(tmp_path, mobile_recognizer(5, language)), "turned")
    assert (conversion.model, missing(conversion)) == ("ppocrv5_rec", [])
    assert f"path: ./ppocr/utils/dict/ppocrv5_{language}_dict.txt" in conversion.text
    assert ("direction: rtl" in conversion.text) == (language == "arabic")


def test_networks_of_converted_files_have_the_parameters_of_the_shipped_ones(tmp_path: Path) -> None:
    charset = from_characters("abc")
    for tree, model in ((detector_v6("small"), "ppocrv6_small_det"), (recognizer_v6("tiny"), "ppocrv6_tiny_rec")):
        networks = [
            build_model(c, charset) for c in (converted(tmp_path, tree)[1], compose("train", [f"model={model}"]))
        ]
        own, shipped = ({k: tuple(v.shape) for k, v in network.state_dict().items()} for network in networks)
        assert own == shipped


def test_loss_and_averaged_weights_of_ppocrv6(tmp_path: Path) -> None:
    _, config = converted(tmp_path, detector_v6("small"))
    assert config.trainer.ema_decay == 0.9997
    loss = OmegaConf.to_container(config.loss)
    assert isinstance(loss, dict)
    assert loss["aux_weights"] == {"p4": 0.2, "p3": 0.3, "p2": 0.4}
    assert (loss["main_loss_type"], loss["binary_loss_type"], loss["balance_loss"]) == ("DiceFocalLoss",) * 2 + (False,)
    assert (loss["focal_gamma"], config.postprocess.max_candidates) == (2.5, 3000)
    tree = put(detector_v6("small"), "Global.ema_decay_type", "exponential")
    conversion, _ = converted(tmp_path, tree)
    assert "Global.ema_decay_type" in [note.key for note in conversion.notes if note.kind == "changed"]


def test_the_binarization_of_server_detectors_counts_twice(tmp_path: Path) -> None:
    tree = server_detector(4)
    loss = converted(tmp_path, tree)[1].loss
    assert (loss.binary_loss_type, loss.dice_weight, loss.focal_weight) == ("DiceFocalLoss", 2.0, 0.0)
    with pytest.raises(ConfigError, match=r"^Loss\.main_loss_type: expected DiceLoss for PFHeadLocal"):
        convert(write(tmp_path, put(tree, "Loss.main_loss_type", "BCELoss")), "turned")


def steps_of(tree: dict[str, Any], crop: str, perspective: bool) -> dict[str, Any]:
    """The tree with PP-OCRv6's list of augmenters."""
    turn = [
        {"type": "Fliplr", "args": {"p": 0.5}},
        {"type": "Affine", "args": {"p": 0.5, "rotate": [-45, 45], "fit_output": True}},
        {"type": "Resize", "args": {"size": [0.1, 2]}},
    ]
    view = {"prob": 0.3, "scale": 0.0, "shear": 20.0, "perspective": 0.001, "fit_output": True, "fill_value": [0, 0, 0]}
    steps = tree["Train"]["dataset"]["transforms"]
    place = next(number for number, step in enumerate(steps) if "IaaAugment" in step)
    steps[place : place + 2] = [
        {"IaaAugment": {"augmenter_args": turn}},
        *([{"RandomPerspective": view}] if perspective else []),
        {crop: {"size": [640, 512], "max_tries": 50, "keep_ratio": True}},
    ]
    return tree


def test_the_augmentation_of_ppocrv6(tmp_path: Path) -> None:
    conversion, config = converted(tmp_path, steps_of(detector_v6("medium"), "RandomCrop", perspective=True))
    assert missing(conversion) == []
    assert list(config.augment) == ["copy_paste", "turn", "scale", "perspective", "crop", "color_jitter"]
    augment = OmegaConf.to_container(config.augment)
    assert isinstance(augment, dict)
    assert {key: augment["turn"][key] for key in ("flip", "rotate", "p", "fit_output")} == {
        "flip": 0.5, "rotate": [-45, 45], "p": 0.5, "fit_output": True,
    }  # fmt: skip
    assert augment["scale"]["scale"] == [0.1, 2]
    view = {"p": 0.3, "perspective": 0.001, "shear": 20.0, "scale": 0.0, "fit_output": True}
    assert view.items() <= augment["perspective"].items()
    assert (augment["crop"]["size"], augment["crop"]["_target_"].rpartition(".")[2]) == ([640, 512], "ClipCrop")
    assert augment["copy_paste"]["limit_paste"] is True
    conversion, config = converted(tmp_path, steps_of(detector_v6("small"), "EastRandomCropData", perspective=False))
    assert missing(conversion) == []
    assert config.augment.perspective is None
    assert config.augment.crop._target_.endswith(".EastRandomCrop")


def test_names_of_early_files_of_ppocrv6(tmp_path: Path) -> None:
    tree = put(detector_v6("small"), "Architecture.Neck.name", "UniRepLKFPN")
    tree["Architecture"]["Backbone"] = {"name": "PPLCNetV4", "det": True, "config_name": "tiny"}
    conversion, config = converted(tmp_path, tree)
    assert (conversion.model, config.model.backbone.model_size) == ("ppocrv6_tiny_det", "tiny")


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (put(detector_v6(), "Architecture.Head.aux_in_channels", 64), r"Head\.aux_in_channels: .* \(96\), got 64"),
        (put(recognizer_v6(), "Architecture.Head.head_list.1.NRTRHead.nrtr_dim", 100), r"nrtr_dim: .*32, got 100"),
        (
            put(mobile_detector(5), "Architecture.Neck.name", "RSEFPM"),
            r"Architecture\.Neck: .*RSEFPM.*did you mean RSEFPN",
        ),
        (
            put(mobile_recognizer(5), "Architecture.Head.head_list.0.CTCHead.Neck.name", "svtrr"),
            r"CTCHead\.Neck: .*svtrr.*svtr",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path: Path, tree: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        convert(write(tmp_path, tree), "turned")
    assert "\n" not in str(caught.value)


def test_a_guided_transformer_pools_its_sequence(tmp_path: Path) -> None:
    """As ch_PP-OCRv4_rec_svtr_large.yml; names, shapes and outputs are those of PaddleOCR 2.9.1's code."""
    tree = mobile_recognizer(4)
    tree["Architecture"]["Backbone"] = {
        "name": "SVTRNet", "img_size": [48, 320], "embed_dim": [32, 64, 64], "depth": [1, 1, 1],
        "num_heads": [1, 2, 2], "mixer": ["Conv", "Conv", "Global"], "local_mixer": [[5, 5]] * 3, "out_channels": 64,
        "last_stage": False, "prenorm": True,
    }  # fmt: skip
    tree["Architecture"]["Head"] |= {"use_pool": True, "use_pos": True}
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    head = tree["Architecture"]["Head"]
    del head["use_pool"]  # as the teacher of ch_PP-OCRv4_rec_distillation.yml
    assert missing(converted(tmp_path, tree)[0]) == ["Architecture.Head.use_pool"]
    model = build_model(config, from_characters("ab"))
    assert model.state_dict()["head.before_gtc.2.dec_pos_embed"].shape == [1, 80, 384]
    model.eval()
    assert model(paddle.zeros([1, 3, 48, 320]))["ctc"].shape == [1, 40, 3]
    model.train()
    targets = {"label_nrtr": paddle.to_tensor([[2, 4, 3]]), "length": paddle.to_tensor([1])}
    outputs = model(paddle.zeros([1, 3, 48, 320]), targets)
    assert (outputs["ctc"].shape[1], outputs["nrtr"].shape[0]) == (40, 1)
