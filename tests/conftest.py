"""Fixtures that say where golden numbers and real images are, and skip with a reason where they are not."""

import dataclasses
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Some images switch compiled modules off: each process that a test starts would compile the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Files by CPU seconds, dearest first: workers take whole files, and a dear one at the end would keep one core busy
# and the others idle. The rest follows as it is found.
DEAR = (
    "export/test_export.py",
    "test_conf.py",
    "commands/test_train.py",
    "config/test_paddleocr.py",
    "models/test_rec_against_golden.py",
    "commands/test_recognition.py",
    "engine/test_kill.py",
    "engine/test_distributed.py",
    "test_docs.py",
    "config/test_explain.py",
    "tasks/test_cls.py",
    "test_extending.py",
    "test_fault_storm.py",
    "loggers/test_wandb_uploads.py",
    "bench/test_step.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """`-n 2` hands out whole files, so that what a file's tests share is made once, in the order of `DEAR`."""
    if getattr(config.option, "dist", None) == "load":
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = [Path(__file__).parent / name for name in DEAR]
    if gone := [str(file) for file in files if not file.is_file()]:
        raise pytest.UsageError(
            f"tests/conftest.py: DEAR names files that are not there: {', '.join(gone)}; follow them"
        )
    places = {str(file): place for place, file in enumerate(files)}
    items.sort(key=lambda item: places.get(str(item.path), len(DEAR)))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of golden numbers that travels with the project."""
    return Path(__file__).parent / "golden"


def _from_environment(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{what}: set {variable} to their folder")
    return Path(value)


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Folder of the full set of golden numbers."""
    return _from_environment("OCREXP_ORACLE", "the full golden numbers are not here")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real labelled images."""
    return _from_environment("OCREXP_DATA", "real labelled images are not here")


@pytest.fixture(autouse=True, scope="session")
def _signals_reach_tests():
    """A shell starts background jobs with SIGINT ignored, nohup ones with SIGHUP, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _one_code_path_of_the_matrix_library():
    """A verb that a test runs in this process would set MKL_DEBUG_CPU_TYPE on AMD, and the numbers of later tests would
    be rounded in another order. One golden test runs on that path, in its own process; other processes that tests
    start take it too."""
    from ocrexp import environment

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "_is_amd", lambda: False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_waits_for_the_disk():
    """A save syncs each of its files, and a journal each of its entries. What a kill leaves does not depend on it; what
    a power failure leaves is tried by scripts/crash_points.py, in its own process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Drawn pages of tests, those of their subprocesses too, stay out of the user's cache."""
    os.environ["OCREXP_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _own_notices():
    """Commands send the package's notices to the screen; tests of other parts listen to them at the root."""
    yield
    logger = logging.getLogger("ocrexp")
    logger.propagate = True
    for handler in list(logger.handlers):
        logger.removeHandler(handler)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once(name, make)`: the folder that `make(folder)` fills, once for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = base / name, base / f"{name}.made"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return folder_of


@pytest.fixture
def lock_of_another():
    """`lock_of_another(path)`: a lock file of another process, which runs until the test ends; returns its owner."""
    from ocrexp.owner import Owner, process_facts

    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def put(path: Path) -> Owner:
        started = process_facts(process.pid).started
        owner = dataclasses.replace(Owner.here(), pid=process.pid, started=started)
        path.write_text(json.dumps(dataclasses.asdict(owner)))
        return owner

    yield put
    process.communicate(b"\n")


@pytest.fixture(scope="session")
def tiny_lists(tmp_path_factory) -> Path:
    """A folder of 12 training and 4 validation images of 160×160 with two dark words each, and their lists."""
    import cv2
    import numpy as np

    root = tmp_path_factory.mktemp("tiny_lists")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        lines = []
        for number in range(count):
            image = np.full((160, 160, 3), 200, np.uint8) + rng.integers(0, 40, (160, 160, 3), dtype=np.uint8)
            regions = []
            for top in (20, 90):
                x, y = int(rng.integers(5, 50)), top + int(rng.integers(0, 20))
                cv2.putText(image, "WORD", (x, y + 30), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (20, 20, 20), 3)
                points = [[x, y + 4], [x + 95, y + 4], [x + 95, y + 34], [x, y + 34]]
                regions.append({"transcription": "WORD", "points": points})
            name = f"{split}_{number}.png"
            cv2.imwrite(str(root / name), image)
            lines.append(f"{name}\t{json.dumps(regions)}\n")
        (root / f"{split}_list.txt").write_text("".join(lines), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def tiny_run(tiny_lists) -> list[str]:
    """Overrides that train a small detector on `tiny_lists` in a second or two."""
    return [
        "dataset=det_list",
        f"dataset.root={tiny_lists}",
        "model/backbone=mobilenetv3_small_x0_5",
        "model.backbone.scale=0.35",
        "model.neck.out_channels=16",
        "augment.warp.size=[96,96]",
        "preprocess.resize.limit_side_len=96",
        "preprocess.resize.limit_type=max",
        "loader.batch_size=4",
        "loader.num_workers=0",
        "trainer.max_epochs=2",
        "trainer.log_every_steps=1",
    ]


@pytest.fixture(scope="session")
def draw_words():
    """`draw_words(folder, words)`: pictures in plain print with their lists, 3 of each to train and 1 to evaluate."""
    import cv2
    import numpy as np

    def draw(folder: Path, words: list[str]) -> Path:
        rng = np.random.default_rng(0)
        (folder / "images").mkdir(parents=True)
        lines: dict[str, list[str]] = {"train": [], "val": []}
        for number, word in enumerate(words):
            for copy in range(4):
                image = np.full((40, 22 * len(word) + 16, 3), 235, np.uint8)
                cv2.putText(image, word, (6, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (30, 30, 30), 2)
                image = cv2.subtract(image, rng.integers(0, 20, image.shape, dtype=np.uint8))
                name = f"images/{number}_{copy}.png"
                cv2.imwrite(str(folder / name), image)
                lines["val" if copy == 3 else "train"].append(f"{name}\t{word}\n")
        for split, rows in lines.items():
            (folder / f"{split}_list.txt").write_text("".join(rows), encoding="utf-8")
        return folder

    return draw
