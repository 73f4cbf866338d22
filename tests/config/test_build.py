"""A part that cannot use a value says which; the key is added where it is built."""

import pytest
from omegaconf import OmegaConf

from ocrexp.assemble import assemble, build_charset, build_model
from ocrexp.assemble.data import build_source
from ocrexp.config.build import build, keyed
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError, DataError
from ocrexp.located import address


class Narrow:
    def __init__(self, width=1):
        if width > 3:
            raise ValueError(f"width must be at most 3, got {width}")
        if width < 0:
            raise ValueError("there is no such thing")


HERE = f"{__name__}.Narrow"


def test_the_key_is_joined_to_a_parameter_and_put_before_anything_else():
    config = OmegaConf.create({"a": {"b": {"_target_": HERE, "width": 5}}})
    with pytest.raises(ConfigError) as caught:
        build(config.a.b)
    assert str(caught.value) == "a.b.width must be at most 3, got 5"
    config.a.b.width = -1
    with pytest.raises(ConfigError) as caught:
        build(config.a.b)
    assert str(caught.value) == "a.b: there is no such thing"


def test_a_part_of_a_part_and_one_that_is_completed_later_have_their_own_key():
    config = OmegaConf.create({"outer": {"_target_": "builtins.dict", "inner": {"_target_": HERE, "width": 5}}})
    with pytest.raises(ConfigError, match=r"^outer\.inner\.width must be"):
        build(config.outer)
    later = build(OmegaConf.create({"_target_": HERE, "_partial_": True}))
    with pytest.raises(ConfigError, match=r"^optim\.schedule\.width must be"):
        keyed("optim.schedule", later, width=9)
    assert address("x", dict, "width=3: no") == "x: width=3: no"


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        (["model.backbone.scale=0"], "model.backbone.scale", "0"),
        (["model.neck.out_channels=30"], "model.neck.out_channels", "30"),
        (["model.head.kernel_list=[3]"], "model.head.kernel_list", "[3]"),
        (["model.freeze=[bakbone]"], "model.freeze", "bakbone"),
        (["model.normalize={mean: [0.5]}"], "model.normalize", "mean"),
    ],
)
def test_the_model_names_the_part_that_it_completes(overrides, key, value):
    with pytest.raises(ConfigError) as caught:
        build_model(compose("train", overrides))
    assert str(caught.value).startswith(key)
    assert value in str(caught.value)


def test_parts_of_the_multi_head_are_named_too():
    config = compose("train", ["model=ppocrv4_rec", "charset=digits", "model.head.guide.nhead=7"])
    with pytest.raises(ConfigError, match=r"nhead: expected .* got 7"):
        build_model(config, build_charset(config))


@pytest.mark.parametrize(
    ("override", "part", "key"),
    [
        ("postprocess.thresh=0.3 postprocess.max_candidates=0", "postprocess", "postprocess.max_candidates"),
        ("loss.ohem_ratio=0", "loss", "loss.ohem_ratio"),
        ("targets.shrink_ratio=2", "targets", "targets.shrink_ratio"),
    ],
)
def test_parts_of_a_run_have_their_keys(override, part, key):
    with pytest.raises(ConfigError) as caught:
        getattr(assemble(compose("train", override.split())), part)
    assert str(caught.value).startswith(key)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optim.lr_scale={bakbone: 0.1}"], r"^optim\.lr_scale: unknown part 'bakbone'; did you mean backbone\?$"),
        (["optim.lr_scale={backbone: 0}"], r"^optim\.lr_scale\.backbone: expected a number above 0, got 0; .*freeze"),
        (["optim.lr_scale={neck: 0.1}", "model.freeze=[neck]"], r"^optim\.lr_scale\.neck: .*frozen by model\.freeze"),
        (["optim.layer_decay=2"], r"^optim\.layer_decay: expected a number above 0, up to 1"),
        (
            ["model.unfreeze_after_steps=9"],
            r"^model\.unfreeze_after_steps=9: freeze is empty.*model\.freeze=\[backbone",
        ),
        (
            ["model.unfreeze_after_steps=0", "model.freeze=[neck]"],
            r"^model\.unfreeze_after_steps: expected a whole num",
        ),
    ],
)
def test_rates_of_parts_that_cannot_be_are_one_line(overrides, message):
    with pytest.raises(ConfigError, match=message):
        _ = assemble(compose("train", ["model.backbone.scale=0.35", *overrides])).optimizer


def test_a_part_that_learns_later_is_in_the_optimizer_and_has_its_rate():
    overrides = ["model.backbone.scale=0.35", "model.freeze=[backbone]", "optim.lr_scale={head: 2}"]
    parts = assemble(compose("train", [*overrides, "model.unfreeze_after_steps=9", "optim.layer_decay=0.5"]))
    owned = {parameter.name for group in parts.optimizer._parameter_list for parameter in group["params"]}
    rates = {name: value.optimize_attr["learning_rate"] for name, value in parts.learns.named_parameters()}
    assert all(value.name in owned for name, value in parts.learns.named_parameters() if "_mean" not in name
               and "_variance" not in name)  # fmt: skip
    assert rates["head.binarize.conv1.weight"] == 2
    assert rates["neck.in2_conv.weight"] == 1
    depth = max(key for name, key in parts.rates.groups.items() if name == "backbone/last")
    assert depth == 0.5
    assert rates["backbone.conv.conv.weight"] == parts.rates.groups["backbone/first"] == 0.5**17
    assert parts.learns.backbone.conv.conv.weight.stop_gradient


class Fragile:
    def __init__(self, values):
        self.first = 1 / values[0]


@pytest.mark.parametrize("value", [[], [0], {"a": 1}])
def test_whatever_a_constructor_raises_for_a_value_is_one_line(value):
    config = OmegaConf.create({"a": {"_target_": f"{__name__}.Fragile", "values": value}})
    with pytest.raises(ConfigError, match=r"^a: \w+Error: ") as caught:
        build(config.a)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_"])
def test_strange_values_of_hydras_own_keys_are_one_line(key):
    config = OmegaConf.create({"a": {"_target_": HERE, key: 40}})
    with pytest.raises(ConfigError, match=r"^a: ") as caught:
        build(config.a)
    assert "\n" not in str(caught.value)


def test_advice_has_the_whole_key_too(tmp_path):
    config = compose("train", ["model=crnn_mbv3", "charset=digits", "charset.unknown_map={a: '1'}"])
    with pytest.raises(ConfigError, match=r"^charset\.unknown_map: .* set charset\.unknown=map$"):
        build_charset(config)
    config = compose("train", ["optim.scale_lr=true", "optim.reference_batch=null"])
    with pytest.raises(ConfigError, match=r"^optim\.scale_lr=true: needs reference_batch"):
        _ = assemble(config).lr
    with pytest.raises(ConfigError, match=r"^model\.freeze: covers the whole model"):
        build_model(compose("train", ["model.freeze=[backbone,neck,head]"]))
    with pytest.raises(ConfigError, match=r"^model\.pretrained=.*none: file not found"):
        build_model(compose("train", [f"model.pretrained={tmp_path / 'none'}"]))
    paths = address("part", ["root", "train"], "train: /root=1/x.txt is missing, got 'train=2'; set root=/x or train=a")
    assert paths == "part.train: /root=1/x.txt is missing, got 'train=2'; set part.root=/x or part.train=a"


def test_what_a_data_set_finds_later_has_its_key(tmp_path):
    source = build_source(compose("train", ["dataset=det_list", f"dataset.root={tmp_path}"]).dataset)
    with pytest.raises(DataError, match=r"^dataset\.train_labels: .*set dataset\.root or dataset\.train_labels$"):
        source.train_records()
    (tmp_path / "fonts").mkdir()
    overrides = ["dataset=synth_det", f"dataset.fonts={tmp_path / 'fonts'}", f"dataset.cache_dir={tmp_path}"]
    with pytest.raises(DataError, match=r"^dataset\.fonts=.*no readable"):
        build_source(compose("train", overrides).dataset).train_records()
    charset = build_charset(compose("train", ["model=crnn_mbv3", "charset=digits"]))
    with pytest.raises(DataError, match=r"charset\.use_space_char=true"):
        charset.check([("1 2", "list.txt:1")])
