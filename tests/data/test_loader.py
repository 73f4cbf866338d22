"""The loader: order, equality for any number of workers, faults."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.loader import Loader
from ocrexp.data.loaders import build_eval_loader, build_train_loader, resolve_workers
from ocrexp.data.sampler import EpochSampler
from ocrexp.errors import DataError
from ocrexp.tasks.find import find_task
from ocrexp.types import Record, UnusableSample


class Numbers:
    """A pipeline of small arrays that tell which sample, which epoch, which random number they are."""

    def __init__(self, size=20, bad=(), fail=(), die=(), large=()):
        self.size, self.bad, self.fail, self.die, self.large = size, bad, fail, die, large

    large_side = 400

    def __len__(self):
        return self.size

    def describe(self, index):
        return f"image_{index}.jpg (list.txt:{index + 1})"

    def sample(self, index, epoch):
        if index in self.bad:
            raise UnusableSample("image file is missing")
        if index in self.fail:
            raise ValueError("no such thing")
        if index in self.die and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng([0, epoch, index])
        side = self.large_side if index in self.large else 8
        return {"image": np.full((side, side, 3), rng.integers(256), np.uint8), "index": index}


def make(pipeline, workers, batch_size=4, shuffle=True, prefetch=2):
    pipeline.parent = os.getpid()
    sampler = EpochSampler([len(pipeline)], None, batch_size, seed=3, shuffle=shuffle)
    return Loader(pipeline, sampler, workers, find_task("det").collate_train, prefetch)


def contents(batches):
    return [{name: value.copy() for name, value in batch.items()} for batch in batches]


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_do_not_depend_on_the_workers(workers):
    inline, parallel = make(Numbers(), 0), make(Numbers(), workers)
    try:
        for epoch in range(3):
            assert_equal(contents(inline.epoch(epoch)), contents(parallel.epoch(epoch)))
    finally:
        parallel.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_entered_in_the_middle(workers):
    loader = make(Numbers(), workers)
    try:
        whole = contents(loader.epoch(5))
        assert len(whole) == len(loader) == 5
        assert_equal(whole[3:], contents(loader.epoch(5, start=3)))
        assert list(loader.epoch(5, start=5)) == []
    finally:
        loader.close()


def test_an_epoch_can_be_left_in_the_middle():
    inline, loader = make(Numbers(40), 0), make(Numbers(40), 2)
    try:
        for _ in range(3):
            for number, _batch in enumerate(loader.epoch(0)):
                if number == 1:
                    break
        assert_equal(contents(inline.epoch(1)), contents(loader.epoch(1)))
    finally:
        loader.close()


def test_batches_may_be_kept():
    """Memory of a batch is used again only when its arrays are gone."""
    inline, loader = make(Numbers(60), 0), make(Numbers(60), 2)
    try:
        kept = list(loader.epoch(0))
        assert_equal(contents(inline.epoch(0)), kept)
        assert len(kept) > loader._slots.count
        del kept
        assert len(loader._free) == loader._slots.count
    finally:
        loader.close()


def test_a_batch_larger_than_the_estimate_goes_through_the_pipe(caplog):
    pipeline = Numbers(12, large=range(4, 12))
    pipeline.large_side = 1800  # four of it are 39 MB, slots have 8
    inline, loader = make(pipeline, 0, shuffle=False), make(pipeline, 1, shuffle=False)
    try:
        assert_equal(contents(inline.epoch(0)), contents(loader.epoch(0)))
    finally:
        loader.close()
    (line,) = caplog.messages  # one for two batches
    assert "larger than its shared memory of 8 MiB" in line


def test_slots_are_made_for_a_sample_that_can_be_used(caplog):
    pipeline = Numbers(12, bad=(0, 1), large=range(12))
    pipeline.large_side = 1800
    loader = make(pipeline, 1, shuffle=False)
    try:
        contents(loader.epoch(0))
    finally:
        loader.close()
    assert not caplog.messages


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("leave", ["epoch", "close", "close and epoch"])
def test_an_epoch_that_was_left_is_over(workers, leave):
    inline, loader = make(Numbers(40), 0), make(Numbers(40), workers)
    try:
        old = loader.epoch(0)
        next(old)
        if "close" in leave:
            loader.close()
        new = loader.epoch(1) if "epoch" in leave else None
        found = [{name: value.copy() for name, value in next(new).items()}] if new else []
        with pytest.raises(RuntimeError, match="epoch 0 are gone"):
            next(old)
        if new:
            assert_equal(contents(inline.epoch(1)), found + contents(new))
        if workers and new:
            while any(worker.in_flight for worker in loader._workers):  # one may still be at the epoch that was left
                loader._receive({}, loader._serial)
            assert sorted(loader._free) == list(range(loader._slots.count))  # none twice, none lost
    finally:
        loader.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_unusable_samples_are_counted_and_left_out(workers):
    loader = make(Numbers(16, bad=(0, 1, 2, 3, 9)), workers, shuffle=False)
    try:
        batches = contents(loader.epoch(0))
        assert batches[0] == {}  # nothing of it could be used; other ranks go on in step
        assert [len(batch["index"]) for batch in batches[1:]] == [4, 3, 4]
        assert loader.rejected == {"image file is missing": 5}
        assert loader.examples["image file is missing"] == [f"image_{i}.jpg (list.txt:{i + 1})" for i in range(3)]
        assert loader.rejection_lines() == [
            "5 images not used: image file is missing: image_0.jpg (list.txt:1), image_1.jpg (list.txt:2), "
            "image_2.jpg (list.txt:3), …"
        ]
        loader.epoch(1)
        assert not loader.rejected
    finally:
        loader.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_in_a_worker_is_one_line(workers):
    loader = make(Numbers(16, fail=(6,)), workers, shuffle=False)
    try:
        with pytest.raises(
            DataError, match=r"image_4.jpg \(list.txt:5\) could not be loaded: ValueError: no such thing"
        ):
            contents(loader.epoch(0))
    finally:
        loader.close()


def test_a_dead_worker_is_named_with_what_to_try():
    pipeline = Numbers(16, die=(9,))
    loader = make(pipeline, 2, shuffle=False)
    with pytest.raises(DataError, match=r"data worker . of 2 was killed by SIGKILL .*batch_size"):
        contents(loader.epoch(0))
    pipeline.die = ()  # what the next workers inherit
    try:
        assert_equal(contents(make(Numbers(16), 0, shuffle=False).epoch(0)), contents(loader.epoch(0)))
        assert len(loader._workers) == 2
    finally:
        loader.close()


def test_a_dead_worker_that_someone_else_has_waited_for():
    loader = make(Numbers(40), 1)
    batches = loader.epoch(0)
    next(batches)
    pid = loader._workers[0].pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(DataError, match="unknown exit code"):
        contents(batches)
    loader = make(Numbers(40), 1)
    next(loader.epoch(0))
    os.kill(loader._workers[0].pid, signal.SIGKILL)
    os.waitpid(loader._workers[0].pid, 0)
    loader.close()


def test_close_ends_the_workers_and_leaves_nothing():
    loader = make(Numbers(), 2)
    next(loader.epoch(0))
    pids = [worker.pid for worker in loader._workers]
    loader.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert len(contents(loader.epoch(0))) == 5  # it starts again
    loader.close()


def test_garbage_collection_ends_the_workers():
    loader = make(Numbers(), 1)
    next(loader.epoch(0))
    pid = loader._workers[0].pid
    del loader
    import gc

    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
    import os, sys, time
    import numpy as np
    from ocrexp.tasks.find import find_task
    from ocrexp.data.loader import Loader
    from ocrexp.data.sampler import EpochSampler

    class Pipeline:
        def __len__(self): return 40
        def describe(self, index): return str(index)
        def sample(self, index, epoch): return {"image": np.zeros((64, 64, 3), np.uint8), "index": index}

    loaders = [Loader(Pipeline(), EpochSampler([40], None, 4, 0), 2, find_task("det").collate_train) for _ in range(2)]
    iterators = [loader.epoch(0) for loader in loaders]
    for iterator in iterators: next(iterator)
    print(*[worker.pid for loader in loaders for worker in loader._workers], flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 4
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert errors.count("Traceback") == (1 if number == signal.SIGINT else 0)  # the parent's own
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_memory_stays_flat_over_epochs():
    loader = make(Numbers(200, large=range(200)), 1)

    def resident(pid):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096

    try:
        for epoch in range(3):
            for _ in loader.epoch(epoch):
                pass
        before = resident(os.getpid()), resident(loader._workers[0].pid)
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        for epoch in range(15):
            for _ in loader.epoch(epoch):
                pass
        after = resident(os.getpid()), resident(loader._workers[0].pid)
        assert all(b - a < 8 << 20 for a, b in zip(before, after, strict=True))
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    finally:
        loader.close()


def test_waiting_is_measured():
    loader = make(Numbers(), 0)
    contents(loader.epoch(0))
    assert loader.wait_seconds > 0


@pytest.fixture
def images(tmp_path):
    records = []
    for i in range(6):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), np.full((20 + 10 * (i % 2), 30, 3), i, np.uint8))
        polygon = np.array([[2, 2], [20, 2], [20, 15], [2, 15]], np.float32)
        records.append(Record(path, ("word",), (polygon,), (False,), f"list.txt:{i + 1}", list_index=i // 3))
    return records


DET = find_task("det")
EVAL = {"collate": DET.collate_eval, "rank": 0, "world_size": 1}
TRAIN = {"collate": DET.collate_train, "several_sizes": False, "seed": 0, "rank": 0, "world_size": 1}
NODE = {
    "batch_size": 2,
    "eval_batch_size": 4,
    "num_workers": 0,
    "prefetch": 2,
    "shuffle": True,
    "drop_last": False,
}


def test_evaluation_keeps_unreadable_images(images, tmp_path):
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"")
    for workers in (0, 1):
        loader = build_eval_loader(EvalPipeline(images, []), **EVAL, **{**NODE, "num_workers": workers})
        batches = [part for batch in loader.epoch(0) for part in batch]
        loader.close()
        assert sorted(index for part in batches for index in part["index"].tolist()) == list(range(6))
        unreadable = [part for part in batches if part["image"] is None]
        assert [Path(path).name for part in unreadable for path in part["paths"]] == ["1.png", "2.png"]
        assert unreadable[0]["reasons"] == ["image file is missing", "image file is empty (0 bytes)"]
        assert len(unreadable[0]["references"][0].polygons) == 1
        assert sum(loader.rejected.values()) == 2
        for part in batches:
            if part["image"] is not None:
                assert part["image"].shape[0] == len(part["index"]) == len(part["references"])
                assert (part["image"][:, 0, 0, 0] == part["index"]).all()
                assert (part["shape"][:, :2] == part["image"].shape[1:3]).all()


def test_training_loader_draws_by_list(images):
    pipeline = TrainPipeline(images, [], 0)
    loader = build_train_loader(pipeline, **TRAIN, ratios=[1.0, 0.0], **{**NODE, "batch_size": 1})
    assert sorted(int(batch["index"][0]) for batch in loader.epoch(0)) == [0, 1, 2]


def test_several_sizes_are_refused_for_detection(images):
    pipeline = TrainPipeline(images, [], 0)
    several = {"sizes": [[32, 64]], "by_ratio": False, "fix_batch": False}
    with pytest.raises(ValueError, match=r"multi_scale: only for recognition"):
        build_train_loader(pipeline, **TRAIN, ratios=None, multi_scale=several, **NODE)


def test_repetitions_within_an_epoch_are_augmented_anew(images):
    def noise(sample, rng):
        sample["image"] = np.full((4, 4, 3), rng.integers(1 << 8, size=3), np.uint8)
        return sample

    def drawn(ratios, workers=0):
        loader = build_train_loader(
            TrainPipeline(images, [noise], 0), **TRAIN,
            ratios=ratios, **{**NODE, "num_workers": workers},
        )  # fmt: skip
        found = {}
        for batch in loader.epoch(0):
            for image, index in zip(batch["image"], batch["index"].tolist(), strict=True):
                found.setdefault(index, []).append(tuple(image[0, 0].tolist()))
        loader.close()
        return found

    once, thrice = drawn([1.0, 1.0]), drawn([3.0, 1.0])
    assert sorted(thrice) == list(range(6))  # indices are those of the records
    for index in range(3):
        assert len(set(thrice[index])) == 3
        assert once[index][0] in thrice[index]
    for index in range(3, 6):
        assert once[index] == thrice[index]  # the other samples keep their random numbers
    assert {index: set(colours) for index, colours in drawn([3.0, 1.0], workers=1).items()} == {
        index: set(colours) for index, colours in thrice.items()
    }
    assert TrainPipeline(images, [], 0).describe(7).endswith("1.png (list.txt:2)")


def test_images_of_different_size_in_a_batch_are_explained(images):
    pipeline = TrainPipeline(images, [], 0)
    loader = build_train_loader(pipeline, **TRAIN, ratios=None, **{**NODE, "batch_size": 6})
    with pytest.raises(DataError, match="20x30 and 30x30"):
        list(loader.epoch(0))


def test_a_failing_transform_names_image_and_line(images):
    def broken(sample, rng):
        raise KeyError("polygon")

    loader = build_train_loader(
        TrainPipeline(images, [broken], 0),
        **TRAIN,
        ratios=None,
        **{**NODE, "num_workers": 1},
    )
    with pytest.raises(DataError, match=r"\d.png \(list.txt:\d\): function failed: KeyError"):
        list(loader.epoch(0))
    loader.close()


def test_fork_after_opencv_has_used_its_threads(images):
    """OpenCV's pool exists in the parent then; a worker must not wait for its threads."""
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (31, 31), 5)
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (1500, 1500))
    test_evaluation_order = build_eval_loader(EvalPipeline(images, []), **EVAL, **{**NODE, "num_workers": 2})
    assert len(list(test_evaluation_order.epoch(0))) == 2
    test_evaluation_order.close()


def test_number_of_workers(monkeypatch):
    def cores(count):
        monkeypatch.setattr("ocrexp.data.loaders.available_cores", lambda: count)

    cores(16)
    assert resolve_workers("auto") == 8
    assert resolve_workers("auto", world_size=4) == 3
    assert resolve_workers(0) == 0
    cores(2)
    assert resolve_workers("auto") == 1
    cores(1)
    assert resolve_workers("auto") == 0
    with pytest.raises(ValueError, match=r"num_workers: .*many"):
        resolve_workers("many")
