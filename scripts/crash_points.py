"""A save of a run that is cut off at each of its file operations, by a kill or by a power failure.

A forked process saves as a run does (`best_accuracy`, `latest`, `iter_epoch_N`, metrics.csv, status.json) and ends
before its N-th file operation. It has noted what it did, so that what a power failure may take can be taken away:

    killed   what the system has is what the next process sees
    cut      files that were not synced have half of their bytes
    zeroed   files that were not synced have zeros for bytes
    undone   names that were not synced with their folder are as before
    both     names are as before, and what was not synced is cut

Afterwards `latest` and `best_accuracy` must be readable and be the set from before or the new one, bit for bit, and the
next save must work and leave nothing behind. Used by fault_storm.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.engine.checkpoint import BEST, LATEST, CheckpointStore
from ocrexp.engine.status import write_status
from ocrexp.loggers.base import RunInfo
from ocrexp.loggers.csv import CSVLogger
from ocrexp.weights.reader import read_parameters

MODES = ("killed", "cut", "zeroed", "undone", "both")
_WRITES = os.O_WRONLY | os.O_RDWR
Entry = dict[str, Any]


def crash(folder: Path, points: int) -> tuple[int, list[str]]:
    """Try up to `points` crash points below `folder`; returns how many were tried, and what was lost in which."""
    base, failures, tried, generation = folder / "base", [], 0, 1
    _save(base, generation)
    while tried < points:
        for operation in _operations():
            ended = False
            for mode in MODES:
                if tried == points:
                    return tried, failures
                run_dir = folder / "run"
                shutil.rmtree(run_dir, ignore_errors=True)
                _copy(base, run_dir)
                entries, finished = _cut_off(run_dir, generation + 1, operation, folder / "shadow")
                if finished:
                    ended = True
                    break
                tried += 1
                _power_failure(entries, mode)
                for problem in _problems(run_dir, generation):
                    failures.append(f"save {generation + 1}, before operation {operation}, {mode}: {problem}")
            if ended:
                break
        generation += 1
        _save(base, generation)
    return tried, failures


def _operations() -> Iterator[int]:
    return iter(range(1, 10_000))


def _values(generation: int) -> dict[str, Any]:
    rng = np.random.default_rng(generation)
    return {f"layer{number}.weight": rng.random((8, 9), dtype=np.float32) for number in range(3)}


def _save(run_dir: Path, generation: int) -> None:
    """What a run does at the end of an epoch whose evaluation is the best so far."""
    run_dir.mkdir(parents=True, exist_ok=True)
    store = CheckpointStore(run_dir)
    states = {"global_step": generation, "epoch": generation, "train_state": {"step": generation}}
    for name in (BEST, LATEST):
        store.save(name, _values(generation), {"LR_Scheduler": {"last_lr": 0.1}, **_values(-generation % 1000)}, states)
    if generation % 2 == 0:
        store.keep(f"iter_epoch_{generation}")
    metrics = CSVLogger()
    metrics.start(RunInfo(name="run", run_dir=run_dir, resumed=True, resume_step=generation - 1))
    metrics.log_metrics({"train/loss": 1.0 / generation}, generation)
    write_status(run_dir, state="running", step=generation)


def _copy(source: Path, target: Path) -> None:
    """A copy in which hard links stay links: the names of a set are links to its files."""
    copied: dict[int, Path] = {}
    for root, _, names in os.walk(source):
        place = target / Path(root).relative_to(source)
        place.mkdir(parents=True)
        for name in names:
            inode = (Path(root) / name).stat().st_ino
            if inode in copied:
                os.link(copied[inode], place / name)
            else:
                shutil.copyfile(Path(root) / name, place / name)
                copied[inode] = place / name


def _cut_off(run_dir: Path, generation: int, operation: int, shadow: Path) -> tuple[list[Entry], bool]:
    """Save in a process that ends before its `operation`-th file operation; what it did, and whether it got to the end.

    `shadow` keeps files that lose a name, so that the name can be given back.
    """
    shutil.rmtree(shadow, ignore_errors=True)
    shadow.mkdir()
    note = shadow / "entries.jsonl"
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            _note_operations(run_dir, operation, shadow, os.open(note, os.O_WRONLY | os.O_CREAT))
            _save(run_dir, generation)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    entries = [json.loads(line) for line in note.read_text().splitlines()]
    if status == 0:
        return entries, True
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return entries, False
    raise RuntimeError(f"the save failed on its own, before operation {operation}")


def _note_operations(run_dir: Path, last: int, shadow: Path, note: int) -> None:
    """Note each file operation below `run_dir` in this process, and end it before the one with number `last`."""
    count, busy = [0], [False]

    def add(entry: Entry, lost: str | None = None) -> None:
        busy[0] = True
        count[0] += 1
        if count[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)
        if lost is not None and os.path.lexists(lost):
            entry["kept"] = str(shadow / str(count[0]))
            os.link(lost, entry["kept"], follow_symlinks=False)
        os.write(note, (json.dumps(entry) + "\n").encode())
        busy[0] = False

    def inside(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(run_dir))  # type: ignore[arg-type]

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if busy[0] or not given or not inside(given[0]):
            return
        path = os.fspath(given[0])
        if event == "open" and isinstance(given[2], int) and given[2] & _WRITES:
            add({"do": "write", "path": path, "new": not Path(path).exists()})
        elif event in ("os.rename", "os.link"):
            target = os.fspath(given[1])
            add({"do": event[3:], "from": path, "path": target}, target if event == "os.rename" else None)
        elif event == "os.remove" and Path(path).exists():
            add({"do": "remove", "path": path}, path)

    def fsync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if inside(path):
            entry = os.fstat(descriptor)
            add({"do": "sync", "path": path, "inode": entry.st_ino, "folder": stat.S_ISDIR(entry.st_mode)})
        real(descriptor)

    real: Callable[[int], None] = os.fsync
    os.fsync = fsync  # type: ignore[assignment]  # it has no audit event
    sys.addaudithook(hook)


def _power_failure(entries: list[Entry], mode: str) -> None:
    """Take from the run folder what was not on the disk yet."""
    synced = {entry["inode"] for entry in entries if entry["do"] == "sync"}
    if mode in ("cut", "zeroed", "both"):
        written = {path.stat().st_ino: path for path in _written(entries)}
        for inode, path in written.items():
            if inode not in synced:
                size = path.stat().st_size
                with path.open("r+b") as file:
                    if mode == "zeroed":
                        file.write(b"\0" * size)
                    else:
                        file.truncate(size // 2)
    if mode in ("undone", "both"):
        for number in range(len(entries) - 1, -1, -1):
            entry = entries[number]
            folder = str(Path(entry["path"]).parent)
            if not any(later["do"] == "sync" and later["path"] == folder for later in entries[number:]):
                _undo(entry)


def _written(entries: list[Entry]) -> list[Path]:
    """The files that were written, by the names that they have now."""
    names = {entry["path"] for entry in entries if entry["do"] == "write"}
    for entry in entries:
        if entry["do"] in ("rename", "link") and entry["from"] in names:
            names.add(entry["path"])
    return [Path(name) for name in names if Path(name).is_file()]


def _undo(entry: Entry) -> None:
    with suppress(FileNotFoundError):  # what it had made may be gone again
        if entry["do"] == "rename":
            os.rename(entry["path"], entry["from"])  # noqa: PTH104
        elif entry["do"] == "link":
            os.unlink(entry["path"])  # noqa: PTH108
    if "kept" in entry and not os.path.lexists(entry["path"]):
        os.link(entry["kept"], entry["path"])


def _problems(run_dir: Path, generation: int) -> Iterator[str]:
    """What of a run that had saved `generation` times is lost."""
    store = CheckpointStore(run_dir)
    try:
        found = {LATEST: store.load_for_resume(), BEST: store.load(BEST)}
    except Exception as error:  # whatever it is, the run cannot be resumed
        yield f"{type(error).__name__}: {error}"
        return
    for name, one in found.items():
        if one is None:
            yield f"{name} is gone"
        elif one.step not in (generation, generation + 1):
            yield f"{name} is of save {one.step}"
        elif not _same(read_parameters(one.path("pdparams")), _values(one.step)):
            yield f"{name} has other weights than those of save {one.step}"
    _save(run_dir, generation + 1)
    after = CheckpointStore(run_dir).load(LATEST)
    if after is None or after.step != generation + 1:
        yield "the next save does not count"
    left = [path.name for path in (run_dir / "checkpoints").rglob("*.tmp")]
    if left:
        yield f"left behind: {left}"


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(np.asarray(left[key]), right[key]) for key in right)
