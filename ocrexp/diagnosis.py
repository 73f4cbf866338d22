"""What a machine has to train with, for `ocrexp doctor`: each check gives a line and, where something is amiss, advice.

The checks import neither paddle nor any optional package into this process: one that is broken, or that ends its
process, is reported like one that is missing.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ocrexp.environment import available_cores
from ocrexp.errors import explain_import_error
from ocrexp.folders import cache_folder

State = Literal["ok", "note", "warn", "fail"]
_PYTHON = ((3, 10), (3, 13))  # the first and the last version that is supported
_GB = 1 << 30
_IMPORT_SECONDS = 120

# Distribution, module, what it is for; without the first group there is no training.
REQUIRED = (
    ("hydra-core", "hydra"), ("omegaconf", "omegaconf"), ("numpy", "numpy"), ("PyYAML", "yaml"),
    ("opencv-python", "cv2"), ("pyclipper", "pyclipper"), ("shapely", "shapely"), ("Pillow", "PIL"),
    ("rapidfuzz", "rapidfuzz"), ("rich", "rich"), ("matplotlib", "matplotlib"),
)  # fmt: skip
# Distribution, module, extra, what it is for.
OPTIONAL = (
    ("wandb", "wandb", "wandb", "logger=wandb"),
    ("visualdl", "visualdl", "visualdl", "logger=visualdl"),
    ("imgaug", "ocrexp.augment.imgaug_list", "imgaug", "augment=det_imgaug"),
    ("hydra-joblib-launcher", "hydra_plugins.hydra_joblib_launcher", "parallel", "sweeps with parallel jobs"),
    ("optuna", "optuna", "search", "hydra/sweeper=ocrexp_optuna"),
    ("onnxruntime", "onnxruntime", "onnx", "predict with ONNX models"),
    ("paddle2onnx", "paddle2onnx", "export", "export to ONNX"),
    ("onnx", "onnx", "export", "export to ONNX"),
    ("pypdfium2", "pypdfium2", "pdf", "predict on PDF files"),
    ("jinja2", "jinja2", "report", "report, compare gallery=FILE"),
    ("plotly", "plotly", "report", "report"),
)
# A character of each script, to see whether a font has it.
_SCRIPTS = {"Latin": "A", "Cyrillic": "Ж", "Greek": "Ω", "Arabic": "ب", "Hindi": "क", "Thai": "ก", "Chinese": "中",
            "Japanese": "あ", "Korean": "한"}  # fmt: skip
_OPENCVS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_ASK_PADDLE = """
import json, sys
import paddle
cuda = paddle.device.is_compiled_with_cuda()
count = paddle.device.cuda.device_count() if cuda else 0
cards = []
for number in range(count):
    card = paddle.device.cuda.get_device_properties(number)
    cards.append([card.name, card.total_memory, f"{card.major}.{card.minor}"])
paddle.set_device("cpu")
right = float((paddle.ones([2, 2]) @ paddle.ones([2, 2])).sum()) == 8.0
print(json.dumps({"version": paddle.__version__, "cuda": cuda, "cards": cards, "right": right,
                  "built": str(paddle.version.cuda()), "cudnn": str(paddle.version.cudnn())}))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the table; `fail` means that training cannot run."""

    state: State
    what: str
    value: str
    advice: str = ""


def diagnose() -> list[Finding]:
    """All checks, in the order of the table."""
    paddle = _ask(_ASK_PADDLE)
    return [
        _python(),
        _system(),
        *_required(),
        *_paddle(paddle),
        *_gpus(paddle),
        _cores(),
        _memory(),
        _shared_memory(len(paddle.get("cards", ()))),
        *_disks(),
        _fonts(),
        *_optional(),
    ]


def _python() -> Finding:
    version = sys.version_info[:2]
    value = f"{platform.python_version()} ({sys.executable})"
    if not _PYTHON[0] <= version <= _PYTHON[1]:
        first, last = (".".join(map(str, bound)) for bound in _PYTHON)
        return Finding(
            "fail", "Python", value, f"ocrexp needs Python {first} to {last}; create an environment with one of them"
        )
    return Finding("ok", "Python", value)


def _system() -> Finding:
    name, version = platform.libc_ver()
    value = f"{platform.system()} {platform.release()} {platform.machine()} {name} {version}".strip()
    if platform.system() != "Linux":
        return Finding("warn", "System", value, "ocrexp is tested on Linux; on Windows use WSL 2")
    return Finding("ok", "System", value)


def _required() -> list[Finding]:
    broken = _import_errors([module for _, module in REQUIRED])
    findings = []
    for distribution, module in REQUIRED:
        version = _version(*_OPENCVS) if module == "cv2" else _version(distribution)
        error = broken.get(module)
        if error is not None:
            repair = f"pip install --force-reinstall '{distribution}'" if version else "pip install 'ocrexp[train]'"
            advice = (explain_import_error(ImportError(error)) if version else None) or repair
            findings.append(Finding("fail", distribution, f"{version or 'not installed'}: {error}", advice))
    good = len(REQUIRED) - len(findings)
    return [*findings, Finding("ok", "Packages", f"{good} of {len(REQUIRED)} required packages can be imported")]


def _paddle(told: dict[str, Any]) -> list[Finding]:
    both = [name for name in ("paddlepaddle", "paddlepaddle-gpu") if _version(name)]
    if "error" in told:
        if not both:
            return [Finding("fail", "paddle", "not installed", _install_paddle())]
        return [
            Finding("fail", "paddle", f"{both[0]} {_version(both[0])}: {told['error']}",
                    f"pip install --force-reinstall {both[0]}, see docs/installation.md"),
        ]  # fmt: skip
    build = f"CUDA {told['built']}, cuDNN {told['cudnn']}" if told["cuda"] else "CPU build"
    value = f"{told['version']} ({build})"
    if not told["right"]:
        return [
            Finding("fail", "paddle", f"{value}, which computes wrong numbers", "install another version of paddle")
        ]
    if len(both) > 1:
        advice = "uninstall both, then install one, because they overwrite each other's files"
        return [Finding("warn", "paddle", f"{value}; {' and '.join(both)} are both installed", advice)]
    return [Finding("ok", "paddle", value)]


def _install_paddle() -> str:
    if shutil.which("nvidia-smi"):
        return "install the paddlepaddle-gpu of your CUDA version, see docs/installation.md"
    return "pip install 'ocrexp[cpu]'"


def _gpus(told: dict[str, Any]) -> list[Finding]:
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


def _cores() -> Finding:
    usable, all_cores = available_cores(), os.cpu_count() or 1
    value = f"{usable} usable of {all_cores}"
    if usable < all_cores:
        value += " (affinity or the quota of the control group)"
    if usable == 1:
        return Finding("warn", "Cores", value, "one core loads the images and trains; give the container two or more")
    return Finding("ok", "Cores", value)


def _memory() -> Finding:
    from ocrexp.data.memory import available_bytes

    free = available_bytes()
    if free is None:
        return Finding("note", "Memory", "cannot be read here")
    if free < 3 * _GB:
        advice = "detection at 640 × 640 with batch 8 needs about 4 GB; lower loader.batch_size and augment.warp.size"
        return Finding("warn", "Memory", f"{free / _GB:.1f} GB free", advice)
    return Finding("ok", "Memory", f"{free / _GB:.1f} GB free")


def _shared_memory(gpus: int) -> Finding:
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


def _disks() -> list[Finding]:
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


def _fonts() -> Finding:
    try:
        from ocrexp.data.synth.shaping import has_raqm
        from ocrexp.deploy.fonts import FontFinder

        finder = FontFinder()
        for character in _SCRIPTS.values():
            finder.runs(character)
        shaped = has_raqm()
    except ImportError as error:
        return Finding("warn", "Fonts", f"not checked: {_one_line(error)}")
    missing = [script for script, character in _SCRIPTS.items() if character in finder.missing]
    found = ", ".join(script for script in _SCRIPTS if script not in missing)
    if missing:
        advice = f"to draw {', '.join(missing)}, run: apt-get install fonts-noto-core fonts-noto-cjk, or set font=FILE"
        return Finding("note", "Fonts", found, advice)
    if not shaped:
        return Finding(
            "note", "Fonts", found, "Pillow has no raqm, so Arabic and Hindi letters are not joined in pictures"
        )
    return Finding("ok", "Fonts", found)


def _optional() -> list[Finding]:
    installed = [item for item in OPTIONAL if _version(item[0])]
    broken = _import_errors([module for _, module, *_ in installed])
    findings = []
    for distribution, module, extra, purpose in OPTIONAL:
        version, error = _version(distribution), broken.get(module)
        if not version:
            findings.append(
                Finding("note", distribution, f"not installed ({purpose})", f"pip install 'ocrexp[{extra}]'")
            )
        elif error is not None:
            advice = f"pip install --force-reinstall 'ocrexp[{extra}]'"
            findings.append(Finding("warn", distribution, f"{version}: {error} ({purpose})", advice))
        else:
            findings.append(Finding("ok", distribution, f"{version} ({purpose})"))
    return findings


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # the next name of the same module
    return ""


def _import_errors(modules: list[str]) -> dict[str, str]:
    """Modules that cannot be imported, and why, each in one line."""
    code = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]:\n"
        "    print(json.dumps([name, '?']), flush=True)\n"  # stays the last line where the import ends the process
        "    try:\n"
        "        importlib.import_module(name)\n"
        "        error = None\n"
        "    except BaseException as caught:\n"
        "        error = f'{type(caught).__name__}: {caught}'\n"
        "    print(json.dumps([name, error]), flush=True)\n"
    )
    errors: dict[str, str] = {}
    rest = list(modules)
    while rest:
        output, why = _python_says(code, rest)
        told: dict[str, str | None] = {}
        for line in output.splitlines():
            try:
                name, error = json.loads(line)
            except (ValueError, TypeError):
                continue  # what an imported package prints
            told[name] = error
        ended = next((name for name, error in told.items() if error == "?"), None)
        if ended is None and not told:
            return {**errors, **dict.fromkeys(rest, why)}
        errors |= {name: " ".join(error.split()) for name, error in told.items() if error and error != "?"}
        if ended is None:
            return errors
        errors[ended] = f"importing it ends the process ({why})"
        rest = rest[rest.index(ended) + 1 :]
    return errors


def _ask(code: str) -> dict[str, Any]:
    """The JSON object that a program prints last, or {"error": why}."""
    output, why = _python_says(code, [])
    lines = output.strip().splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {"error": why}
    return found


def _python_says(code: str, arguments: list[str]) -> tuple[str, str]:
    """Output of a program run by this Python in a process of its own, and the last line of its errors."""
    paths = os.pathsep.join(path for path in sys.path if path)
    flags = ["-S"] if sys.flags.no_site else []
    try:
        told = subprocess.run(
            [sys.executable, *flags, "-c", code, *arguments], capture_output=True, text=True, errors="replace",
            timeout=_IMPORT_SECONDS, check=False, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", _one_line(error)
    lines = [line.strip() for line in told.stderr.splitlines() if line.strip()]
    return told.stdout, lines[-1] if lines else f"exit code {told.returncode}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
