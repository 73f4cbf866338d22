"""What a run does: steps, intervals, evaluations, the best, the end, and going on after a stop."""

import json
import logging
import math
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import paddle
import pytest
from standins import (
    Closeness,
    FakeEvalLoader,
    FakeLoader,
    Net,
    Recorder,
    assert_same,
    make_batch,
    make_trainer,
    read_value,
    squared_error,
    weights,
)

from ocrexp.data.regions import LABELED, OUTSIDE
from ocrexp.data.sample_counts import SampleCount, add_counts
from ocrexp.engine import space
from ocrexp.engine.callbacks.base import Callback
from ocrexp.engine.callbacks.early_stopping import EarlyStopping
from ocrexp.engine.checkpoint import CheckpointStore
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.status import PRUNED, read_status
from ocrexp.engine.step import Stepper
from ocrexp.errors import CheckpointError, ConfigError, TrainingError
from ocrexp.results import ZeroEvidence
from ocrexp.tasks.find import find_task


class At(Callback):
    """Does something after a step; the runs log every step for it."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_step_end(self, run: Any, values: Any) -> None:
        if run.step == self.step:
            self.act(run)


def test_a_run_trains_evaluates_and_leaves_its_files(tmp_path: Path) -> None:
    recorder = Recorder()
    trainer = make_trainer(tmp_path, logger=recorder, save_every_epochs=1)
    result = trainer.fit()
    assert (result.state, result.step, result.exit_code) == ("done", 12, 0)
    names = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pd*"))
    assert names == [
        f"{name}.{suffix}"
        for name in ("best_accuracy", "iter_epoch_1", "iter_epoch_2", "latest")
        for suffix in ("pdopt", "pdparams", "pdstates")
    ]
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["step"], status["total_steps"], status["error"]) == ("done", 12, 12, None)
    assert status["best_value"] == result.best_value == result.metrics["closeness"]
    assert status["peak_memory_mb"] > 50
    assert recorder.finished == ["done"]
    assert [path.name for path in recorder.artifacts] == ["best_accuracy.pdparams"]
    steps = [step for step, values in recorder.values if "train/loss" in values]
    assert steps == [2, 4, 6, 8, 10, 12]
    first = next(values for _, values in recorder.values if "train/loss" in values)
    assert first.keys() == {
        "train/loss", "train/loss_near", "train/loss_small", "train/lr", "train/images_per_second", "train/data_wait",
        "train/epoch",
    }  # fmt: skip
    assert [step for step, values in recorder.values if "val/closeness" in values] == [6, 12]
    assert_same({k: np.asarray(v) for k, v in paddle.load(str(tmp_path / "checkpoints/latest.pdparams")).items()},
                weights(trainer))  # fmt: skip


def test_logged_losses_are_the_means_of_the_interval(tmp_path: Path) -> None:
    """Against a plain loop of the same model, optimizer and data."""
    recorder = Recorder()
    make_trainer(tmp_path, model=None, logger=recorder, max_epochs=1).fit()
    other = make_trainer(tmp_path / "other", max_epochs=1)
    from ocrexp.engine.seed import seed_step

    losses = []
    optimizer = other._stepper.optimizer
    other.model.train()
    for step, batch in enumerate(FakeLoader().epoch(0)):
        seed_step(5, step, 0)
        optimizer.set_lr(0.01 * 0.5 * (1 + math.cos(math.pi * step / 6)))
        tensors = {key: paddle.to_tensor(value) for key, value in batch.items()}
        loss = squared_error(other.model(tensors["image"]), tensors)["loss"]
        losses.append(float(loss))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    logged = [values["train/loss"] for _, values in recorder.values if "train/loss" in values]
    assert logged == pytest.approx([np.mean(losses[i : i + 2]) for i in (0, 2, 4)], rel=1e-6)


def test_accumulated_batches_make_the_step_of_one_large_batch(tmp_path: Path) -> None:
    """No batch norm and no dropout: those see the parts of a batch by themselves."""
    ends = []
    for size, accumulate in ((8, 1), (4, 2), (2, 4)):
        loader = FakeLoader(24, size)
        trainer = make_trainer(
            tmp_path / str(size), loader=loader, model=Net(False, 0.0), clip_norm=0.5, accumulate=accumulate,
            max_epochs=1,
        )  # fmt: skip
        trainer.model.set_state_dict({key: paddle.full_like(v, 0.1) for key, v in trainer.model.state_dict().items()})
        assert trainer.plan.total_steps == 3
        trainer.fit()
        ends.append(weights(trainer))
    for other in ends[1:]:
        for key, value in ends[0].items():
            np.testing.assert_allclose(other[key], value, atol=2e-6)


def test_the_last_step_of_an_epoch_takes_what_is_left(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, loader=FakeLoader(20, 4), accumulate=2, max_epochs=2)
    assert trainer.plan.steps_per_epoch == 3
    assert trainer.fit().step == 6


@pytest.mark.parametrize(
    ("settings", "evaluated"),
    [
        ({"eval_every_epochs": None, "eval_every_steps": 5}, [5, 10, 12]),
        ({"eval_every_epochs": 2}, [12]),
        ({"eval_every_epochs": None}, [12]),
        ({"eval_every_epochs": None, "eval_every_steps": 3, "eval_start_step": 8}, [9, 12]),
        ({"max_steps": 4}, [4]),
        ({"max_steps": 9}, [6, 9]),
    ],
)
def test_evaluations_come_at_their_intervals_and_at_the_end(
    tmp_path: Path, settings: dict[str, Any], evaluated: list[int]
) -> None:
    recorder = Recorder()
    make_trainer(tmp_path, logger=recorder, **settings).fit()
    assert [step for step, values in recorder.values if "val/closeness" in values] == evaluated
    assert (tmp_path / "checkpoints/best_accuracy.pdparams").exists()


def test_limits_shorten_epochs_and_evaluations(tmp_path: Path) -> None:
    recorder = Recorder()
    result = make_trainer(tmp_path, logger=recorder, limit_train_batches=2, limit_val_batches=1, max_epochs=3).fit()
    assert result.step == 6
    assert result.metrics["images"] == 2


def test_the_best_weights_are_the_evaluated_ones(tmp_path: Path) -> None:
    """With an average that is the average; evaluating the file again gives the metric that chose it."""
    trainer = make_trainer(tmp_path, ema_decay=0.9, lr=0.05)
    result = trainer.fit()
    best = paddle.load(str(tmp_path / "checkpoints/best_accuracy.pdparams"))
    latest = paddle.load(str(tmp_path / "checkpoints/latest.pdparams"))
    assert not np.array_equal(np.asarray(best["fc.weight"]), np.asarray(latest["fc.weight"]))
    assert_same(weights(trainer), {key: np.asarray(value) for key, value in latest.items()})
    model = Net()
    model.set_state_dict(best)
    again = Evaluator(FakeEvalLoader(), read_value, Closeness()).run(model)
    assert again.metrics == result.metrics


# Going on.


def _stop_and_go_on(tmp_path: Path, stop: Any, **settings: Any) -> tuple[dict[str, Any], dict[str, Any], Recorder]:
    """Final weights of an uninterrupted run, and of one that stopped and was taken up by a fresh trainer."""
    whole = make_trainer(tmp_path / "whole", **settings)
    whole.fit()
    first = make_trainer(tmp_path / "cut", callbacks={"stop": stop}, **settings)
    result = first.fit()
    assert result.state == "interrupted"
    assert result.exit_code == 143
    status = read_status(tmp_path / "cut")
    assert status is not None
    assert status["state"] == "interrupted"
    recorder = Recorder()
    second = make_trainer(tmp_path / "cut", logger=recorder, **settings)
    second.restore(CheckpointStore(tmp_path / "cut").load_for_resume())
    assert 0 < second.step < whole.step
    end = second.fit()
    assert end.state == "done"
    assert (end.best_step, end.metrics) == (whole.state.best_step, whole.best_metrics)
    return weights(whole), weights(second), recorder


@pytest.mark.parametrize("step", [2, 6, 8])
def test_sigterm_saves_and_the_run_goes_on_exactly(tmp_path: Path, step: int, caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of an epoch and at its end; with dropout, batch norm, an average and accumulation."""
    caplog.set_level(logging.INFO)
    stop = At(step, lambda run: os.kill(os.getpid(), signal.SIGTERM))
    settings = {"ema_decay": 0.8, "log_every_steps": 1, "loader": FakeLoader(24, 2), "accumulate": 2}
    whole, resumed, recorder = _stop_and_go_on(tmp_path, stop, **settings)
    assert_same(whole, resumed)
    assert "python -m ocrexp resume run_dir=" in caplog.text
    assert recorder.run is not None
    assert recorder.run.resumed
    assert recorder.run.state is None  # the first part had no such logger


def test_a_run_that_an_agent_stops_is_pruned_and_can_be_resumed(tmp_path: Path) -> None:
    stop = At(8, lambda run: os.kill(os.getpid(), signal.SIGTERM))
    recorder = Recorder()
    by = "the agent of a W&B sweep"
    result = make_trainer(tmp_path, callbacks={"stop": stop}, logger=recorder, log_every_steps=1, stopped_by=by).fit()
    assert (result.state, result.exit_code) == ("pruned", 0), "an agent counts other codes as failures"
    status = read_status(tmp_path) or {}
    assert (status["state"], status["reason"], status["error"]) == ("pruned", f"stopped by {by}", None)
    assert recorder.finished == ["pruned"]
    on = make_trainer(tmp_path)
    on.restore(CheckpointStore(tmp_path).load_for_resume())
    assert on.step == result.step < 12 and on.fit().state == "done"


def test_a_stop_during_an_evaluation_makes_the_evaluation_later(tmp_path: Path) -> None:
    class Interrupting(Closeness):
        def update(self, predictions: list[Any], references: list[Any]) -> None:
            super().update(predictions, references)
            os.kill(os.getpid(), signal.SIGTERM)

    whole = make_trainer(tmp_path / "whole")
    whole.fit()
    cut = make_trainer(tmp_path / "cut", evaluator=Evaluator(FakeEvalLoader(20), read_value, Interrupting()))
    assert cut.fit().state == "interrupted"
    recorder = Recorder()
    on = make_trainer(tmp_path / "cut", logger=recorder)
    on.restore(CheckpointStore(tmp_path / "cut").load_for_resume())
    assert on.step == 6
    assert on.fit().state == "done"
    assert [step for step, values in recorder.values if "val/closeness" in values] == [6, 12]
    assert_same(weights(whole), weights(on))
    assert on.state.best_metrics == whole.state.best_metrics


def test_a_finished_run_resumed_does_nothing(tmp_path: Path) -> None:
    first = make_trainer(tmp_path)
    first.fit()
    again = make_trainer(tmp_path)
    again.restore(CheckpointStore(tmp_path).load_for_resume())
    assert again.fit().step == 12
    assert_same(weights(first), weights(again))


def test_more_epochs_may_be_asked_for(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    on = make_trainer(tmp_path, max_epochs=3)
    on.restore(CheckpointStore(tmp_path).load_for_resume())
    assert on.fit().step == 18


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprints": {"train": "other"}}, "fingerprints was train one, is train other"),
        ({"seed": 6}, "seed was 5, is 6"),
        ({"loader": FakeLoader(40)}, "batches_per_epoch was 6, is 10"),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    make_trainer(tmp_path, fingerprints={"train": "one"}, max_epochs=1).fit()
    other = make_trainer(tmp_path, **{"fingerprints": {"train": "one"}, **change})
    with pytest.raises(CheckpointError, match=words):
        other.restore(CheckpointStore(tmp_path).load_for_resume())


def test_early_stopping_ends_with_an_evaluation_and_outlives_a_resume(tmp_path: Path) -> None:
    class Falling(Closeness):
        calls = 0

        def compute(self) -> dict[str, float]:
            Falling.calls += 1
            return {"closeness": 1 / Falling.calls}

    def trainer(**more: Any) -> Any:
        evaluator = Evaluator(FakeEvalLoader(2), read_value, Falling())
        callbacks = {"early": EarlyStopping(patience=3), **more.pop("callbacks", {})}
        return make_trainer(tmp_path, evaluator=evaluator, callbacks=callbacks, log_every_steps=1, max_epochs=9)

    stop = At(13, lambda run: os.kill(os.getpid(), signal.SIGTERM))
    assert trainer(callbacks={"stop": stop}).fit().state == "interrupted"  # after evaluations 1 and 2
    on = trainer()
    on.restore(CheckpointStore(tmp_path).load_for_resume())
    result = on.fit()
    assert (result.state, result.step, result.best_step) == ("done", 24, 6)


def test_a_pruned_run_keeps_its_checkpoints_and_can_be_resumed_exactly(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole")
    whole.fit()
    prune = At(4, lambda run: run.request_stop("other jobs do better", PRUNED))
    recorder = Recorder()
    cut = make_trainer(tmp_path / "cut", callbacks={"prune": prune}, logger=recorder, log_every_steps=1)
    result = cut.fit()
    assert (result.state, result.step, result.exit_code) == ("pruned", 4, 0)
    assert recorder.finished == ["pruned"]
    status = read_status(tmp_path / "cut")
    assert status is not None
    assert (status["state"], status["step"], status["reason"]) == ("pruned", 4, "other jobs do better")
    on = make_trainer(tmp_path / "cut")
    on.restore(CheckpointStore(tmp_path / "cut").load_for_resume())
    assert on.fit().state == "done"
    assert_same(weights(whole), weights(on))


# What goes wrong.


def _poison(step: int) -> Any:
    def spoil(batch: Any, epoch: int, number: int) -> Any:
        if epoch * 6 + number == step:
            batch["target"][1] = np.nan
        return batch

    return spoil


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path) -> None:
    until = make_trainer(tmp_path / "until", max_steps=7)
    until.fit()
    trainer = make_trainer(tmp_path / "bad", loader=FakeLoader(spoil=_poison(7)), log_every_steps=100)
    trainer._schedule = until._schedule  # the rates of the shorter run
    with pytest.raises(TrainingError) as caught:
        trainer.fit()
    message = str(caught.value)
    assert "\n" not in message
    index = FakeLoader()
    names = [f"images/{i}.jpg" for i in list(index.epoch(1))[1]["index"]]
    assert "at step 8" in message
    assert "near=nan" in message
    assert "small" not in message.split(" with lr")[0]
    assert names[0] in message
    assert "optim.lr" in message
    assert_same(weights(until), weights(trainer))
    assert_same({k: np.asarray(v) for k, v in paddle.load(str(tmp_path / "bad/checkpoints/latest.pdparams")).items()},
                weights(until))  # fmt: skip
    with np.load(tmp_path / "bad/nonfinite_batch.npz") as saved:
        assert np.isnan(saved["target"][1])
        assert saved["image"].shape == (4, 8, 8, 3)
    about = json.loads((tmp_path / "bad/nonfinite_batch.json").read_text())
    assert about["images"] == names
    assert about["loss"]["near"] == "nan"
    status = read_status(tmp_path / "bad")
    assert status is not None
    assert (status["state"], status["error"], status["step"]) == ("failed", message, 7)


def test_weights_that_become_infinite_stop_the_run_at_that_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, save_every_steps=1)
    calm = trainer._schedule
    trainer._schedule = lambda step: 1e38 if step == 4 else calm(step)
    with pytest.raises(TrainingError) as caught:
        trainer.fit()
    message = str(caught.value)
    for word in ("diverged: ", "grown to 9.1e+37", "after step 5", "lr 1e+38", "optim.lr", "latest.pdparams"):
        assert word in message
    assert "space" not in message
    found = CheckpointStore(tmp_path).load("latest")
    assert found is not None
    assert found.step == 4


def test_a_huge_loss_stops_the_run_and_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    def spoil(batch: Any, epoch: int, number: int) -> Any:
        return {**batch, "target": batch["target"] + 1e9} if (epoch, number) == (1, 1) else batch

    with pytest.raises(TrainingError, match=r"has grown to \S+e\+\d+ at step 8.*diverged.*optim\.lr"):
        make_trainer(tmp_path, loader=FakeLoader(spoil=spoil)).fit()
    found = CheckpointStore(tmp_path).load("latest")
    assert found is not None
    assert found.step == 6


def test_skip_passes_over_the_step_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = make_trainer(tmp_path, loader=FakeLoader(spoil=_poison(7)), nonfinite="skip").fit()
    assert result.state == "done"
    assert result.step == 11  # of twelve: a step is an update
    assert "skipped" in caplog.text
    always = FakeLoader(80, spoil=lambda batch, *_: {**batch, "target": batch["target"] * np.nan})
    with pytest.raises(TrainingError, match="not finite at step 1:"):
        make_trainer(tmp_path / "always", loader=always, nonfinite="skip").fit()


def test_empty_batches_are_passed_over(tmp_path: Path) -> None:
    """An empty batch within a step leaves the mean of the others."""
    loader = FakeLoader(24, 4, spoil=lambda batch, epoch, number: {} if number == 2 else batch)
    result = make_trainer(tmp_path, loader=loader, max_epochs=2).fit()
    assert result.step == 10
    half = FakeLoader(8, 4, spoil=lambda batch, epoch, number: {} if number == 0 else batch)
    ends = []
    for name, settings in {
        "with": {"loader": half, "accumulate": 2},
        "without": {"loader": FakeLoader(4, 4, spoil=lambda *_: list(FakeLoader(8, 4).epoch(0))[1])},
    }.items():
        trainer = make_trainer(tmp_path / name, max_epochs=1, **settings)
        assert trainer.fit().step == 1
        ends.append(weights(trainer))
    for key, value in ends[0].items():
        np.testing.assert_allclose(value, ends[1][key], atol=1e-7)


def test_rejected_samples_are_counted_with_their_reasons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loader = FakeLoader()

    def spoil(batch: Any, epoch: int, number: int) -> Any:
        loader.rejected["no word inside the crop"] += 1
        loader.examples["no word inside the crop"] = ["images/3.jpg"]
        return batch

    loader._spoil = spoil
    make_trainer(tmp_path, loader=loader, max_epochs=1).fit()
    assert "epoch 1: 6 samples could not be used: no word inside the crop, such as images/3.jpg" in caplog.text
    loader._spoil = lambda *given: spoil(*given) and {}
    with pytest.raises(TrainingError, match="no sample of epoch 1 could be used \\(no word inside the crop\\)"):
        make_trainer(tmp_path / "none", loader=loader).fit()


@pytest.mark.parametrize("settings", [{"max_epochs": 3}, {"max_epochs": None, "max_steps": 2}])
def test_what_samples_report_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    """Also where the run ends within the first epoch."""
    loader, val = FakeLoader(), FakeEvalLoader()

    def spoil(batch: Any, epoch: int, number: int) -> Any:
        counts = {OUTSIDE: SampleCount(1, 9 - number, f"list.txt:{9 - number}"), LABELED: SampleCount(2, 0, "")}
        add_counts(loader.counts, counts)
        return batch

    loader._spoil = spoil
    val.counts = {OUTSIDE: SampleCount(1, 4, "val.txt:4"), LABELED: SampleCount(6, 0, "")}
    evaluator = Evaluator(val, read_value, Closeness())
    trainer = make_trainer(tmp_path, loader=loader, evaluator=evaluator, task=find_task("det"), **settings)
    trainer.fit()
    lines = [record.getMessage() for record in caplog.records if "outside their image" in record.getMessage()]
    steps = 6 if settings["max_epochs"] else 2
    assert [line[: line.index(" regions")] for line in lines] == [f"train: {steps} of {2 * steps}", "val: 1 of 6"]
    assert f"list.txt:{10 - steps}" in lines[0] and "val.txt:4" in lines[1]


def test_three_evaluations_of_0_print_what_to_check(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Zero(Closeness):
        def compute(self) -> dict[str, float]:
            return {"closeness": 0.0}

    loader = FakeLoader(spoil=lambda batch, *_: {**batch, "shrink_map": np.zeros((4, 2, 2), np.uint8)})
    evaluator = Evaluator(FakeEvalLoader(), read_value, Zero())
    seen = []

    def causes(evidence: ZeroEvidence) -> list[str]:
        seen.append(evidence)
        return ["model.pretrained is null: the weights are random"]

    make_trainer(tmp_path, loader=loader, evaluator=evaluator, causes=causes, task=find_task("det"), max_epochs=4).fit()
    assert caplog.text.count("closeness has been 0 in 3 evaluations") == 1
    assert "- model.pretrained is null" in caplog.text
    (evidence,) = seen
    assert evidence.first_loss is not None
    stuck = evidence.losses["train/loss"] > 0.9 * evidence.first_loss
    assert ("learning rate" in caplog.text) == stuck
    assert [evidence.empty_share for evidence in seen] == [1.0]
    assert seen[0].result.metrics == {"closeness": 0.0}
    assert set(seen[0].losses) == {"train/loss", "train/loss_near", "train/loss_small"}


def test_out_of_memory_says_which_batch_to_try(tmp_path: Path) -> None:
    def too_much(*_: Any) -> Any:
        raise MemoryError("ResourceExhaustedError: Out of memory error on GPU 0")

    with pytest.raises(TrainingError, match=r"at step 1 with loader\.batch_size=4: try loader\.batch_size=2 tr"):
        make_trainer(tmp_path, loss=too_much).fit()
    status = read_status(tmp_path)
    assert status is not None
    assert "loader.batch_size=2" in status["error"]


def test_any_other_error_is_told_to_loggers_and_status(tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("shapes\ndiffer")

    recorder = Recorder()
    with pytest.raises(ValueError, match="shapes"):
        make_trainer(tmp_path, loss=broken, logger=recorder).fit()
    assert recorder.finished == ["failed"]
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["error"]) == ("failed", "shapes differ")


def test_a_full_disk_leaves_the_earlier_sets_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, full = paddle.save, [False]

    def save(content: Any, path: str, **more: Any) -> None:
        if full[0]:
            Path(path).write_bytes(b"half a file")
            raise OSError(28, "No space left on device")
        real(content, path, **more)

    monkeypatch.setattr(paddle, "save", save)
    fill = At(7, lambda run: full.__setitem__(0, True))
    free = At(11, lambda run: full.__setitem__(0, False))
    made = make_trainer(tmp_path, callbacks={"fill": fill, "free": free}, log_every_steps=1, save_every_steps=2)
    assert made.fit().state == "done"
    assert caplog.text.count("latest could not be saved at step") == 2  # 8 and 10
    assert "No space left on device; the earlier checkpoints are valid" in caplog.text
    found = CheckpointStore(tmp_path).load("latest")
    assert found is not None
    assert found.step == 12
    stuck = make_trainer(tmp_path / "stuck", callbacks={"fill": fill}, log_every_steps=1)
    with pytest.raises(CheckpointError, match="free some space and resume"):
        stuck.fit()
    found = CheckpointStore(tmp_path / "stuck").load("latest")
    assert found is not None
    assert found.step == 6
    assert not list((tmp_path / "stuck").rglob("*.tmp"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def ruin(run: Any) -> None:
        run.model.fc.weight.set_value(paddle.full_like(run.model.fc.weight, math.nan))

    trainer = make_trainer(tmp_path, callbacks={"ruin": At(8, ruin)}, log_every_steps=1)
    with pytest.raises(TrainingError, match="not finite at step 9"):
        trainer.fit()
    assert "latest not saved at step 8: fc.weight is not finite" in caplog.text
    found = CheckpointStore(tmp_path).load("latest")
    assert found is not None
    assert found.step == 6


def test_mixed_precision_on_a_cpu_is_said_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = make_trainer(tmp_path / "plain", max_epochs=1)
    plain.fit()
    mixed = make_trainer(tmp_path / "mixed", max_epochs=1, precision="amp_o1")
    mixed.fit()
    assert "trainer.precision=amp_o1 needs a GPU" in caplog.text
    assert_same(weights(plain), weights(mixed))


def test_train_log_and_lines_without_a_terminal(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    log = (tmp_path / "train.log").read_text()
    assert "step 2/12  epoch 0.3/2  loss " in log
    assert "(near " in log
    assert "images/s " in log
    assert "eta " in log
    assert "step 6 evaluation: closeness" in log
    assert "done in 0:0" in log


def test_make_batch_is_repeatable() -> None:
    assert_same(make_batch([3, 4], 1), make_batch([3, 4], 1))


def test_evaluations_use_the_precision_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, modes = [], []

    @contextmanager
    def autocast(_: Stepper) -> Iterator[None]:
        inside.append(True)
        yield
        inside.pop()

    monkeypatch.setattr(Stepper, "autocast", autocast)
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.model.register_forward_pre_hook(lambda layer, _: modes.append((layer.training, bool(inside))))
    trainer.fit()
    assert set(modes) == {(True, True), (False, True)}


def test_a_run_whose_best_weights_are_gone_is_not_done(tmp_path: Path) -> None:
    """The folder is deleted while it is used; `latest` is saved once more."""
    delete = At(7, lambda run: shutil.rmtree(run.run_dir / "checkpoints"))
    keep = [1.0, 0.5]  # the first evaluation stays the best
    trainer = make_trainer(tmp_path, callbacks={"delete": delete}, log_every_steps=1)
    trainer.validation.evaluator.metric.compute = lambda: {"closeness": keep.pop(0)}  # type: ignore[method-assign]
    with pytest.raises(CheckpointError) as error:
        trainer.fit()
    assert "step 6" in str(error.value) and "checkpoint=latest" in str(error.value)
    status = read_status(tmp_path)
    assert status is not None
    assert status["state"] == "failed"
    assert CheckpointStore(tmp_path).load_for_resume().step == 12


def test_a_callback_that_cannot_write_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Draws(Callback):
        def on_step_end(self, run: Any, values: Any) -> None:
            raise OSError(28, "No space left on device")

        def on_fit_end(self, run: Any, state: str) -> None:
            raise OSError(28, "No space left on device")

    assert make_trainer(tmp_path, callbacks={"draws": Draws()}, log_every_steps=1).fit().state == "done"
    assert len([line for line in caplog.messages if line.startswith("callback draws")]) == 2


def test_disk_space_is_compared_with_what_the_run_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path, save_every_epochs=1)
    total = sum(value.size for value in trainer.model.parameters()) * 4

    def line(free: int) -> str | None:
        monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        return space.check_space(trainer.model, trainer.settings, trainer.plan, tmp_path)

    assert line(1 << 30) is None
    warning = line(10 * total)  # of about 21: 3 sets of latest, 2 that are kept, 2 of the best, 3 each
    assert warning is not None
    assert "trainer.keep_sets" in warning and "trainer.save_every_epochs" in warning
    with pytest.raises(ConfigError, match="run_dir"):
        line(4 * total)
