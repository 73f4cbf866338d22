"""A training that starts from an export: every format gives the trained model back; what does not fit is one line."""

import json
from pathlib import Path

import pytest

from ocrexp.errors import CheckpointError
from ocrexp.folders import cache_folder
from ocrexp.weights.registry import REGISTRY, fetched

SCRIPT = Path(__file__).with_name("starts.py")
CACHE = str(cache_folder())  # the user's own; tests get an empty one


@pytest.fixture(scope="module")
def found(exported, in_child):
    done = in_child(str(SCRIPT), str(exported.folder))
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["onnx", "paddle", "legacy", "folder"])
def test_each_format_gives_the_trained_recognizer(found, kind):
    assert found[kind] < 1e-5


def test_characters_that_both_know_keep_their_rows(found):
    assert found["kept rows"]
    assert found["share"]["backbone"] == found["share"]["neck"] == 1.0


def test_a_folded_batch_norm_gets_the_statistics_of_images(found):
    assert found["det"] < 1e-4
    assert found["det calibrated"]["folded"] == ["head.binarize.conv_bn2"]
    assert found["det calibrated"]["batches"] == 2
    assert found["det calibrated"]["moved"] < 1e-5
    assert found["statistics"]


def test_fused_blocks_train_as_one_convolution(found):
    assert found["branches"]["fused"] < 1e-5
    assert found["branches"]["norms when fused"] == 1  # that of the first convolution


def test_calibrated_blocks_evaluate_and_train_as_the_deployed_network(found):
    branches = found["branches"]
    assert max(branches["calibrated"], branches["auto"], *branches["moved"]) < 1e-4  # 2e-5 on some CPUs
    assert branches["batch statistics"] < 1e-2
    assert branches["naive"] > 0.5  # guessed statistics: the first training step sees other outputs
    assert branches["trainable"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("det without images", ["model.pretrained=", "training images", ".pdparams"]),
        ("another model", ["layers agree", "conv [", "(backbone.", "choose the model"]),
        ("another kind", ["det/inference", "choose the model"]),
        ("mode", ["model.pretrained_mode=fused", "`fused`", "auto"]),
        ("unknown mode", ["model.pretrained_mode", "fused", "'fast'"]),
        ("dictionary", ["7 classes", "two.txt", "3 or 4", "model.pretrained_charset"]),
        ("gone", ["gone.onnx", "there is no such file"]),
    ],
)
def test_what_does_not_fit_is_one_line(found, what, words):
    assert "\n" not in found[what]
    for word in words:
        assert word in found[what]


@pytest.mark.parametrize("name", ["ppocrv3_rec", "ppocrv4_rec", "ppocrv4_det", "ppocrv6_small_det", "ppocr_cls_v2"])
def test_registered_models_give_their_own_outputs(name, in_child, monkeypatch):
    """The gate compares them; the weights are not in the repository."""
    monkeypatch.setenv("OCREXP_CACHE", CACHE)
    try:
        fetched(REGISTRY[name])
    except CheckpointError as error:
        pytest.skip(str(error))
    done = in_child(str(SCRIPT), "real", name)
    assert done.returncode == 0, done.stderr[-2000:]
    shares = json.loads(done.stdout.splitlines()[-1])
    assert min(share for part, share in shares.items() if part != "head") > 0.999
