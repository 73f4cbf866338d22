"""The checks of packages: required ones, optional ones, and paddle."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from typing import Any

from ocrexp.diagnosis.child import ask, python_says
from ocrexp.diagnosis.finding import Finding
from ocrexp.errors import explain_import_error

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
    ("tensorboard", "tensorboard", "tensorboard", "logger=tensorboard"),
    ("mlflow-skinny", "mlflow", "mlflow", "logger=mlflow"),
    ("imgaug", "ocrexp.augment.imgaug_list", "imgaug", "augment=det_imgaug"),
    ("fsspec", "fsspec", "shards", "dataset=rec_shards, det_shards with URLs"),
    ("submitit", "submitit", "slurm", "launcher=slurm, launcher=slurm_local"),
    ("ray", "ray", "ray", "launcher=ray"),
    ("optuna", "optuna", "search", "hydra/sweeper=ocrexp_optuna"),
    ("onnxruntime", "onnxruntime", "onnx", "predict with ONNX models"),
    ("paddle2onnx", "paddle2onnx", "export", "export to ONNX"),
    ("onnx", "onnx", "export", "export to ONNX"),
    ("pypdfium2", "pypdfium2", "pdf", "predict on PDF files"),
    ("jinja2", "jinja2", "report", "report, compare gallery=FILE"),
    ("plotly", "plotly", "report", "report"),
)
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


def check_required() -> list[Finding]:
    """The packages that training needs: one line for each that cannot be imported, and their count."""
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


def ask_paddle() -> dict[str, Any]:
    """What paddle says of itself, or {"error": why}."""
    return ask(_ASK_PADDLE)


def check_paddle(told: dict[str, Any]) -> list[Finding]:
    """Whether paddle is installed and computes right numbers."""
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


def check_optional() -> list[Finding]:
    """The packages of the extras."""
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
        output, why = python_says(code, rest)
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
