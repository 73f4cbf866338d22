"""Every shipped config file composes, resolves, and fits the signatures of what it names."""

import pytest
from omegaconf import OmegaConf, open_dict

from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.paths import groups, options_of, shipped_conf
from ocrexp.config.task import with_default_model

NEEDED = {
    "dataset": {
        "det_format": ["dataset.root=/data", "dataset.format=coco_text"],
        "rec_format": ["dataset.root=/data", "dataset.format=easyocr"],
        "det_list": ["dataset.root=/data"],
        "icdar2015": ["dataset.root=/data"],
        "rec_list": ["dataset.root=/data"],
        "cls_list": ["dataset.root=/data"],
        "rec_lmdb": ["dataset.root=/data"],
        "rec_shards": ["dataset.root=/data"],
        "det_shards": ["dataset.root=/data"],
    },
    "dataset/text": {
        option: ["model=crnn_mbv3", *(["dataset.text.corpus.path=README.md"] if option == "corpus" else [])]
        for option in options_of("dataset/text")
    },
    "dataset/fonts": {"folder": ["dataset.fonts.folder.path=docs"]},
    "dataset/backgrounds": {"photographs": ["dataset.backgrounds.photographs.path=docs"]},
    "model/backbone": {
        "vit_parseq": ["model=parseq"],
        "vitstr_tiny": ["model=vitstr_tiny"],
        "svtr_cppd": ["model=cppd"],
    },
    # They read the image shape of a recogniser.
    **{
        group: {option: ["model=crnn_mbv3"] for option in options_of(group) if option.startswith("rec")}
        for group in ("preprocess", "augment")
    },
    "model": {
        f"distill{kind}": ["model/student=crnn_mbv3", *([] if kind.endswith("dml") else ["model/teacher=crnn_r34"])]
        for kind in ("", "_dml", "_cml", "_udml")
    },
    "loss": {"distill": ["model=distill", "model/student=crnn_mbv3", "model/teacher=crnn_r34"]},
    "loss/terms": {
        option: ["model=distill", "model/student=crnn_mbv3", "model/teacher=crnn_r34"]
        for option in options_of("loss/terms")
    },
    "charset": {"characters": ["charset.characters=abc"], "dictionary": ["charset.path=dict.txt"]},
    "model/neck": {"pren_fpn": ["targets=pren"]},
    "model/auxiliary": {"ctc": ["model=crnn_mbv3"]},
    "model/transform": {"tps": ["model=crnn_mbv3"], "stn": ["model=svtr_tiny"], "ga_spin": ["model=spin"]},
    # Sizes are the recogniser's.
    "preprocess": {name: ["model=crnn_mbv3"] for name in options_of("preprocess") if name.startswith("rec")},
    "augment": {
        name: ["model=crnn_mbv3", "preprocess=rec"] for name in options_of("augment") if name.startswith("rec")
    },
    # Heads that decode character by character read the length of the labels.
    "model/head": {
        "attention": ["targets=attention"],
        "nrtr": ["targets=nrtr"],
        "sar": ["targets=sar"],
        "parseq": ["targets=parseq"],
        **{name: [f"targets={name}"] for name in ("cppd", "satrn", "rfl", "spin")},
        "abinet": ["model=abinet"],
        "visionlan": ["targets=visionlan"],
        "srn": ["targets=srn"],
        "robustscanner": ["targets=sar"],
        "seed": ["targets=seed"],
        **{name: ["targets=ctc_nrtr"] for name in options_of("model/head") if name.startswith("multi_nrtr")},
        "multi_sar": ["targets=ctc_sar"],
    },
}


def _text(option: str) -> str:
    return (shipped_conf() / "dataset" / f"{option}.yaml").read_text(encoding="utf-8")


OPTIONS = sorted(
    (
        (group, option)
        for group in groups()
        if group not in ("hydra", "runtime", "task") and not group.startswith("hydra/")
        for option in options_of(group)
        # Data sets in their own format differ in its name: tests/data/formats/test_datasets.py builds each of them.
        if group != "dataset" or option in ("det_format", "rec_format") or "format_lists" not in _text(option)
    ),
    key=lambda item: item[0] not in ("model", "experiment"),  # most other options are part of these
)
FITS: set[tuple[str, str]] = set()  # options of configurations that have been composed and checked


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_option_composes_and_fits(group, option):
    if (group, option) in FITS:
        return
    overrides = with_default_model([f"{group}={option}", *NEEDED.get(group, {}).get(option, [])])
    config = compose("train", overrides, with_hydra=True)
    chosen = config.hydra.runtime.choices
    assert chosen[group] == option
    with open_dict(config):
        del config["hydra"]
    if group == "experiment" and OmegaConf.is_missing(config.dataset, "root"):
        config.dataset.root = "/data"  # a recipe leaves it to the user
    check(config)
    FITS.update((group, chosen[group]) for group in chosen if isinstance(chosen[group], str))


def test_model_stands_after_every_group_its_task_sets():
    """Hydra applies a task's overrides only to groups listed before it: the order is part of the contract."""
    defaults = [next(iter(item)) for item in OmegaConf.load(shipped_conf() / "train.yaml").defaults if item != "_self_"]
    for task in (shipped_conf() / "task").glob("*.yaml"):
        for item in OmegaConf.load(task).defaults:
            if isinstance(item, str):  # a file that it inherits from, which this test reads too
                continue
            group = next(iter(item)).removeprefix("override ").lstrip("/")
            assert defaults.index(group) < defaults.index("model"), f"{group} must stand before model"


def test_every_file_begins_with_a_line_that_says_what_it_is():
    for path in shipped_conf().rglob("*.yaml"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# "), path


def test_a_choice_on_the_command_line_wins_over_the_task():
    config = compose("train", ["model=db_mbv3", "augment=none"])
    assert config.augment.warp.flip == 0


def test_drawn_words_are_written_in_the_charset():
    dataset = compose("train", ["model=crnn_mbv3", "charset=digits"]).dataset
    assert dataset.characters == "0123456789"
    dataset = compose("train", ["model=crnn_mbv3", "charset=dictionary", "charset.path=dict.txt"]).dataset
    assert (dataset.characters, dataset.dictionary) == (None, "dict.txt")


def test_optimizer_values_stand_at_optim():
    config = compose("train", ["optimizer=adamw", "optim.lr=1e-4"])
    assert config.optim.lr == 1e-4
    assert "AdamW" in config.optim.optimizer._target_


def test_swapping_the_backbone_rewires_the_neck():
    paddle = pytest.importorskip("paddle")
    from ocrexp.assemble import build_model

    model = build_model(compose("train", ["model=db_mbv3", "model/backbone=resnet18_vd", "model.neck.out_channels=24"]))
    model.eval()
    maps = model(paddle.zeros([1, 3, 64, 64]))["maps"]
    assert list(maps.shape) == [1, 1, 64, 64]
