"""What becomes of the keys of a PaddleOCR training file."""

import json
import os
from pathlib import Path

import numpy as np
import paddle
import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import build_model
from ocrexp.charset.sources import from_characters
from ocrexp.config.build import build
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.paddleocr import convert
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.schedules import SCHEDULES, convert_schedule
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

from .paddleocr_files import SCENES, detector, optimizer, put, recognizer, scene_recognizer, write


def converted(folder, tree, *overrides):
    """The conversion, and the configuration that its experiment composes to."""
    conversion = convert(write(folder, tree), "turned", overrides)
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "turned.yaml").write_text(conversion.text, encoding="utf-8")
    config = compose("train", [f"hydra.searchpath=[file://{folder}]", "experiment=turned"])
    check(config)
    return conversion, config


def notes(conversion, kind):
    return [note.key for note in conversion.notes if note.kind == kind]


def test_a_detector_keeps_its_values(tmp_path):
    conversion, config = converted(tmp_path, detector())
    assert conversion.complete
    assert config.name == "turned"
    assert config.model.neck.out_channels == 64
    assert config.model.head.k == 40
    assert (config.loss.alpha, config.loss.beta, config.loss.ohem_ratio) == (4, 8, 2)
    assert config.postprocess.thresh == 0.2
    assert (config.postprocess.box_thresh, config.postprocess.unclip_ratio) == (0.7, 1.7)  # 0.7 is PaddleOCR's default
    assert (config.targets.shrink_ratio, config.targets.min_text_size) == (0.5, 6)
    assert (config.targets.thresh_min, config.targets.thresh_max) == (0.2, 0.8)
    warp = config.augment.warp
    assert (warp.flip, list(warp.rotate), list(warp.scale)) == (0.25, [-7, 7], [0.6, 2])
    assert (list(warp.size), warp.max_tries) == ([320, 256], 20)
    assert config.augment.color_jitter is None
    assert (config.preprocess.resize.limit_side_len, config.preprocess.resize.limit_type) == (960, "max")
    assert (config.loader.batch_size, config.loader.eval_batch_size, config.loader.num_workers) == (5, 1, 3)
    assert (config.dataset.root, config.dataset.train_labels, config.dataset.val_labels) == (
        "pages", "train.txt", "val.txt",
    )  # fmt: skip
    assert (config.optim.lr, config.optim.weight_decay, config.optim.optimizer.beta2) == (0.002, 1e-5, 0.99)
    trainer = config.trainer
    assert (trainer.max_epochs, trainer.log_every_steps, trainer.save_every_epochs) == (6, 4, 2)
    assert (trainer.eval_every_steps, trainer.eval_every_epochs, trainer.device) == (40, None, "cpu")


def test_a_recognizer_keeps_its_values(tmp_path):
    conversion, config = converted(tmp_path, recognizer())
    assert conversion.complete
    assert config.model.neck.hidden_size == 48
    assert config.model.head.fc_decay == 0.001
    assert list(config.model.image_shape) == [32, 128]
    assert config.targets.max_text_length == 20
    assert config.charset.lower and config.charset.unknown == "drop"  # PaddleOCR without a dictionary
    assert config.metric.main == "accuracy_no_spaces"  # ignore_space is PaddleOCR's default
    schedule = config.optim.schedule
    assert schedule._target_.endswith("Cosine")
    assert (schedule.warmup_epochs, schedule.warmup_extends, schedule.warmup_start) == (1, True, 0.0)
    assert "resize" in config.augment and len(config.augment) == 1  # no augmentation of its own


def test_every_key_is_carried_over_or_reported(tmp_path):
    """A key that nobody looked at is reported, whatever it is called."""
    tree = detector()
    put(tree, "Global.learning_ratee", 1)
    put(tree, "PostProcess.box_tresh", 0.4)
    put(tree, "Train.dataset.transforms.5.MakeShrinkMap", {"shrink_ration": 0.3})
    put(tree, "Extra", {"a": 1})
    conversion, _ = converted(tmp_path, put(tree, "Train.dataset.transforms.4.MakeBorderMap.shrink_ratio", 0.4))
    missing = {note.key: note for note in conversion.notes if note.kind == "missing"}
    assert set(missing) == {
        "Global.learning_ratee", "PostProcess.box_tresh",
        "Train.dataset.transforms[5].MakeShrinkMap.shrink_ration", "Extra",
    }  # fmt: skip
    assert missing["PostProcess.box_tresh"].advice == "did you mean box_thresh?"
    assert not conversion.complete
    assert all("\n" not in line for line in conversion.lines())
    for line in conversion.lines():
        assert line.split(maxsplit=1)[1] in conversion.text  # the file says it as well


def test_the_file_tells_dropped_from_missing(tmp_path):
    tree = put(detector(), "Global.infer_img", "a.png")
    put(tree, "Global.checkpoints", "./output/latest")
    put(tree, "Train.dataset.transforms.3.EastRandomCropData.size", [64, 64])
    conversion, _ = converted(tmp_path, tree)
    assert "Global.infer_img" in notes(conversion, "dropped")
    assert notes(conversion, "changed") == ["Global.checkpoints"]
    assert "start_from: ./output/latest " in conversion.text


def test_what_a_tutorials_file_leaves_out_is_assumed(tmp_path):
    """No PostProcess, Metric, Loss, crop, target maps or resize; steps of other names; general keys that run a job."""
    tree = detector()
    for name in ("PostProcess", "Metric", "Loss"):
        del tree[name]
    del tree["Architecture"]["algorithm"]
    tree["Train"]["dataset"]["transforms"] = [
        {"DecodeImage": None}, {"DetLabelEncode": None}, {"RandomScale": {"scale_range": [0.5, 2]}},
        {"IaaAugment": {"augmenter_args": [{"type": "Fliplr", "args": {"p": 0.5}}]}},
    ]  # fmt: skip
    tree["Eval"]["dataset"]["transforms"] = [{"DecodeImage": None}]
    tree["Global"] |= {"distributed": True, "use_visualdl": True, "accumulation_steps": 4, "checkpoints": "out/latest"}
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert set(notes(conversion, "assumed")) == {
        "PostProcess", "Metric", "Loss", "Architecture.algorithm", "Eval.dataset.transforms: DetResizeForTest",
        *(f"Train.dataset.transforms: {name}" for name in ("EastRandomCropData", "MakeBorderMap", "MakeShrinkMap")),
    }  # fmt: skip
    assert any(line.startswith("assumed  PostProcess: ") and "unclip_ratio: 2.0" in line for line in conversion.lines())
    assert (config.postprocess.box_thresh, config.postprocess.unclip_ratio) == (0.7, 2.0)
    assert (config.loss.alpha, config.loss.beta, config.targets.shrink_ratio) == (5, 10, 0.4)
    assert (list(config.augment.warp.size), list(config.augment.warp.scale)) == ([640, 640], [0.5, 2])
    assert (config.preprocess.resize.limit_side_len, config.preprocess.resize.limit_type) == (736, "min")
    assert (config.trainer.devices, config.trainer.accumulate) == ("auto", 4)
    assert set(config.logger) == {"csv", "visualdl"}
    assert config.trainer.start_from == "out/latest"
    assert all(line.split(maxsplit=1)[1] in conversion.text for line in conversion.lines())


def test_a_recognizers_file_may_leave_out_as_much(tmp_path):
    tree = recognizer()
    for name in ("PostProcess", "Metric", "Loss"):
        del tree[name]
    for part in ("Train", "Eval"):
        tree[part]["dataset"]["transforms"] = [{"DecodeImage": None}, {"CTCLabelEncode": None}]
        del tree[part]["dataset"]["name"]
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert {"PostProcess", "Metric", "Loss", "Eval.dataset.transforms"} <= set(notes(conversion, "assumed"))
    assert config.metric.main == "accuracy_no_spaces"
    assert list(config.model.image_shape) == [32, 100]


@pytest.mark.parametrize(
    ("step", "size", "scale"),
    [
        ({"RandomCrop": {"size": [320, 240]}}, [320, 240], [0.6, 2]),
        ({"RandomCrop": {"size": 256}}, [256, 256], [0.6, 2]),
        ({"RandomCrop": {"height": 240, "width": 320}}, [320, 240], [0.6, 2]),
        ({"RandomCropImgMask": {"size": [64, 64], "main_key": "a", "crop_keys": ["a"]}}, [64, 64], [0.6, 2]),
        ({"IaaAugment": {"augmenter_args": [{"type": "RandomCrop", "args": {"height": 240, "width": 320}}]}},
         [320, 240], [0.6, 2]),
    ],
)  # fmt: skip
def test_a_plain_crop_becomes_one_that_keeps_words_whole(tmp_path, step, size, scale):
    tree = put(detector(), "Train.dataset.transforms.3", step)
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert len(notes(conversion, "changed")) == 1
    assert (list(config.augment.warp.size), list(config.augment.warp.scale)) == (size, scale)


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        ({"scales": [0.7, 1.0, 1.3]}, [0.7, 1.3]),
        ({"scale": [3, 0.5]}, [0.5, 3]),
        ({"ratio_range": [0.8, 1.2]}, [0.8, 1.2]),
        ({"scale_limit": [-0.5, 2]}, [0.5, 3]),
        (None, [0.5, 3]),
    ],
)
def test_a_random_scale_is_carried_over(tmp_path, keys, scale):
    tree = put(detector(), "Train.dataset.transforms.2", {"RandomScale": keys})
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert list(config.augment.warp.scale) == pytest.approx(scale)
    with pytest.raises(ConfigError, match=r"RandomScale\.scales"):
        converted(tmp_path, put(tree, "Train.dataset.transforms.2", {"RandomScale": {"scales": "big"}}))


def test_paths_with_blanks_and_those_from_a_folder_above(tmp_path):
    tree = put(detector(), "Train.dataset.data_dir", "./my data/")
    put(tree, "Eval.dataset.data_dir", "my data")
    put(tree, "Train.dataset.label_file_list", ["./my data/list (1).txt"])
    put(tree, "Eval.dataset.label_file_list", "my data/val, all.txt")
    put(tree, "Global.pretrained_model", "../weights/my file")
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert (config.dataset.root, config.dataset.train_labels) == ("my data", "list (1).txt")
    assert config.dataset.val_labels == "val, all.txt"
    assert config.model.pretrained == "../weights/my file.pdparams"


@pytest.mark.parametrize("place", ["Global", "Optimizer", "Train", "Train.loader"])
def test_accumulation_is_carried_over_from_wherever_it_is(tmp_path, place):
    conversion, config = converted(tmp_path, put(detector(), f"{place}.accumulation_steps", 3))
    assert conversion.complete, conversion.lines()
    assert config.trainer.accumulate == 3


def test_overrides_are_read_as_yaml_and_may_hold_an_equals_sign(tmp_path):
    _, config = converted(
        tmp_path, detector(), "Global.epoch_num=3", "Optimizer.lr.learning_rate=1e-4", "Train.dataset.data_dir=a=b"
    )
    assert config.trainer.max_epochs == 3
    assert config.optim.lr == 1e-4  # a text in YAML 1.1, and in PaddleOCR
    assert config.dataset.root == "a=b"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Architecture.algorithm": "PAN"}, "Architecture.algorithm: unsupported algorithm PAN"),
        ({"Architecture.algorithm": "PAN"}, "supported for det: DB, DB++"),
        ({"Architecture.model_type": "table"}, "Architecture.model_type: expected det or rec, got table"),
        ({"Architecture.Models": {}}, "Architecture.Models: has no Student"),
        ({"Architecture.Backbone.name": "MobileNetV4"}, "unsupported detector backbone MobileNetV4; did you mean"),
        ({"Architecture.Neck.name": "PANFPN"}, "Architecture.Neck: unsupported detector neck PANFPN"),
        ({"Loss.name": "EASTLoss"}, "Loss.name: EASTLoss: expected DBLoss"),
        ({"Optimizer.name": "Lamb"}, "Optimizer.name: unsupported optimizer Lamb; supported: Adam, AdamW"),
        ({"Optimizer.lr.name": "TwoStepCosine"}, "Optimizer.lr.name: unsupported schedule TwoStepCosine"),
        ({"Optimizer.lr.learning_rate": "fast"}, "Optimizer.lr.learning_rate: expected a number, got 'fast'"),
        ({"Global.eval_batch_step": "often"}, "Global.eval_batch_step: expected [first step, steps "),
        ({"Train.dataset.name": "PGDataSet"}, "Train.dataset.name: unsupported dataset PGDataSet; supported: Simple"),
        ({"Train.loader": 3}, "Train.loader: expected a section with keys, got 3"),
        ({"Train.dataset.transforms": [{"a": 1, "b": 2}]}, "expected one part with its keys, got"),
        ({"Loss.alpha": "much"}, "loss.alpha: expected a number, got 'much'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_one_line(tmp_path, changes, message):
    tree = detector()
    for key, value in changes.items():
        put(tree, key, value)
    with pytest.raises(ConfigError) as caught:
        convert(write(tmp_path, tree), "turned")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Global: [1,\nb: 2", ":2: not valid YAML ("),
        ("just a text", "expected a YAML file with sections"),
        ("Global: {epoch_num: 3}", "missing section Architecture"),
        ("defaults: []\ntrainer: {}", "this is an ocrexp file"),
        ("Architecture: {function: 'a,b'}\nGlobal: {}", "a file of PaddleOCR 1.x"),
        ("Architecture: {model_type: det}", "missing section Global, Optimizer, Train"),
        ("Global: &a {b: *a}", "alias *a"),
        ("Global: " + "[" * 2000 + "]" * 2000, "nested"),
        ("Global: {start: 2020-13-45}", "quote the value"),
        ("? [a, b]\n: 1", "unhashable key"),
    ],
)
def test_what_is_no_training_file_is_said_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        convert(path, "turned")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = write(tmp_path, detector())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert convert(path, "turned").complete


def test_a_key_given_twice_is_reported(tmp_path):
    path = write(tmp_path, detector())
    path.write_text(path.read_text().replace("Global:\n", "Global:\n  epoch_num: 9\n"))
    assert any(key.startswith("epoch_num (line ") for key in notes(convert(path, "turned"), "changed"))


def test_an_augmenter_list_that_one_warp_cannot_do_goes_through_imgaug(tmp_path):
    tree = detector()
    shear = {"type": "Affine", "args": {"rotate": [-7, 7], "shear": [-3, 3]}}
    put(tree, "Train.dataset.transforms.2.IaaAugment", {"augmenter_args": [{"type": "HorizontalFlip"}, shear]})
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    assert OmegaConf.to_container(config.augment.imgaug.augmenter_args) == [{"type": "Fliplr", "args": {}}, shear]
    assert list(config.augment.crop.size) == [320, 256]


@pytest.mark.parametrize("args", ["Affine", 3, ["rotate"], [["a", 1]]])
def test_arguments_of_an_augmenter_that_are_no_mapping(tmp_path, args):
    tree = detector()
    put(tree, "Train.dataset.transforms.2.IaaAugment", {"augmenter_args": [{"type": "Affine", "args": args}]})
    with pytest.raises(ConfigError, match=r"IaaAugment: args: expected a mapping, got .+"):
        convert(write(tmp_path, tree), "turned")


def test_each_value_that_does_not_fit_is_a_line(tmp_path):
    tree = detector()
    put(tree, "Train.dataset.transforms.3.EastRandomCropData.size", ["???", 256])
    with pytest.raises(ConfigError) as caught:
        convert(write(tmp_path, tree), "turned")
    assert all(line.startswith("the converted values do not fit together: ") for line in caught.value.lines)
    assert any("augment.warp.size[0]" in line for line in caught.value.lines)
    assert not any("\n" in line for line in caught.value.lines)


def test_colour_jitter_and_pasted_words_are_carried_over(tmp_path):
    tree = detector()
    tree["Train"]["dataset"]["transforms"][2:2] = [{"ColorJitter": {"brightness": 0.1}}, {"CopyPaste": None}]
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    assert config.augment.color_jitter.brightness == 0.1
    assert config.augment.copy_paste.objects_paste_ratio == 0.2


def test_a_scale_of_albumentations_is_said_to_be_one(tmp_path):
    """Its RandomScale takes 1 + scale_limit; files that came over from imgaug give the scale itself."""
    tree = detector()
    scale = {"type": "RandomScale", "args": {"scale_limit": [0.5, 3]}}
    put(tree, "Train.dataset.transforms.2.IaaAugment", {"augmenter_args": [scale]})
    conversion, config = converted(tmp_path, tree)
    assert list(config.augment.warp.scale) == [1.5, 4]
    assert conversion.complete and "1 + scale_limit" in conversion.text


def test_a_transform_that_is_not_here_is_missing(tmp_path):
    tree = recognizer()
    tree["Train"]["dataset"]["transforms"].insert(1, {"PencilRecAug": {"aug_type": 0}})
    conversion, _ = converted(tmp_path, tree)
    assert notes(conversion, "missing") == ["Train.dataset.transforms: PencilRecAug"]


def test_augmentations_for_scenes(tmp_path):
    tree = recognizer()
    tree["Train"]["dataset"]["transforms"][1:1] = [
        {"RecConAug": {"prob": 0.3, "image_shape": [32, 96, 3]}},
        {"SVTRRecAug": {"aug_type": 1, "geometry_p": 0.2}},
    ]
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert (config.augment.scene_aug.aug_type, config.augment.scene_aug.geometry_p) == (1, 0.2)
    assert config.augment.scene_aug.poisson == 0
    con_aug = config.augment.con_aug
    assert (con_aug.prob, list(con_aug.image_shape), con_aug.max_text_length) == (0.3, [32, 96], 25)
    tree["Train"]["dataset"]["transforms"][1:3] = [{"ParseQRecAug": None}, {"RecAug": None}]
    conversion, config = converted(tmp_path, tree)
    assert config.augment.scene_aug.poisson == 20
    assert notes(conversion, "missing") == ["Train.dataset.transforms[2].RecAug"]


def test_lists_in_two_folders_are_missing_what_they_need(tmp_path):
    conversion, _ = converted(tmp_path, put(detector(), "Eval.dataset.data_dir", "other/"))
    assert notes(conversion, "missing") == ["Eval.dataset.data_dir"]


@pytest.mark.parametrize(("part", "kind"), [("Eval", "RecLists"), ("Train", "RecLmdb")])
def test_lists_of_two_kinds_convert_without_the_evaluations(tmp_path, part, kind):
    tree = recognizer()  # as rec_r31_sar.yml: training from lists, evaluation from LMDB
    tree[part]["dataset"] |= {"name": "LMDBDataSet", "data_dir": "data/lmdb"}
    del tree[part]["dataset"]["label_file_list"]
    conversion, config = converted(tmp_path, tree)
    assert notes(conversion, "missing") == ["Eval.dataset.name"]
    assert config.dataset._target_.endswith(kind)
    assert config.dataset.get("val", "validation") == "validation"
    assert config.dataset.get("val_labels", "val_list.txt") == "val_list.txt"


def test_keys_that_paddleocr_ignores_are_dropped(tmp_path):
    tree = put(detector(), "PostProcess.det_box_type", "quad")
    put(tree, "Train.loader.num_sections", 1)
    put(tree, "Global.amp_custom_black_list", ["matmul"])  # without use_amp
    conversion, _ = converted(tmp_path, tree)
    assert conversion.complete
    dropped = {"PostProcess.det_box_type", "Train.loader.num_sections", "Global.amp_custom_black_list"}
    assert dropped <= set(notes(conversion, "dropped"))
    conversion, _ = converted(tmp_path, put(tree, "Global.use_amp", True))
    assert notes(conversion, "missing") == ["Global.amp_custom_black_list"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Loss": {"name": "CombinedLoss", "loss_config_list": [{"CTCLoss": None}, {"CenterLoss": {"weight": 0.05}}]}},
         "Loss.loss_config_list: unsupported loss CenterLoss beside CTCLoss; use the file without it"),
        ({"Metric.name": "CNTMetric"}, "Metric.name: CNTMetric: the first of RFL's two trainings"),
    ],
)  # fmt: skip
def test_the_missing_part_of_a_recognizer_is_named(tmp_path, changes, message):
    tree = recognizer()
    for key, value in changes.items():
        put(tree, key, value)
    with pytest.raises(ConfigError) as caught:
        convert(write(tmp_path, tree), "turned")
    assert message in str(caught.value)


def test_lmdb_folders_and_shares_of_lists(tmp_path):
    tree = recognizer()
    for part, folder in (("Train", "data/MJ/training"), ("Eval", "data/validation")):
        own = tree[part]["dataset"]
        own |= {"name": "LMDBDataSet", "data_dir": folder}
        del own["label_file_list"]
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    assert (config.dataset.root, config.dataset.train, config.dataset.val) == ("data", "MJ/training", "validation")
    lists = put(detector(), "Train.dataset.label_file_list", ["pages/a.txt", "lists/b.txt"])
    _, config = converted(tmp_path, put(lists, "Train.dataset.ratio_list", [1.0, 0.3]))
    assert list(config.dataset.train_labels) == ["a.txt", "../lists/b.txt"]
    assert list(config.dataset.ratios) == [1.0, 0.3]
    put(lists, "Train.dataset.data_dir", "/data")
    _, config = converted(tmp_path, put(lists, "Train.dataset.label_file_list", ["/data/x/a.txt", "/b.txt", "c.txt"]))
    assert list(config.dataset.train_labels) == ["x/a.txt", "/b.txt", str(Path.cwd() / "c.txt")]


def test_pictures_of_a_recognizer(tmp_path):
    tree = recognizer()
    put(tree, "Global.character_dict_path", "keys.txt")
    put(tree, "Global.use_space_char", True)
    tree["Train"]["dataset"]["transforms"][1:1] = [
        {"RecConAug": {"prob": 0.3, "ext_data_num": 2, "image_shape": [32, 128, 3], "max_text_length": 20}},
        {"RecAug": {"tia_prob": 0.1, "blur_prob": 0.2}},
    ]
    tree["Train"]["dataset"]["transforms"].pop(4)
    tree["Train"]["dataset"] |= {"name": "MultiScaleDataSet", "ds_width": False, "ext_op_transform_idx": 1}
    tree["Train"]["sampler"] = {
        "name": "MultiScaleSampler", "scales": [[128, 32], [100, 50]], "first_bs": 7, "fix_bs": False,
        "divided_factor": [8, 16], "is_training": True,
    }  # fmt: skip
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete, conversion.lines()
    assert (config.charset.path, config.charset.use_space_char, config.charset.lower) == ("keys.txt", True, False)
    assert (config.augment.con_aug.prob, config.augment.con_aug.ext_data_num) == (0.3, 2)
    assert (config.augment.rec_aug.tia_prob, config.augment.rec_aug.blur_prob) == (0.1, 0.2)
    assert config.augment.rec_aug.crop_prob == 0.4  # PaddleOCR's default
    assert OmegaConf.to_container(config.loader.multi_scale) == {
        "sizes": [[32, 128], [48, 96]], "by_ratio": False, "fix_batch": False,
    }  # fmt: skip
    assert config.loader.batch_size == 7
    assert list(config.augment)[-1] == "resize"


def test_an_attention_head_has_as_many_steps_as_its_labels(tmp_path):
    """It runs freely, as PaddleOCR's training lets it, so that the loss compares step by step."""
    tree = recognizer()
    put(tree, "Architecture.algorithm", "RARE")
    put(tree, "Architecture.Head", {"name": "AttentionHead", "hidden_size": 32})
    put(tree, "Loss.name", "AttentionLoss")
    put(tree, "PostProcess.name", "AttnLabelDecode")
    for part in ("Train", "Eval"):
        put(tree, f"{part}.dataset.transforms.1", {"AttnLabelEncode": None})
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    charset = from_characters("abc")
    head = build(config.model.head)(in_channels=8, out_channels=charset.class_counts()["attention"])
    sample = build(config.targets)(charset=charset)({"texts": ["ab"]}, np.random.default_rng(0))
    outputs = head(paddle.zeros([1, 5, 8]))
    loss = build(config.loss)(outputs, {"label_attention": paddle.to_tensor(sample["label_attention"][None])})
    assert np.isfinite(float(loss["loss"]))


def test_optimizers_and_what_they_clip(tmp_path):
    tree = recognizer()
    tree["Optimizer"] = {
        "name": "AdamW", "lr": {"name": "Piecewise", "values": [0.01, 0.001], "decay_epochs": [4]}, "clip_norm": 5.0,
        "no_weight_decay_name": "norm bias", "one_dim_param_no_weight_decay": True,
    }  # fmt: skip
    _, config = converted(tmp_path, tree)
    assert (config.optim.weight_decay, config.optim.no_decay_1d) == (0.01, True)  # AdamW's default in PaddleOCR
    assert (config.optim.clip_norm, config.optim.clip_scope) == (5.0, "tensor")
    assert list(config.optim.no_decay_names) == ["norm", "bias"]
    assert (config.optim.lr, list(config.optim.schedule.factors)) == (0.01, [1.0, 0.1])
    put(tree, "Optimizer.clip_norm_global", 2.0)
    conversion, config = converted(tmp_path, tree)
    assert (config.optim.clip_norm, config.optim.clip_scope) == (2.0, "global")
    assert notes(conversion, "missing") == ["Optimizer.clip_norm"]


def test_rates_are_paddleocrs(oracle):
    """Each schedule, as converted, gives the rates that PaddleOCR used (up to the run's end, where it goes on)."""
    recorded = json.loads((oracle / "pipeline" / "lr_schedules.json").read_text())["cases"]
    rates = np.load(oracle / "pipeline" / "lr_schedules.npz")
    compared = set()
    for name, case in recorded.items():
        schedule = case["config"]["name"]
        if schedule not in SCHEDULES or name.endswith("past_end") or name == "OneCycle.warmup":
            continue  # OneCycle rises twice in PaddleOCR
        experiment = Experiment()
        convert_schedule(experiment, Section("", {"Optimizer": {"lr": case["config"]}}))
        node = compose("train", [f"scheduler={experiment.choices['scheduler']}"]).optim.schedule
        OmegaConf.set_struct(node, False)
        optim = OmegaConf.merge({"optim": {"schedule": node}}, experiment.nested()).optim
        steps = case["step_each_epoch"]
        own = build(optim.schedule)(lr=optim.lr, total_steps=steps * case["epochs"], steps_per_epoch=steps)
        length = min(len(rates[name]), steps * case["epochs"])
        assert np.allclose([own(step) for step in range(length)], rates[name][:length], rtol=1e-12, atol=1e-15), name
        compared.add(schedule)
    assert compared == set(SCHEDULES)


# Golden file: characters of its dictionary, maximum length of its labels, resize of its images, label encoder.
NETWORKS = {
    "det_mv3_db": None,
    "ch_det_mv3_db_v2.0": None,
    "det_r18_vd_db": None,
    "det_r50_vd_db": None,
    "ch_PP-OCRv3_det_student": None,
    "ch_PP-OCRv4_det_student": None,
    "rec_mv3_none_bilstm_ctc": ("CTC", {"RecResizeImg": {"image_shape": [3, 32, 100]}}),
    "rec_mv3_none_none_ctc": ("CTC", {"RecResizeImg": {"image_shape": [3, 32, 100]}}),
    "rec_mv3_tps_bilstm_ctc": ("CTC", {"RecResizeImg": {"image_shape": [3, 32, 100]}}),
    "rec_mv3_tps_bilstm_att": ("Attn", {"RecResizeImg": {"image_shape": [3, 32, 100]}}),
    "rec_r34_vd_none_bilstm_ctc": ("CTC", {"RecResizeImg": {"image_shape": [3, 32, 100]}}),
    "rec_svtrnet": ("CTC", {"SVTRRecResizeImg": {"image_shape": [3, 64, 256], "padding": False}}),
    "en_PP-OCRv3_rec": ("Multi", {"RecResizeImg": {"image_shape": [3, 48, 320]}}),
    "en_PP-OCRv3_rec_ctc": ("CTC", {"RecResizeImg": {"image_shape": [3, 48, 320]}}),
    "en_PP-OCRv4_rec": ("Multi", {"RecResizeImg": {"image_shape": [3, 48, 320]}}),
    "rec_mtb_nrtr": ("NRTR", {"GrayRecResizeImg": {"image_shape": [100, 32], "resize_type": "PIL"}}),
    "rec_r31_sar": ("SAR", {"SARRecResizeImg": {"image_shape": [3, 48, 48, 160]}}),
    "rec_vit_parseq": ("ParseQ", {"RecResizeImg": {"image_shape": [3, 32, 128], "padding": False}}),
    "rec_vitstr_none_ce": (
        "ViTSTR", {"GrayRecResizeImg": {"image_shape": [224, 224], "resize_type": "PIL", "scale": False}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_paddleocrs_parameters(tmp_path, oracle, name):
    """Names and shapes of all parameters and buffers, for each golden network that this project has."""
    golden = json.loads((oracle / "models" / f"{name}.json").read_text(encoding="utf-8"))
    charset = None
    if NETWORKS[name] is not None:
        charset = from_characters([chr(0x4E00 + i) for i in range(_characters(golden))])
    conversion, config = converted(tmp_path, _as_source(golden, NETWORKS[name]))
    assert conversion.complete, conversion.lines()
    model = build_model(config, charset)
    assert {key: list(value.shape) for key, value in model.state_dict().items()} == {
        key: shape for key, shape, _ in golden["parameters"]
    }
    trainable = sum(int(parameter.size) for parameter in model.parameters() if not parameter.stop_gradient)
    assert trainable == golden["trainable"]


def _characters(golden):
    """How many characters the classes of a golden network's head are for."""
    head = golden["architecture"]["Head"]
    if "out_channels_list" in head:
        return head["out_channels_list"]["CTCLabelDecode"] - 1
    special = {"AttentionHead": 2, "Transformer": 4, "SARHead": 3, "ParseQHead": 3}.get(head["name"], 1)
    if golden["architecture"]["algorithm"] == "ViTSTR":
        special = 2
    return head["out_channels"] - special


def _as_source(golden, pictures):
    """A training file with the golden network's Architecture and Loss."""
    tree = detector() if pictures is None else recognizer()
    architecture, loss = golden["architecture"], golden["loss"]
    architecture["Head"].pop("out_channels", None)
    architecture["Head"].pop("out_channels_list", None)
    tree |= {"Architecture": architecture, "Loss": loss, "Optimizer": optimizer()}
    if pictures is not None:
        kind, resize = pictures
        guide = {"gtc_encode": "NRTRLabelEncode"} if name_of_guide(architecture) == "NRTRHead" else None
        steps = [{f"{kind}LabelEncode": guide}, resize]
        tree["Train"]["dataset"]["transforms"] = tree["Eval"]["dataset"]["transforms"] = steps
        tree["PostProcess"] = {"name": f"{'CTC' if kind == 'Multi' else kind}LabelDecode"}
        tree["Global"]["max_text_length"] = golden["character"]["max_text_length"]
    return tree


def name_of_guide(architecture):
    return next((name for part in architecture["Head"].get("head_list", []) for name in part if name != "CTCHead"), "")


def test_real_files_convert():
    """Every det and rec file of a PaddleOCR checkout either converts or says in one line why not."""
    folder = os.environ.get("OCREXP_PADDLEOCR_CONFIGS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("PaddleOCR's configs are not here: set OCREXP_PADDLEOCR_CONFIGS to their folder")
    results = {}
    for path in sorted(Path(folder).rglob("*.yml")):
        try:
            results[path.name] = convert(path, "turned").complete
        except ConfigError as error:
            results[path.name] = False
            assert "\n" not in str(error), path
            assert "do not fit together" not in str(error), path
    assert any(results.values())
    for name in (
        "rec_mv3_none_bilstm_ctc.yml", "rec_r34_vd_none_bilstm_ctc.yml", "rec_svtrnet.yml", "en_PP-OCRv3_rec.yml",
        "en_PP-OCRv4_rec.yml", "rec_mtb_nrtr.yml", "rec_mv3_tps_bilstm_att.yml", "det_mv3_db.yml",
        "det_r50_vd_db.yml", "ch_det_res18_db_v2.0.yml",
    ):  # fmt: skip
        assert results.get(name, True), name


def distilled(tree, own, terms, **teacher):
    """A file of PaddleOCR that trains a teacher and students with the parts of `tree`."""
    parts = tree["Architecture"]
    models = {"Student": parts, "Teacher": {**parts, **teacher}}
    task = parts["model_type"]
    tree["Architecture"] = {
        "name": "DistillationModel",
        "algorithm": "Distillation",
        "model_type": task,
        "Models": models,
    }
    tree["Loss"] = {"name": "CombinedLoss", "loss_config_list": [*terms, own]}
    tree["Metric"] = {**tree["Metric"], "name": "DistillationMetric", "base_metric_name": tree["Metric"]["name"]}
    tree["Metric"]["key"] = "Student"
    tree["PostProcess"]["model_name"] = ["Student"]
    return tree


def test_a_cml_file_becomes_a_teacher_and_two_students(tmp_path):
    pairs = [["Student", "Teacher"], ["Student2", "Teacher"]]
    terms = [
        {"DistillationDilaDBLoss": {"weight": 2.0, "model_name_pairs": pairs, "key": "maps", "alpha": 5}},
        {"DistillationDMLLoss": {"model_name_pairs": pairs[0], "maps_name": "thrink_maps", "key": "maps"}},
    ]
    own = {"DistillationDBLoss": {"weight": 1.0, "model_name_list": ["Student", "Student2"], "alpha": 4}}
    tree = distilled(detector(), own, terms, freeze_params=True, pretrained="weights/teacher")
    models = tree["Architecture"]["Models"]
    models["Student2"] = models["Student"]
    models["Teacher"] = {**models["Teacher"], "Neck": {"name": "DBFPN", "out_channels": 96}}
    terms[1]["DistillationDMLLoss"]["model_name_pairs"] = ["Student", "Student2"]
    tree["PostProcess"]["name"] = "DistillationDBPostProcess"
    tree["Global"]["checkpoints"] = "out/latest"
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    assert (config.model.student.pretrained, config.trainer.start_from) == (None, "out/latest")
    model, loss = config.model, config.loss
    assert model._target_.endswith("DistilledModel")
    assert [model[role].neck.out_channels for role in ("student", "student2", "teacher")] == [64, 64, 96]
    assert model.teacher.pretrained == "weights/teacher.pdparams"
    assert loss.own._target_.endswith("DBLoss")
    assert loss.own.alpha == 4
    kinds = {name: (term._target_.rpartition(".")[2], term.weight) for name, term in loss.terms.items()}
    assert sorted(kinds.values()) == [("DML", 1.0), ("DilatedMaps", 2.0)]
    mutual = next(term for term in loss.terms.values() if term._target_.endswith("DML"))
    assert (mutual.map, list(mutual.pairs[0])) == ("shrink", ["student", "student2"])


def test_a_network_that_learns_without_labels_is_reported(tmp_path):
    for named in (["Student"], []):
        own = {"DistillationDBLoss": {"model_name_list": named}}
        tree = distilled(detector(), own, [], freeze_params=True, pretrained="weights/teacher")
        models = tree["Architecture"]["Models"]
        models["Student2"] = models["Student"]
        conversion, _ = converted(tmp_path, tree)
        (note,) = [note for note in conversion.notes if note.kind == "missing"]
        assert (note.key.rpartition(".")[2], note.value) == ("model_name_list", named)


def test_students_may_differ_in_what_paddleocr_ignores(tmp_path):
    own = {"DistillationDBLoss": {"model_name_list": ["Student", "Student2"]}}
    tree = distilled(detector(), own, [], freeze_params=True)
    models = tree["Architecture"]["Models"]  # as ch_PP-OCRv4_det_cml.yml
    models["Student2"] = {**models["Student"], "pretrained": None}
    models["Student2"]["Backbone"] = {**models["Student"]["Backbone"], "pretrained": True}
    tree["Global"]["checkpoints"] = "out/latest"
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    teacher = config.model.teacher
    assert (teacher.pretrained, teacher.pretrained_prefix) == ("out/latest.pdparams", "Teacher")


def test_a_teacher_that_learns_is_a_second_student(tmp_path):
    pair = [["Student", "Teacher"]]
    terms = [
        {"DistillationDMLLoss": {"act": "softmax", "use_log": True, "model_name_pairs": pair, "key": "head_out"}},
        {"DistillationDistanceLoss": {"mode": "l2", "weight": 0.5, "model_name_pairs": pair, "key": "backbone_out"}},
    ]
    own = {"DistillationCTCLoss": {"model_name_list": ["Student", "Teacher"], "key": "head_out"}}
    tree = distilled(recognizer(), own, terms, freeze_params=False)
    tree["PostProcess"]["name"] = "DistillationCTCLabelDecode"
    conversion, config = converted(tmp_path, tree)
    assert conversion.complete
    assert config.model.teacher is None
    assert OmegaConf.to_container(config.model.features) == {
        "backbone": {"student": "backbone", "student2": "backbone"}
    }
    distance = next(term for term in config.loss.terms.values() if term._target_.endswith("Distance"))
    assert (distance.output, distance.weight, distance.pairs) == ("backbone", 0.5, [["student", "student2"]])
    assert config.loss.own._target_.endswith("CTCLoss")


@pytest.mark.parametrize("name", SCENES)
def test_a_recognizer_for_scenes_becomes_the_shipped_model(tmp_path, name):
    """Whose parameters and outputs are PaddleOCR's, see tests/models/test_rec_paddleocr_classes.py."""
    conversion, config = converted(tmp_path, scene_recognizer(name))
    assert conversion.complete, conversion.lines()
    assert conversion.model == name
    shipped = compose("train", [f"model={name}"])
    assert config.model == shipped.model
    for group in ("targets", "postprocess", "preprocess"):
        assert config[group] == shipped[group]
