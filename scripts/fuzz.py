"""Feeds damaged files to everything that reads files of strangers; reports what it makes of them.

    python scripts/fuzz.py                                  # every target for 10 minutes
    python scripts/fuzz.py weights lmdb --seconds 60        # two of them for a minute each
    python scripts/fuzz.py images --replay FOLDER/images-0  # one input that was kept

An input is a valid file with a few changes (fuzzing/changes.py), chosen by hypothesis. What is fed (`TARGETS` of
fuzzing) may return or raise one of ocrexp's own errors in one line. Findings are: any other exception, a Python
warning, more than 5 seconds, more than 300 MB on top or growth by and by, a process that dies. Each input that led to
one is kept, the smallest of its kind, with the traceback. Exit code 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from fuzzing import TARGETS, Input, Target  # noqa: E402 - of this checkout

from ocrexp.errors import OcrexpError  # noqa: E402
from ocrexp.types import UnusableSample  # noqa: E402

SECONDS_AN_INPUT = 5.0  # of the processor
SECONDS_TO_DIE = 60.0  # of a call that does not come back to Python
MEGABYTES_AN_INPUT = 300
SECONDS_TO_GROW, MEGABYTES_TO_GROW = 60, 50  # from a tenth of a search of at least this many seconds to its end
LONGEST_MESSAGE = 1010
_CURRENT, _RESULT = "current", "result.json"


class TooSlow(BaseException):
    """Raised into the code under test; nothing but `attempt` catches it."""


@dataclass
class Findings:
    """What was found in a target: the smallest input of each kind, and counts."""

    folder: Path
    executions: int = 0
    refused: int = 0
    kinds: dict[str, int] = field(default_factory=dict)  # -> size of the kept input

    def add(self, target: str, kind: str, text: str, given: Input) -> None:
        """Keep the input, unless a smaller one of the same kind is there."""
        if kind in self.kinds and self.kinds[kind] <= len(given.content):
            return
        number = list(self.kinds).index(kind) if kind in self.kinds else len(self.kinds)
        self.kinds[kind] = len(given.content)
        place = self.folder / f"{target}-{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "kind.txt").write_text(f"{kind}\n\n{text}\n")
        (place / "name").write_text(given.name)
        (place / "content").write_bytes(given.content)


def attempt(target: Target, given: Input, findings: Findings) -> None:
    """Run one input and judge what comes of it."""
    findings.executions += 1
    before, began = _peak(), time.process_time()
    kind = text = None
    signal.setitimer(signal.ITIMER_PROF, SECONDS_AN_INPUT)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                target.run(given)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        for warning in caught:
            if issubclass(warning.category, RuntimeWarning | UserWarning):
                kind = f"warning {warning.category.__name__} {_short(warning.filename)}:{warning.lineno}"
                text = str(warning.message)
    except (OcrexpError, UnusableSample) as error:
        findings.refused += 1
        lines = error.lines if isinstance(error, OcrexpError) else [str(error)]
        if not all("\n" not in line and 10 <= len(line) <= LONGEST_MESSAGE for line in lines):
            kind, text = f"not one readable line {_place(error)}", str(error)[:2000]
    except TooSlow as error:
        kind, text = f"slow {_place(error)}", traceback.format_exc()
    except Exception as error:
        kind, text = f"{type(error).__name__} {_place(error)}", traceback.format_exc()
    if kind is None and time.process_time() - began > SECONDS_AN_INPUT:
        kind, text = "slow", f"{time.process_time() - began:.1f} s"
    if kind is None and _peak() - before > MEGABYTES_AN_INPUT:
        kind, text = "memory", f"{_peak() - before} MB"
    if kind is not None:
        findings.add(target.name, kind, text or "", given)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _resident() -> float:
    """In MB, without what the allocator keeps for later."""
    gc.collect()
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _short(file: str) -> str:
    return file.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]


def _place(error: BaseException) -> str:
    """The innermost line of ocrexp, or of the target."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(ROOT))]
    own = [frame for frame in frames if "/ocrexp/" in frame.filename] or frames
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else "?"


def search(target: Target, findings: Findings, seconds: float, seed: int, inputs: int | None) -> float:
    """Try inputs for so long; returns by how many MB the process grew from a tenth of the time to its end."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    end, first = time.monotonic() + seconds, None
    current = findings.folder / _CURRENT
    for number in range(1_000_000):

        @seeded(seed * 1_000_003 + number)
        @settings(
            max_examples=inputs or 400, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.randoms(use_true_random=False))
        def one_input(rng: random.Random) -> None:
            example = target.example(rng)
            if time.monotonic() < end:  # later ones are drawn only: hypothesis wants them to be
                _note(current, example)
                attempt(target, example, findings)
            else:
                current.touch()  # it does not hang

        one_input()
        if first is None and time.monotonic() > end - 0.9 * seconds:
            first = _resident()
        if inputs or time.monotonic() > end:
            break
    return _resident() - (first or _resident())


def _note(current: Path, given: Input) -> None:
    """What is tried now, for the parent of a process that dies."""
    current.write_bytes(given.name.encode() + b"\0" + given.content)


def _child(name: str, folder: Path, seconds: float, seed: int, inputs: int | None = None) -> dict[str, Any]:
    """Search in this process, which may die of it; returns the sums."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise TooSlow

    signal.signal(signal.SIGPROF, stop)
    with _fast_folder() as work:
        return _search_in(Path(work) / "work", name, folder, seconds, seed, inputs)


def _fast_folder() -> tempfile.TemporaryDirectory[str]:
    """In memory where there is a place for it: most of the time goes into writing inputs elsewhere."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=shared if os.access(shared, os.W_OK) else None)


def _search_in(work: Path, name: str, folder: Path, seconds: float, seed: int, inputs: int | None) -> dict[str, Any]:
    target = TARGETS[name](work)
    limit = int(_address_space() + (6 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    findings = Findings(folder)
    began, printed = time.monotonic(), _printed()
    grown = search(target, findings, seconds, seed, inputs)
    log = folder / "log"
    if target.silent and log.exists() and (text := log.read_bytes()[printed:].decode(errors="replace")):
        findings.add(name, "something is printed", text[:2000], Input("", b""))
    spent = time.monotonic() - began
    if spent > SECONDS_TO_GROW and grown > MEGABYTES_TO_GROW:
        findings.add(name, "the process grows", f"{grown:.0f} MB in {spent:.0f} s", Input("", b""))
    sums = {"executions": findings.executions, "refused": findings.refused, "grown": grown, "seconds": spent}
    return {**sums, "kinds": list(findings.kinds)}


def _printed() -> int:
    """How much this process and its libraries have printed, where its output is a file."""
    sys.stdout.flush()
    return os.lseek(2, 0, os.SEEK_CUR) if os.path.isfile("/proc/self/fd/2") else 0  # noqa: PTH113 - follows the link


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def fuzz(name: str, folder: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Search a target in processes of its own, a new one where one dies; returns the sums."""
    total: dict[str, Any] = {"executions": 0, "refused": 0, "seconds": 0.0, "grown": 0.0, "kinds": []}
    end = time.monotonic() + seconds
    number = 0
    while (left := end - time.monotonic()) > min(1.0, seconds / 2):
        with _fast_folder() as fast:
            place = Path(fast)
            began = time.monotonic()
            result = _process(name, place, left, seed + number)
            total["seconds"] += time.monotonic() - began
            total["grown"] = max(total["grown"], result["grown"])
            total["executions"] += result["executions"]
            total["refused"] += result["refused"]
            for kept in sorted(place.glob(f"{name}-[0-9]*")):
                kind = (kept / "kind.txt").read_text().partition("\n")[0]
                if kind not in total["kinds"]:
                    shutil.move(kept, folder / f"{name}-{len(total['kinds'])}")
                    total["kinds"].append(kind)
        number += 1
    return total


def _process(name: str, place: Path, seconds: float, seed: int) -> dict[str, Any]:
    """One process of a search; its sums, where it lives to tell them."""
    arguments = [name, "--child", str(place), "--seconds", f"{seconds:.1f}", "--seed", str(seed)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=log, stderr=log)
        code = _watched(process, place / _CURRENT)
    if code == 0:
        result: dict[str, Any] = json.loads((place / _RESULT).read_text())
        return result
    log_end = (place / "log").read_text(errors="replace")[-3000:]
    if not (place / _CURRENT).exists():
        raise SystemExit(f"{name} does not start:\n{log_end}")
    given, _, content = (place / _CURRENT).read_bytes().partition(b"\0")
    died = "hangs" if code == -signal.SIGKILL else f"dies (exit code {code})"
    Findings(place).add(name, f"the process {died}", log_end, Input(given.decode(), content))
    return {"executions": 0, "refused": 0, "grown": 0.0}


def _watched(process: subprocess.Popen[bytes], current: Path) -> int:
    """Its exit code; killed where it has not begun an input for long."""
    while process.poll() is None:
        time.sleep(0.2)
        if current.exists() and time.time() - current.stat().st_mtime > SECONDS_TO_DIE:
            process.kill()
    return process.returncode


def _replay(name: str, kept: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        target = TARGETS[name](Path(folder) / "work")
        target.run(Input((kept / "name").read_text(), (kept / "content").read_bytes()))
    return 0


def main() -> int:
    """Fuzz targets one after another; returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--seconds", type=float, default=600, help="of each target (600)")
    parser.add_argument("--inputs", type=int, help="of each target, in place of a time and in one process")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (0)")
    parser.add_argument("--folder", type=Path, help="for the inputs with findings (a temporary one)")
    parser.add_argument("--replay", type=Path, help="run one kept input of the target")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]}; targets: {', '.join(TARGETS)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.child:
        result = _child(options.targets[0], options.child, options.seconds, options.seed)
        (options.child / _RESULT).write_text(json.dumps(result))
        return 0
    if options.replay:
        return _replay(options.targets[0], options.replay)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    for name in options.targets or TARGETS:
        total = (
            _child(name, folder, options.seconds, options.seed, options.inputs)
            if options.inputs
            else fuzz(name, folder, options.seconds, options.seed)
        )
        found += len(total["kinds"])
        print(
            f"{time.strftime('%H:%M:%S')} {name}: {total['executions']} executions ({total['refused']} refused) in "
            f"{total['seconds']:.0f} s, {len(total['kinds'])} findings, grown by {total['grown']:.0f} MB",
            flush=True,
        )
        for number, kind in enumerate(total["kinds"]):
            print(f"    {folder / f'{name}-{number}'}: {kind}", flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
