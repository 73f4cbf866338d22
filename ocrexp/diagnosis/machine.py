"""The checks of the machine: Python, system, GPUs, cores, memory, disks and fonts."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ocrexp.diagnosis.child import one_line
from ocrexp.diagnosis.finding import Finding
from ocrexp.environment import available_cores
from ocrexp.folders import cache_folder

_PYTHON = ((3, 10), (3, 13))  # the first and the last version that is supported
_GB = 1 << 30
# A character of each script, to see whether a font has it.
_SCRIPTS = {"Latin": "A", "Cyrillic": "Ж", "Greek": "Ω", "Arabic": "ب", "Hindi": "क", "Thai": "ก", "Chinese": "中",
            "Japanese": "あ", "Korean": "한"}  # fmt: skip


def check_python() -> Finding:
    """Whether this Python is one of the supported ones."""
    version = sys.version_info[:2]
    value = f"{platform.python_version()} ({sys.executable})"
    if not _PYTHON[0] <= version <= _PYTHON[1]:
        first, last = (".".join(map(str, bound)) for bound in _PYTHON)
        return Finding(
            "fail", "Python", value, f"ocrexp needs Python {first} to {last}; create an environment with one of them"
        )
    return Finding("ok", "Python", value)


def check_system() -> Finding:
    """The operating system."""
    name, version = platform.libc_ver()
    value = f"{platform.system()} {platform.release()} {platform.machine()} {name} {version}".strip()
    if platform.system() != "Linux":
        return Finding("warn", "System", value, "ocrexp is tested on Linux; on Windows use WSL 2")
    return Finding("ok", "System", value)


def check_gpus(told: dict[str, Any]) -> list[Finding]:
    """The GPUs that paddle finds, or why it finds none; `told` is what paddle says of itself."""
    driver = _nvidia_smi()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = f"; CUDA_VISIBLE_DEVICES={shown}" if shown is not None else ""
    cards = told.get("cards", [])
    findings = [
        Finding("ok", f"GPU {number}", f"{name}, {memory / _GB:.0f} GB, compute capability {capability}")
        for number, (name, memory, capability) in enumerate(cards)
    ]
    if cards:
        return [Finding("ok", "Driver", driver or "nvidia-smi was not found"), *findings]
    if driver and "error" not in told and not told["cuda"]:
        advice = "to train on it, replace paddlepaddle by the paddlepaddle-gpu of your CUDA version"
        return [Finding("warn", "GPU", f"{driver}, but this paddle is the CPU build", advice)]
    if driver and told.get("cuda"):
        advice = "check CUDA_VISIBLE_DEVICES, and that the driver is as new as paddle's CUDA"
        return [Finding("warn", "GPU", f"{driver}, but paddle finds none{hidden}", advice)]
    if told.get("cuda"):
        advice = "in a container start with --gpus all; training works on the CPU"
        return [Finding("warn", "GPU", f"none, but paddle is built for GPUs{hidden}", advice)]
    return [Finding("note", "GPU", "none, training runs on the CPU", driver)]


def _nvidia_smi() -> str:
    """Cards and driver as nvidia-smi gives them; empty if it is not here or finds none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line.strip() for line in told.stdout.splitlines() if line.strip()]
    return f"{len(lines)} × {lines[0]}" if told.returncode == 0 and lines else ""


def check_cores() -> Finding:
    """The cores that this process may use."""
    usable, all_cores = available_cores(), os.cpu_count() or 1
    value = f"{usable} usable of {all_cores}"
    if usable < all_cores:
        value += " (affinity or the quota of the control group)"
    if usable == 1:
        return Finding("warn", "Cores", value, "one core loads the images and trains; give the container two or more")
    return Finding("ok", "Cores", value)


def check_memory() -> Finding:
    """The memory that is free."""
    from ocrexp.data.memory import available_bytes

    free = available_bytes()
    if free is None:
        return Finding("note", "Memory", "cannot be read here")
    if free < 3 * _GB:
        advice = "detection at 640 × 640 with batch 8 needs about 4 GB; lower loader.batch_size and augment.warp.size"
        return Finding("warn", "Memory", f"{free / _GB:.1f} GB free", advice)
    return Finding("ok", "Memory", f"{free / _GB:.1f} GB free")


def check_shared_memory(gpus: int) -> Finding:
    """The size of /dev/shm, which runs on several GPUs use."""
    from ocrexp.data.memory import shared_memory_warning

    try:
        usage = shutil.disk_usage("/dev/shm")
        value = f"{usage.free / _GB:.2f} GB free of {usage.total / _GB:.2f} GB"
    except OSError:
        value = "missing"
    advice = shared_memory_warning(gpus)
    if advice:
        return Finding("warn", "/dev/shm", value, advice)
    return Finding("ok", "/dev/shm", f"{value} (only runs on several GPUs use it)")


def check_disks() -> list[Finding]:
    """Where runs, cache and temporary files go: whether there is room, and whether they can be written."""
    places = (
        ("Runs", Path.cwd(), "start in a writable folder, or set run_dir=…"),
        ("Cache", cache_folder(), "set OCREXP_CACHE to a writable folder"),
        ("Temporary", Path(tempfile.gettempdir()), "set TMPDIR to a writable folder"),
    )
    findings = []
    for what, folder, advice in places:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        value = f"{folder}: {free / _GB:.1f} GB free"
        if not os.access(there, os.W_OK | os.X_OK):
            findings.append(Finding("fail" if what == "Runs" else "warn", what, f"{folder}: not writable", advice))
        elif free < 2 * _GB:
            more = "a run keeps several checkpoints, up to 1 GB for large models; free some space or use another disk"
            findings.append(Finding("warn", what, value, more))
        else:
            findings.append(Finding("ok", what, value))
    return findings


def check_fonts() -> Finding:
    """The scripts that the installed fonts can draw."""
    try:
        from ocrexp.data.synth.shaping import has_raqm
        from ocrexp.deploy.fonts import FontFinder

        finder = FontFinder()
        for character in _SCRIPTS.values():
            finder.runs(character)
        shaped = has_raqm()
    except ImportError as error:
        return Finding("warn", "Fonts", f"not checked: {one_line(error)}")
    missing = [script for script, character in _SCRIPTS.items() if character in finder.missing]
    found = ", ".join(script for script in _SCRIPTS if script not in missing)
    advice = []
    if missing:
        advice.append(
            f"to draw {', '.join(missing)}, run: apt-get install fonts-noto-core fonts-noto-cjk, or set font=FILE"
        )
    if not shaped:
        advice.append(
            "Pillow has no raqm: letters of Arabic and Hindi are not joined in pictures, and synth draws neither them "
            "nor vertical lines; run: pip install --upgrade Pillow, and apt-get install libfribidi0"
        )
    return Finding("note" if advice else "ok", "Fonts", found, "; ".join(advice))
