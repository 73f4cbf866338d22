"""Sets of files: complete or not there; damage is noticed; the previous good set is used; nothing runs code."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from ocrexp.engine.checkpoint import CheckpointStore, read_states
from ocrexp.engine.find_weights import find_weights
from ocrexp.engine.saving import check_optimizer
from ocrexp.engine.weights import load_evaluated, load_weights
from ocrexp.errors import CheckpointError

SUFFIXES = ("pdparams", "pdopt", "pdstates")


def _save(store: CheckpointStore, step: int, name: str = "latest") -> None:
    store.save(name, {"w": paddle.full([64], float(step))}, {"m": paddle.full([64], -float(step))},
               {"global_step": step, "epoch": 0, "average": {"w": np.arange(3.0)}})  # fmt: skip


def _saved_value(store: CheckpointStore, name: str = "latest") -> float:
    found = store.load(name)
    assert found is not None
    weights, states = paddle.load(str(found.path("pdparams"))), found.states
    assert found.step == states["global_step"] == float(weights["w"][0])
    return float(weights["w"][0])


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


def test_a_set_goes_round(store: CheckpointStore) -> None:
    assert store.load("latest") is None
    _save(store, 3)
    found = store.load("latest")
    assert found is not None
    assert found.path("pdparams") == store.folder / "latest.pdparams"
    np.testing.assert_array_equal(found.states["average"]["w"], np.arange(3.0))
    assert float(paddle.load(str(found.path("pdopt")))["m"][5]) == -3
    assert not list(store.folder.rglob("*.tmp"))


def test_states_are_a_pickle_with_the_fields_that_paddleocr_reads(store: CheckpointStore) -> None:
    _save(store, 3)
    with (store.folder / "latest.pdstates").open("rb") as file:
        states = pickle.load(file)
    assert states["epoch"] == 0
    assert states["global_step"] == 3


def test_only_the_last_sets_stay(store: CheckpointStore) -> None:
    for step in range(5):
        _save(store, step)
    _save(store, 7, "best_accuracy")
    assert len(list((store.folder / ".sets").glob("latest.*"))) == 2 * 3
    assert _saved_value(store) == 4
    assert _saved_value(store, "best_accuracy") == 7


def test_a_kept_epoch_outlives_later_sets(store: CheckpointStore) -> None:
    _save(store, 1)
    store.keep("iter_epoch_1")
    for step in range(2, 6):
        _save(store, step)
    assert _saved_value(store, "iter_epoch_1") == 1


def _flip(path: Path) -> None:
    """In place, as a bad disk would do it: a hard link of the file sees it too."""
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), max(1, len(data) // 50)):
        data[position] ^= 0xFF
    with path.open("r+b") as file:
        file.write(data)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _replace(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-7])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", [_flip, _truncate, _empty])
def test_damage_falls_back_to_the_previous_good_set(
    store: CheckpointStore, suffix: str, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _save(store, 1)
    _save(store, 2)
    damage(store.folder / f"latest.{suffix}")
    assert _saved_value(store) == 1
    assert f"latest.{suffix}" in caplog.text
    assert "using the previous valid checkpoint of latest, saved at step 1" in caplog.text
    assert find_weights(store.folder.parent, "latest").name == "latest.000001.pdparams"
    _save(store, 3)
    assert _saved_value(store) == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_copy_has_its_twin(store: CheckpointStore, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file replaced under its visible name leaves the set of the same step whole."""
    _save(store, 1)
    _save(store, 2)
    _replace(store.folder / f"latest.{suffix}")
    assert _saved_value(store) == 2
    assert "skipped" in caplog.text


def test_when_all_are_damaged_it_is_an_error(store: CheckpointStore) -> None:
    _save(store, 1)
    _flip(store.folder / "latest.pdparams")
    with pytest.raises(CheckpointError, match="all versions are damaged"):
        store.load("latest")
    with pytest.raises(CheckpointError, match="contains no valid latest"):
        store.load_for_resume()
    _save(store, 4, "best_accuracy")
    with pytest.raises(CheckpointError, match=r"model\.pretrained=.*best_accuracy\.pdparams"):
        store.load_for_resume()


def test_resume_falls_back_to_a_kept_epoch(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    _save(store, 1)
    store.keep("iter_epoch_9")
    _save(store, 2)
    store.keep("iter_epoch_10")
    for path in (store.folder / ".sets").glob("latest.*.pdopt"):
        path.unlink()
        path.write_bytes(b"gone")
    (store.folder / "latest.pdopt").unlink()
    assert store.load_for_resume().name == "iter_epoch_10"
    assert "resuming from iter_epoch_10, saved at step 2" in caplog.text


@pytest.mark.parametrize("call", range(14))
def test_whatever_instant_a_save_ends_at_one_good_set_is_found(
    store: CheckpointStore, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies the folder at the n-th rename, link or flush of the second save: what a kill would leave."""
    _save(store, 1)
    left = store.folder.parent / "left"
    calls = [0]

    def instant(real: Any) -> Any:
        def wrapped(*given: Any, **more: Any) -> Any:
            if calls[0] == call:
                shutil.copytree(store.folder, left / "checkpoints")
            calls[0] += 1
            return real(*given, **more)

        return wrapped

    monkeypatch.setattr(os, "fsync", instant(os.fsync))
    monkeypatch.setattr(os, "link", instant(os.link))
    monkeypatch.setattr(Path, "replace", instant(Path.replace))
    _save(store, 2)
    assert calls[0] == 14
    monkeypatch.undo()
    after = CheckpointStore(left)
    assert _saved_value(after) == (1 if call < 6 else 2)  # the sixth call renames the states file
    _save(after, 3)
    assert _saved_value(after) == 3
    assert not list(left.rglob("*.tmp"))


def test_without_hard_links_files_are_copied(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    _save(store, 1)
    _save(store, 2)
    assert (store.folder / "latest.pdparams").stat().st_nlink == 1
    assert _saved_value(store) == 2


class _Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def test_a_states_file_cannot_run_code(tmp_path: Path) -> None:
    import hashlib

    payload = pickle.dumps({"global_step": 1, "x": _Evil()})
    path = tmp_path / "latest.pdstates"
    path.write_bytes(payload + b"\nsha256:" + hashlib.sha256(payload).hexdigest().encode())
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        read_states(path)


def test_states_that_are_not_plain_values_are_refused(store: CheckpointStore) -> None:
    with pytest.raises(TypeError, match=r"states\.callbacks\.mine: expected a plain value .*got set"):
        store.save("latest", {}, {}, {"global_step": 1, "callbacks": {"mine": {1, 2}}})
    assert not list(store.folder.rglob("latest*"))


def test_weights_are_found_by_name_and_by_file(store: CheckpointStore) -> None:
    run_dir = store.folder.parent
    with pytest.raises(CheckpointError, match="has no checkpoint best_accuracy; train it"):
        find_weights(run_dir, "best")
    _save(store, 1)
    _save(store, 2, "best_accuracy")
    assert find_weights(run_dir, "best") == store.folder / "best_accuracy.pdparams"
    assert find_weights(run_dir, "latest") == store.folder / "latest.pdparams"
    assert find_weights(None, str(store.folder / "latest.pdparams")) == store.folder / "latest.pdparams"
    with pytest.raises(
        CheckpointError, match="has no checkpoint last; set checkpoint=best_accuracy or checkpoint=latest"
    ):
        find_weights(run_dir, "last")
    with pytest.raises(CheckpointError, match=r"checkpoint=elsewhere\.pdparams: .* no \.pdparams file"):
        find_weights(None, "elsewhere.pdparams")
    with pytest.raises(CheckpointError, match=r"best_accuracy\.pdparams, latest\.pdparams"):
        find_weights(None, str(store.folder / "best"))
    _truncate(store.folder / "best_accuracy.pdparams")
    with pytest.raises(CheckpointError, match=r"truncated or corrupted .*bytes, expected"):
        find_weights(None, str(store.folder / "best_accuracy.pdparams"))


def test_a_checkpoint_is_found_without_its_suffix_and_by_its_folder(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(store, 1)
    latest = store.folder / "latest.pdparams"
    run_dir = store.folder.parent
    for name in ("latest", "latest.pdopt", "latest.pdstates", "latest.pdparams"):
        assert find_weights(None, str(store.folder / name)) == latest
    for folder in (store.folder, run_dir):
        assert find_weights(None, str(folder)) == latest
    for name in ("checkpoints/latest", "checkpoints/latest.pdparams", "latest.pdparams"):
        assert find_weights(run_dir, name) == latest
    _save(store, 2, "best_accuracy")
    assert find_weights(None, str(run_dir)).name == "best_accuracy.pdparams"
    monkeypatch.setenv("HOME", str(run_dir))
    assert find_weights(None, "~/checkpoints/latest") == latest
    monkeypatch.chdir(store.folder)
    (store.folder / "latest").mkdir()  # a folder here with the name of a checkpoint of the run
    assert find_weights(run_dir, "latest") == latest
    _truncate(latest)
    with pytest.raises(CheckpointError, match=r"truncated or corrupted .*bytes, expected"):
        find_weights(None, str(store.folder / "latest.pdopt"))


def test_weights_have_to_fit(tmp_path: Path) -> None:
    model = paddle.nn.Linear(3, 2)
    path = tmp_path / "w.pdparams"
    for content, words in (
        ({"weight": paddle.ones([3, 2])}, "missing parameter bias"),
        ({"weight": paddle.ones([3, 3]), "bias": paddle.ones([2])}, "wrong shape of weight"),
        ({**model.state_dict(), "extra": paddle.ones([1])}, "unexpected parameter extra"),
    ):
        paddle.save(content, str(path))
        with pytest.raises(CheckpointError, match=words):
            load_weights(model, path)
    _truncate(path)
    with pytest.raises(CheckpointError, match="truncated or corrupted"):
        load_weights(model, path)
    paddle.save({"weight": paddle.full([3, 2], 4.0), "bias": paddle.zeros([2])}, str(path))
    load_weights(model, path)
    assert float(model.weight.sum()) == 24


def test_weights_have_to_be_finite_numbers_of_the_same_kind(tmp_path: Path) -> None:
    model = paddle.nn.Linear(3, 2)
    before = model.weight.numpy().copy()
    path = tmp_path / "w.pdparams"
    whole = {"weight": np.ones([3, 2], np.float32), "bias": np.zeros([2], np.float32)}
    for change, words in (
        ({"bias": np.array([0, np.nan], np.float32)}, "bias is not finite (NaN or infinity in 1 of 2 values)"),
        ({"bias": np.array([0, np.inf], np.float64)}, "bias is not finite"),
        ({"bias": np.zeros([2], np.int64)}, "bias (int64, expected float32)"),
        ({"bias": np.zeros([2], np.complex64)}, "bias (complex64, expected float32)"),
    ):
        path.write_bytes(pickle.dumps({**whole, **change}))
        with pytest.raises(CheckpointError) as error:
            load_weights(model, path)
        assert words in str(error.value)
        assert str(path) in str(error.value)
    np.testing.assert_array_equal(model.weight.numpy(), before)
    for dtype in (np.float16, np.float64):
        path.write_bytes(pickle.dumps({name: value.astype(dtype) for name, value in whole.items()}))
        load_weights(model, path)
        assert float(model.weight.sum()) == 6


def test_an_optimizer_file_of_another_model_is_one_line() -> None:
    model = paddle.nn.Linear(3, 2)
    weight, bias = model.weight.name, model.bias.name
    good = {f"{weight}_moment1_0": np.zeros([3, 2], np.float32), f"{bias}_beta1_pow_acc_0": np.ones([1], np.float32)}
    check_optimizer(model, {**good, "LR_Scheduler": {"last_epoch": 3}}, "latest.pdopt")
    for change, words in (
        (
            {f"{weight}_moment1_0": np.zeros([3, 3], np.float32)},
            f"{weight}_moment1_0 has shape [3, 3], expected [3, 2]",
        ),
        ({"conv2d_99.w_0_moment1_0": np.zeros([3], np.float32)}, "conv2d_99.w_0_moment1_0"),
        ({f"{bias}_moment1_0": np.zeros([2], np.int32)}, f"{bias}_moment1_0 has type int32, expected float32"),
        ({f"{bias}_moment1_0": np.full([2], np.nan, np.float32)}, f"{bias}_moment1_0 is not finite"),
        ({"master_weights": {weight: np.zeros([2], np.float32)}}, f"{weight} has shape [2], expected [3, 2]"),
        # paddle ends the process for these
        ({f"{bias}_moment1_0": {}}, f"{bias}_moment1_0 is a dict, expected an array"),
        ({f"{bias}_moment1_0": "x"}, f"{bias}_moment1_0 is a str, expected an array"),
        ({f"{bias}_moment1_0": None}, f"{bias}_moment1_0 is a NoneType, expected an array"),
        ({"master_weights": [1]}, "master_weights is a list, expected an array"),
    ):
        with pytest.raises(CheckpointError) as error:
            check_optimizer(model, {**good, **change}, "latest.pdopt")
        assert words in str(error.value)
        assert "\n" not in str(error.value)


def test_what_the_run_evaluated_is_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    layer = paddle.nn.Linear(2, 1, bias_attr=False)
    store = CheckpointStore(tmp_path)
    raw = {"weight": paddle.full([2, 1], 1.0)}
    store.save("latest", raw, {}, {"global_step": 1, "average": {"weight": np.full([2, 1], 2.0, np.float32)}})
    store.save("best_accuracy", raw, {}, {"global_step": 1, "average": None, "weights": "average"})
    weights = store.folder / "latest.pdparams"
    assert load_evaluated(layer, weights)
    assert float(layer.weight[0, 0]) == 2
    assert load_evaluated(layer, store.folder / "best_accuracy.pdparams")  # they are the weights there
    assert float(layer.weight[0, 0]) == 1
    foreign = tmp_path / "paddleocr.pdparams"
    foreign.write_bytes(weights.read_bytes())
    foreign.with_suffix(".pdstates").write_bytes(pickle.dumps({"epoch": 3, "best_model_dict": {}}))
    assert not load_evaluated(layer, foreign)
    assert float(layer.weight[0, 0]) == 1
    assert "paddleocr.pdstates is not used" in caplog.text
