"""Errors meant for the user: one line that states where, what is wrong, and what to do."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LONGEST, _BEGINNING = 1000, 700  # characters of a message


class OcrexpError(Exception):
    """A failure whose message is complete; the command line prints it without a traceback.

    Messages quote values, and a file of a stranger may hold a value of a million characters: the middle of a message
    that is longer than a screen is omitted, so that its beginning (where) and its end (what to do) stay.
    """

    exit_code = 1

    @property
    def lines(self) -> list[str]:
        """What is printed: one line for each thing that is wrong."""
        return [str(self)]

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[:_BEGINNING]} … {text[_BEGINNING - _LONGEST :]}"


class ConfigError(OcrexpError):
    """The configuration cannot be used: unknown key, wrong type, parts that do not fit."""

    exit_code = 2


class SeveralConfigErrors(ConfigError):
    """Several things that are wrong with a configuration, one line each; as a text, the first ones."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = list(errors)

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return [str(error) for error in self.errors]


def report_error(error: OcrexpError) -> None:
    """Print an error's lines to standard error, without control codes."""
    for line in error.lines:
        print(f"ocrexp: {printable(line)}", file=sys.stderr)


class DataError(OcrexpError):
    """Labels or images cannot be used."""


class CheckpointError(OcrexpError):
    """A checkpoint or a pretrained file is missing, damaged or does not fit the model."""


class TrainingError(OcrexpError):
    """Training cannot go on: non-finite loss, out of memory, a dead worker."""


class DeployError(OcrexpError):
    """An exported model is missing, damaged, does not fit its description, or cannot run here."""


class NotAFile(OSError):
    """A path that a user gave leads to something other than a file; `strerror` states to what."""


def explain_os_error(error: OSError) -> str | None:
    """`FILE: No space left on device; …`: where a place cannot be written, and what to do; None for anything else."""
    advice = {
        errno.ENOSPC: "free some space, or choose another folder",
        errno.EDQUOT: "the quota is used up, free some space or choose another folder",
        errno.EROFS: "choose a writable folder",
        errno.EACCES: "choose a writable folder, or change its permissions",
        errno.EPERM: "choose a writable folder, or change its permissions",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EIO: "the disk or the terminal reports an error",
        errno.ESTALE: "the network file system has lost the file",
    }.get(error.errno or 0)
    if isinstance(error, NotAFile):
        advice = "replace it by a file"
    if advice is None:
        return None
    where = f"{printable(str(error.filename))}: " if error.filename is not None else ""
    return f"{where}{error.strerror}; {advice}"


@contextmanager
def nothing_done() -> Iterator[None]:
    """Within this block, which comes before the work, an error of ours ends with exit code 2: nothing was done.

    A TrainingError keeps its code: too little memory or a process that died is not wrong input.
    """
    try:
        yield
    except TrainingError:
        raise
    except OcrexpError as error:
        error.exit_code = ConfigError.exit_code
        raise


def explain(error: ImportError | OSError) -> str | None:
    """One line for a package that is missing or a place that cannot be read or written; None for anything else."""
    return explain_import_error(error) if isinstance(error, ImportError) else explain_os_error(error)


def explain_import_error(error: ImportError) -> str | None:
    """One line with the command to run for what is commonly missing; None for anything else."""
    text = str(error)
    extras = {
        "wandb": "wandb",
        "imgaug": "imgaug",
        "visualdl": "visualdl",
        "submitit": "slurm",
        "ray": "ray",
        "tensorboard": "tensorboard",
        "mlflow": "mlflow",
        "onnxruntime": "onnx",
        "onnx": "export",
        "paddle2onnx": "export",
        "pypdfium2": "pdf",
        "scipy": "formats",
        "lmdb": "formats",
        "jinja2": "report",
        "plotly": "report",
        **dict.fromkeys(("fastapi", "uvicorn", "starlette", "python_multipart"), "serve"),
        **dict.fromkeys(("hydra", "omegaconf", "rich", "rapidfuzz", "matplotlib", "shapely"), "train"),
    }
    name = (error.name or "").partition(".")[0]
    if name == "paddle":
        return "paddle is not installed: pip install 'ocrexp[cpu]' (GPU machines: see docs/installation.md)"
    if name == "cv2":
        return "OpenCV is not installed: pip install opencv-python-headless, or opencv-python"
    if name == "PIL":
        return "Pillow is not installed: pip install pillow"
    if "libGL.so" in text or "libgthread" in text:
        return "OpenCV needs libGL, which this system lacks: apt-get install -y libgl1 libglib2.0-0"
    if name in extras:
        return f"{name} is not installed: pip install 'ocrexp[{extras[name]}]'"
    return None


def printable(text: str) -> str:
    """The text with control, format and undecodable characters written as escapes, for the screen and for log lines.

    File names, labels and configuration values come from strangers: a terminal would obey the escape codes in them.
    Line ends become `\\n`, so that a message stays one line. Joiners within words (U+200C, U+200D) stay.
    """
    return "".join(
        character
        if character.isprintable() or character in "\u200c\u200d\u3000\u00a0"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
