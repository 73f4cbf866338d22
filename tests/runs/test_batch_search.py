"""The largest batch: the search, tries that run out of memory, and what is written into a run."""

import json
from pathlib import Path

import pytest
import warm
from omegaconf import OmegaConf

from ocrexp.config.check import check_early
from ocrexp.config.compose import compose
from ocrexp.engine.status import read_status
from ocrexp.errors import ConfigError, TrainingError
from ocrexp.runs import batch_search
from ocrexp.runs.batch_search import BatchLimits, check_auto, configured_for, find_batch, largest, rate_line
from ocrexp.runs.grid import difference

# A try that takes 8 MB per image, or fails as its configuration says; it imports nothing.
TRY = """
import json, os, re, signal, sys
text = json.load(sys.stdin)["config"]
batch, seed = int(re.search(r"batch_size: (\\d+)", text)[1]), int(re.search(r"^seed: (\\d+)", text, re.M)[1])
if seed == 1 and batch > 4:
    os.kill(os.getpid(), signal.SIGKILL)
if seed == 2:
    print("ocrexp: labels: cannot be read", file=sys.stderr)
    sys.exit(2)
if seed == 3:
    raise SystemExit("ValueError: broken")
if seed == 4 and batch > 5:
    print(json.dumps({"out_of_memory": "ResourceExhaustedError: Out of memory"}))
    sys.exit()
held = b"x" * (batch << 23)
import time
time.sleep(0.2)
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) * 1024
print(json.dumps({"peak": peak, "total": None, "seconds": 0.1, "images": batch, "size": [32, 64], "batch_bytes": 1000}))
"""


@pytest.fixture
def tries(tmp_path, monkeypatch, tiny_lists):
    """`tries(seed)`: the configuration of a detector whose tries run TRY."""
    script = tmp_path / "try.py"
    script.write_text(TRY)
    monkeypatch.setattr(batch_search, "_TRY", script)
    given = ["dataset=det_list", f"dataset.root={tiny_lists}", "loader.num_workers=0", "trainer.device=cpu"]
    return lambda seed, *more: compose("train", [*given, f"seed={seed}", *more])


@pytest.mark.parametrize("start", [1, 3, 8, 50])
@pytest.mark.parametrize("limit", [0, 1, 2, 7, 8, 31, 40])
def test_doubling_and_bisection_find_the_largest(start: int, limit: int) -> None:
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= limit

    assert largest(fits, start, 40, 0.0) == limit
    assert len(asked) == len(set(asked)) <= 12
    assert max(asked) <= 40
    if limit:
        found = largest(lambda size: size <= 1000 * limit, start, 100_000, 0.05)
        assert 0.95 * 1000 * limit < found <= 1000 * limit


def test_a_try_that_needs_too_much_is_ended_and_the_next_one_is_smaller(tries) -> None:
    found = find_batch(tries(0), BatchLimits(most=64, memory=0.2, reserve=0.25))
    assert found.usable == int(0.15 * 2**30)
    assert 8 <= found.batch < 18  # 8 MB per image, and what Python takes
    ended = [one for one in found.tries if not one.fits]
    assert ended and all(one.batch > found.batch and one.why == "more than 0.15 GB" for one in ended)
    assert all(one.peak < found.usable and one.size == (32, 64) for one in found.tries if one.fits)
    assert found.reason.endswith("of 0.15 GB")


def test_the_most_and_a_quarter_of_the_images_limit_the_search(tries) -> None:
    assert find_batch(tries(0), BatchLimits(most=2, memory=1)).reason == "it fits, and 2 is the largest one to try"
    assert find_batch(tries(0), BatchLimits(memory=1)).batch == 3  # of 12 images
    assert find_batch(tries(0, "trainer.accumulate=2"), BatchLimits(memory=1)).batch == 1


def test_processes_of_a_cpu_share_its_memory(tries) -> None:
    found = find_batch(tries(0, "trainer.devices=2"), BatchLimits(most=4, memory=0.5, reserve=0.0))
    assert found.usable == 2**28


def test_a_try_that_the_system_kills_does_not_fit(tries) -> None:
    found = find_batch(tries(1), BatchLimits(most=16, memory=1, tolerance=0))
    assert found.batch == 4
    assert {one.why for one in found.tries if not one.fits} == {"the process was killed, out of memory"}


def test_an_allocation_that_fails_does_not_fit(tries) -> None:
    assert find_batch(tries(4), BatchLimits(most=16, memory=1, tolerance=0)).batch == 5


def test_what_cannot_train_is_one_line(tries) -> None:
    with pytest.raises(ConfigError, match=r"^labels: cannot be read$"):
        find_batch(tries(2), BatchLimits(memory=1))
    with pytest.raises(TrainingError, match=r"^loader.batch_size=3: .* failed: ValueError: broken; "):
        find_batch(tries(3), BatchLimits(memory=1))
    with pytest.raises(TrainingError, match=r"^loader.batch_size: not even 1 image fits \(more than 0.00 GB\); "):
        find_batch(tries(0), BatchLimits(memory=0.001))


@pytest.mark.parametrize(
    ("values", "key"),
    [({"start": 0}, "start"), ({"most": 1.5}, "most"), ({"memory": 0}, "memory"), ({"reserve": 1}, "reserve")],
)
def test_limits_that_cannot_be_are_named(values: dict, key: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: expected "):
        BatchLimits(**values)


def test_a_try_has_the_configuration_without_what_takes_time_only(tmp_path: Path) -> None:
    given = ["model=crnn_mbv3", "dataset=synth_rec", "loader=multi_scale", "loader.multi_scale.by_ratio=true"]
    given += ["model.freeze=[backbone]", "model.unfreeze_after_steps=5", "loader.drop_last=true"]
    config = compose("train", given)
    tried = configured_for(config, 12)
    assert (tried.loader.batch_size, tried.loader.num_workers, tried.loader.drop_last) == (12, 0, False)
    assert not tried.loader.multi_scale.by_ratio and not tried.model.freeze
    assert config.loader.multi_scale.by_ratio and config.model.freeze == ["backbone"]
    assert tried.trainer == config.trainer and tried.optim == config.optim


def test_auto_is_refused_where_no_single_number_is_found() -> None:
    auto = "loader.batch_size=auto"
    check_early(compose("train", [auto]))
    with pytest.raises(ConfigError, match=r"^loader.batch_size: expected a whole number, .* or auto, got 'many'$"):
        check_early(compose("train", ["loader.batch_size=many"]))
    check_auto(compose("train", ["adapt=det"]))
    check_auto(compose("train", [auto]), "hydra._internal.core_plugins.basic_launcher.BasicLauncher")
    with pytest.raises(ConfigError, match="adapt chooses the batch itself"):
        check_auto(compose("train", [auto, "adapt=det"]))
    with pytest.raises(ConfigError, match=r"several machines .* find-batch"):
        check_auto(compose("train", [auto, 'trainer.launch_args=["--nnodes","2"]']))
    with pytest.raises(ConfigError, match="at the same time share the memory"):
        check_auto(compose("train", [auto, "trainer.device=cpu"]), "hydra_plugins.hydra_joblib_launcher.JoblibLauncher")


def test_the_rate_is_only_talked_about() -> None:
    config = compose("train", ["optim.lr=0.001", "loader.batch_size=8", "trainer.devices=2"])
    assert "(from 16 to 64 images per step; Goyal et al. 2017) it would be optim.lr=0.004" in rate_line(config, 32)
    assert config.optim.lr == 0.001
    auto = compose("train", ["loader.batch_size=auto"])
    assert rate_line(auto, 32) == "optim.lr=0.001 stays as it is; `python -m ocrexp find-lr` measures it"
    scaled = compose("train", ["optim.scale_lr=true", "optim.reference_batch=8"])
    assert "follows the batch" in rate_line(scaled, 32)


def test_auto_is_a_number_in_the_run_which_a_resume_uses_again(tiny_run, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    overrides = [item for item in tiny_run if not item.startswith("loader.batch_size")]
    overrides += [f"run_dir={run_dir}", "loader.batch_size=auto", "trainer.max_epochs=1", "callbacks=none"]
    done = warm.run(["-m", "ocrexp", *overrides], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loader.batch_size=3 fits, peak " in done.stderr
    assert OmegaConf.load(run_dir / "config_resolved.yaml").loader.batch_size == 3
    status = read_status(run_dir)
    assert status is not None and (status["state"], status["batch_size"], status["step"]) == ("done", 3, 4)
    assert difference(run_dir, compose("train", overrides)) is None  # so a sweep that comes back knows the run
    done = warm.run(["-m", "ocrexp", "resume", f"run_dir={run_dir}", "trainer.max_epochs=2"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "trying batches" not in done.stderr
    status = read_status(run_dir)
    assert status is not None and (status["batch_size"], status["step"]) == (3, 8)


def test_the_verb_prints_the_tries_and_the_override(tries, tmp_path: Path, monkeypatch, capsys) -> None:
    from ocrexp.commands import find_batch as verb

    config = tries(0)
    monkeypatch.setattr(verb, "compose_training", lambda name, overrides: config)
    given = ["memory=0.2", "reserve=0.25", "most=64", f"output={tmp_path / 'tries.json'}"]
    assert verb.run(given) == 0
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "tries.json").read_text())
    assert f"loader.batch_size={written['batch_size']}   " in out
    assert "32×64" in out and "more than 0.15 GB" in out and "peak memory" in out
    with pytest.raises(ConfigError, match=r"^output=.*tries.json: exists and is not overwritten"):
        verb.run(given)
    for wrong in ("reserve=2", "memory=much", "tolerance=null"):
        with pytest.raises(ConfigError, match=rf"^{wrong.split('=')[0]}: expected a (share|number)"):
            verb.run([wrong])
    with pytest.raises(ConfigError, match="run_dir=x: find-batch trains in no run folder"):
        verb.run(["run_dir=x"])
