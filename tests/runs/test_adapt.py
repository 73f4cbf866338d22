"""A run that is fitted to its data: keys of the command line win, the frozen configuration has plain values."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import warm
from omegaconf import OmegaConf
from shard_making import write_tar

from ocrexp.adapt.base import Pace
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.engine.status import FAILED, read_status
from ocrexp.errors import ConfigError, DataError
from ocrexp.runs import measure
from ocrexp.runs.adapt import adapt
from ocrexp.runs.choices import ADAPTED, as_adapted
from ocrexp.runs.grid import difference

TINY = [
    "model=ppocrv4_rec_ctc",
    "model.backbone.scale=0.35",
    "model.neck.depth=1",
    "model.pretrained_mode=fused",
    "charset=characters",
    "charset.characters='0123 '",
    "trainer.device=cpu",
]


def lines(root: Path, count=30) -> Path:
    """A data set of drawn numbers without a validation list."""
    root.mkdir()
    rng = np.random.default_rng(0)
    with (root / "train_list.txt").open("w") as file:
        for number in range(count):
            text = "".join(map(str, rng.integers(0, 4, rng.integers(1, 5))))
            image = np.full((32, 20 * len(text) + 8, 3), 255, np.uint8)
            cv2.putText(image, text, (2, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
            cv2.imwrite(str(root / f"{number}.png"), image)
            file.write(f"{number}.png\t{text}\n")
    return root


@pytest.fixture
def root(tmp_path):
    return lines(tmp_path / "data")


@pytest.fixture
def pace(monkeypatch):
    """Half a second per step, without measuring."""
    asked = []
    monkeypatch.setattr(
        measure, "measure", lambda config, ranks, size: asked.append((ranks, size)) or Pace(0.5, 2.0, 4)
    )
    return asked


def fitted(run_dir, *overrides):
    """The configuration of a run after its adaptation."""
    run_dir.mkdir(exist_ok=True)
    given = ["experiment=finetune_rec", "trainer.device=cpu", "model.pretrained=null", *overrides]
    config = compose("train", given)
    adapt(config, run_dir, given)
    return config


def test_what_is_chosen_is_plain_and_passes_the_check(root, tmp_path, pace):
    config = fitted(tmp_path / "run", f"dataset.root={root}")
    assert config.dataset.val_split == 0.1
    assert config.charset.use_space_char is True
    assert config.loader.batch_size * config.trainer.devices <= 6  # a quarter of 27
    assert config.trainer.max_steps <= 160
    assert config.trainer.max_steps % config.trainer.eval_every_steps == 0
    assert config.loader.multi_scale.sizes == [[48, width] for _, width in config.loader.multi_scale.sizes]
    assert pace == [(config.trainer.devices, config.trainer.devices)]
    check(config)
    told = (tmp_path / "run" / "train.log").read_text()
    assert f"adapt: optim.lr={config.optim.lr:g} (27 lines, " in told
    assert "has no val_list.txt" in told


def test_keys_of_the_command_line_and_of_keep_win(root, tmp_path, pace):
    given = ["optim.lr=0.1", "charset=digits", "trainer.max_steps=7", "loader.batch_size=3", "trainer.devices=1"]
    given = [*given, "adapt.keep=[trainer.ema_decay]", "model=ppocrv4_rec_ctc"]
    config = fitted(tmp_path / "run", f"dataset.root={root}", *given)
    assert (config.optim.lr, config.trainer.max_steps, config.loader.batch_size) == (0.1, 7, 3)
    assert config.charset.use_space_char is False
    assert config.model.image_shape == [48, 64]  # the choice of a model says nothing of it
    assert config.trainer.ema_decay is None
    assert config.optim.schedule.warmup_steps == 1
    told = (tmp_path / "run" / "train.log").read_text()
    assert "optim.lr=0.1 is kept, because it is set on the command line" in told
    assert "trainer.ema_decay=None is kept, because adapt.keep has it" in told


def test_a_sweep_that_comes_back_finds_the_same_run(root, tmp_path, pace):
    run_dir, given = tmp_path / "run", ["experiment=finetune_rec", "trainer.device=cpu", "model.pretrained=null"]
    given = [*given, f"dataset.root={root}"]
    config = fitted(run_dir, f"dataset.root={root}")
    (run_dir / "config_resolved.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    assert difference(run_dir, compose("train", given)) is None
    assert as_adapted(run_dir, compose("train", given)) == config
    changed = difference(run_dir, compose("train", [*given, "optim.lr=0.1"]))
    assert changed == f"optim.lr={config.optim.lr}, now 0.1"
    changed = difference(run_dir, compose("train", [*given, "trainer.max_minutes=3"]))
    assert "trainer.max_minutes=20" in changed
    (run_dir / ADAPTED).write_text("{")  # a record that is damaged: the sweep is refused
    assert difference(run_dir, compose("train", given)) is not None


def test_a_record_of_someone_else_names_nothing_to_build(tmp_path):
    (tmp_path / ".hydra").mkdir()
    config = compose("train", [])
    for key, before, value in (
        ("loss._target_", config.loss._target_, "os.system"),
        ("seed", 0, "${oc.env:HOME}"),
        ("loss", None, {"_target_": "os.system"}),
        ("seed", 0, [["${oc.env:HOME}"]]),
    ):
        choice = {"key": key, "before": before, "value": value, "reason": ""}
        (tmp_path / ADAPTED).write_text(json.dumps({"choices": [choice]}))
        assert as_adapted(tmp_path, config) == config
    (tmp_path / ADAPTED).write_text(json.dumps({"choices": [{"key": "seed", "before": 0, "value": 3, "reason": ""}]}))
    assert as_adapted(tmp_path, config).seed == 3


def test_what_cannot_be_is_one_line_and_the_run_has_failed(root, tmp_path, pace):
    with pytest.raises(ConfigError, match=r"^adapt: DetAdaptation is for task=det, .* use adapt=rec or adapt=none$"):
        fitted(tmp_path / "a", f"dataset.root={root}", "adapt=det")
    assert read_status(tmp_path / "a")["state"] == FAILED
    with pytest.raises(ConfigError, match=r"^adapt\.lr: expected a number above 0, got 0"):
        fitted(tmp_path / "b", f"dataset.root={root}", "adapt.lr=0")
    with pytest.raises(DataError):
        fitted(tmp_path / "c", f"dataset.root={tmp_path / 'nowhere'}")
    assert pace == []


def test_nothing_is_chosen_without_the_node(tmp_path):
    config = compose("train", [])
    adapt(config, tmp_path, [])
    assert config == compose("train", [])
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The folder of a tiny recognizer, fused, as a deployed model."""
    folder = tmp_path_factory.mktemp("deployed")
    script = f"""
import paddle
from ocrexp.assemble import build_charset, build_model
from ocrexp.config.compose import compose
from ocrexp.export.network import InferenceNetwork, trace
config = compose("train", {TINY!r})
paddle.seed(0)
model = build_model(config, build_charset(config))
model.eval()
paddle.jit.save(trace(InferenceNetwork(model), [None, 3, 48, None]), {str(folder / "inference")!r})
"""
    path = folder / "make.py"
    path.write_text(script)
    done = warm.run([str(path)])
    assert done.returncode == 0, done.stderr
    (folder / "dictionary.txt").write_text("0\n1\n2\n3\n \n")
    return folder


def test_a_run_from_a_deployed_model_is_fitted_trained_and_resumed(tmp_path, deployed):
    root, run_dir = lines(tmp_path / "data", 16), tmp_path / "run"
    overrides = [
        "experiment=finetune_rec", f"dataset.root={root}", f"run_dir={run_dir}", *TINY, f"model.pretrained={deployed}",
        "trainer.devices=1", "trainer.max_epochs=1", "loader.num_workers=0", "callbacks=none", "trainer.val_loss=false",
    ]  # fmt: skip
    done = warm.run(["-m", "ocrexp", *overrides], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = OmegaConf.load(run_dir / "config_resolved.yaml")
    chosen = {choice["key"]: choice["value"] for choice in json.loads((run_dir / ADAPTED).read_text())["choices"]}
    assert {"trainer.max_steps", "optim.lr", "loader.batch_size", "trainer.ema_decay"} <= chosen.keys()
    assert all(OmegaConf.select(config, key) == value for key, value in chosen.items())
    assert "trainer.devices" not in chosen
    assert sum(line.startswith("adapt: ") for line in done.stderr.splitlines()) > len(chosen)
    status = read_status(run_dir)
    assert (status["state"], status["step"]) == ("done", config.trainer.max_steps)

    more = config.trainer.max_steps + 1
    done = warm.run(
        ["-m", "ocrexp", "resume", f"run_dir={run_dir}", f"trainer.max_steps={more}", "trainer.max_epochs=null"],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "adapt: " not in done.stderr
    assert read_status(run_dir)["step"] == more
    with (run_dir / "metrics.csv").open() as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) == more


def test_of_shards_some_samples_are_looked_at(root, tmp_path, pace, monkeypatch):
    monkeypatch.setenv("OCREXP_CACHE", str(tmp_path / "cache"))
    lines = [line.split("\t") for line in (root / "train_list.txt").read_text().splitlines()]
    for shard in range(3):
        members = [
            (f"{place}.{suffix}", data)
            for place, (name, text) in enumerate(lines[shard::3])
            for suffix, data in (("png", (root / name).read_bytes()), ("txt", text.encode()))
        ]
        write_tar(root / f"train-{shard}.tar", members)
        write_tar(root / "val-0.tar", members)
    given = [item for item in TINY if not item.startswith("charset")]
    given += [
        "charset=en94",
        "trainer.devices=1",
        "dataset=rec_shards",
        f"dataset.root={root}",
        "adapt=rec",
        "loader=multi_scale",
    ]
    config = compose("train", [*given, "loader.multi_scale.by_ratio=true", "loader.multi_scale.fix_batch=true"])
    (tmp_path / "run").mkdir()
    adapt(config, tmp_path / "run", given)
    assert "looked at 30 of 30 samples of the training shards" in (tmp_path / "run" / "train.log").read_text()
    assert config.loader.batch_size == 7  # a quarter of the samples
    widths = [width for _, width in config.loader.multi_scale.sizes]
    assert len(widths) > 1
    assert max(widths) <= 160
    check(config)
