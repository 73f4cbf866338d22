"""What must be set before paddle is imported, so that training on a CPU uses the machine.

paddle reads its number of threads and its matrix library's code path when it is loaded. Nothing here changes what runs
on a GPU. `OCREXP_CPU_TUNING=0` switches all of it off, the CPU kernels of `ocrexp.models.cpu` too; a variable that the
user has set stays as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocrexp.errors import ConfigError

SWITCH = "OCREXP_CPU_TUNING"
START_FOLDER = "OCREXP_START_FOLDER"  # set by the command line for the processes that it starts
CORES = "OCREXP_CORES"  # of a job that shares the machine with others: its share of the cores

# glibc's <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


_set_here: set[str] = set()  # variables that `prepare` has set in this process


def untouched() -> dict[str, str]:
    """The environment without what `prepare` has set: for processes that prepare themselves."""
    return {name: value for name, value in os.environ.items() if name not in _set_here}


def with_package(environment: dict[str, str]) -> dict[str, str]:
    """The environment for a process that is started from a file of this package and imports the same package."""
    paths = [str(Path(__file__).resolve().parents[1]), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def start_here() -> None:
    """Make the current folder the start folder of this process and of those that it starts.

    Raises ConfigError if the current folder was deleted.
    """
    try:
        os.environ[START_FOLDER] = str(Path.cwd())
    except FileNotFoundError as error:
        raise ConfigError("the current folder was deleted; change to a folder that exists") from error
    find_own_modules()


def find_own_modules() -> None:
    """Let the user's own modules in the start folder be imported, whatever folder and launcher a process runs in.

    The start folder goes behind all other places, so that no file in it hides an installed package. A run folder is no
    place for modules: it may come from someone else.
    """
    folder = os.environ.get(START_FOLDER) or str(Path.cwd())
    if folder not in sys.path and not Path(folder, ".hydra", "config.yaml").is_file():
        sys.path.append(folder)


def tuned() -> bool:
    """Whether the settings of this module and the CPU kernels of `ocrexp.models.cpu` are on."""
    return os.environ.get(SWITCH, "1").strip().lower() not in ("0", "false", "off", "no")


@contextmanager
def untuned() -> Iterator[None]:
    """Within this block paddle's own kernels compute, as without `trainer.cpu_tuning`."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def prepare(enabled: bool = True, threads: int | None = None) -> list[str]:
    """Sets the process up for paddle on a CPU; call it before paddle is imported.

    - `OMP_NUM_THREADS`, `FLAGS_paddle_num_threads`: paddle trains with one thread by default.
    - `MKL_DEBUG_CPU_TYPE=5` on AMD: its matrix library otherwise takes a path without AVX2 there (2 to 3 times slower).
    - `KMP_BLOCKTIME=0`, `OMP_WAIT_POLICY=PASSIVE`: paddle has two thread pools; the one that waits must not spin on
      the cores of the one that works.
    - glibc keeps freed memory: otherwise each large tensor is mapped again and its pages are zeroed by the kernel.

    Args:
        enabled: False switches the tuning off, as `OCREXP_CPU_TUNING=0` does.
        threads: of each process; None: the cores that this process may use.

    Returns:
        One line for each thing that was set.
    """
    if not enabled and tuned():
        os.environ[SWITCH] = "0"
        _set_here.add(SWITCH)
    if not tuned():
        return []
    count = str(threads or available_cores())
    wanted = {
        "OMP_NUM_THREADS": count,
        "FLAGS_paddle_num_threads": count,
        "KMP_BLOCKTIME": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if _is_amd():
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    lines = []
    for name, value in wanted.items():
        if name not in os.environ:
            os.environ[name] = value
            _set_here.add(name)
            lines.append(f"{name}={value}")
    if _keep_freed_memory():
        lines.append("malloc keeps freed memory")
    return lines


def available_cores() -> int:
    """Cores that this process may use: its affinity, the quota of its control group, and its share (`OCREXP_CORES`)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [cores, *(round(quota) for quota in [_quota()] if quota is not None)]
    share = os.environ.get(CORES, "")
    return max(1, min([*limits, int(share)] if share.isdecimal() else limits))


def _quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores that the control group allows, of either version of control groups; None if there is no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((root / name).read_text() for name in files).split()
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue  # the other version, or none
    return None


def _is_amd() -> bool:
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        with Path("/proc/cpuinfo").open() as file:
            return any("AuthenticAMD" in line for line in file if line.startswith("vendor_id"))
    except OSError:
        return False


def _keep_freed_memory() -> bool:
    """Makes glibc keep what is freed, up to blocks of 64 MB. A user's own tunables win."""
    if platform.libc_ver()[0] != "glibc" or "GLIBC_TUNABLES" in os.environ:
        return False
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Blocks above 64 MB go back: kept as well, they fragment, and det_mv3_db at batch 8 takes a third more memory.
    settings = ((_M_MMAP_THRESHOLD, 64 << 20), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    accepted = [mallopt(option, value) == 1 for option, value in settings]  # each is tried, whatever another gave
    return all(accepted)
