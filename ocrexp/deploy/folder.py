"""The files of an exported model: finds them, verifies them, and reads their description."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ocrexp.deploy.description import FILE_NAME, Description, TaskName
from ocrexp.errors import DeployError

# Names without suffix; the first existing one is used. PaddleOCR 2.x accepts `model` too.
_STEMS = ("inference", "model")
_PADDLE_SUFFIXES = (".json", ".pdmodel")
TASK_NAMES = {"det": "a detector", "rec": "a recognizer", "cls": "a text direction classifier"}


@dataclass(frozen=True)
class ModelFolder:
    """An export: `onnx` file, `paddle` (program, parameters) files, and the description (None if missing)."""

    path: Path
    onnx: Path | None
    paddle: tuple[Path, Path] | None
    description: Description | None

    @staticmethod
    def open(path: Path | str) -> ModelFolder:
        """A folder as `ocrexp export` or PaddleOCR writes it, or a single `.onnx` file (RapidOCR).

        A file NAME.onnx is described by NAME.yml beside it. Raises DeployError if there is no model.
        """
        path = Path(path).expanduser()
        if path.is_file():
            if path.suffix != ".onnx":
                raise DeployError(f"{path}: neither a folder nor an .onnx file; give the folder of the exported model")
            beside = path.with_suffix(".yml")
            return ModelFolder(path, path, None, Description.read(beside) if beside.is_file() else None)
        if not path.is_dir():
            raise DeployError(f"{path}: folder not found; export a run: python -m ocrexp export run_dir=RUN")
        described = path / FILE_NAME
        description = Description.read(described) if described.is_file() else None
        folder = ModelFolder(path, _onnx_in(path), _paddle_in(path), description)
        if folder.onnx is None and folder.paddle is None:
            _explain_absence(path)
        return folder

    def describe(self, task: TaskName) -> Description:
        """The model's description, or PaddleOCR's defaults. Raises DeployError if the model has another task."""
        if self.description is None:
            return Description.default(task)
        if self.description.task != task:
            raise DeployError(
                f"{self.path}: expected {TASK_NAMES[task]}, got {TASK_NAMES[self.description.task]}; "
                "give the other folder"
            )
        return self.description

    def check(self, *files: Path) -> None:
        """Raises DeployError if the files differ from those that the export wrote, by SHA-256.

        Exports of other programs state no SHA-256: their files must only not be empty.
        """
        stated = (self.description.ocrexp or {}).get("files", {}) if self.description else {}
        for file in files:
            try:
                content = file.read_bytes() if file.name in stated else b""
                size = file.stat().st_size
            except OSError as error:
                raise DeployError(f"{file}: cannot be read ({error.strerror})") from None
            if size == 0:
                raise DeployError(f"{file}: empty (0 bytes); export the model or copy the file again")
            if content and hashlib.sha256(content).hexdigest() != stated[file.name]:
                raise DeployError(
                    f"{file}: not the exported file (its SHA-256 differs from that in {FILE_NAME}, "
                    f"size {size} bytes); copy the folder again or export again"
                )


def _onnx_in(path: Path) -> Path | None:
    for stem in _STEMS:
        if (path / f"{stem}.onnx").is_file():
            return path / f"{stem}.onnx"
    others = sorted(path.glob("*.onnx"))
    return others[0] if len(others) == 1 else None


def _paddle_in(path: Path) -> tuple[Path, Path] | None:
    for stem in _STEMS:
        parameters = path / f"{stem}.pdiparams"
        for suffix in _PADDLE_SUFFIXES:
            program = path / f"{stem}{suffix}"
            if program.is_file() and parameters.is_file():
                return program, parameters
    return None


def _explain_absence(path: Path) -> None:
    for stem in _STEMS:
        programs = [name for suffix in _PADDLE_SUFFIXES if (path / (name := f"{stem}{suffix}")).is_file()]
        parameters = (path / f"{stem}.pdiparams").is_file()
        if programs and not parameters:
            raise DeployError(f"{path}: {stem}.pdiparams is missing beside {programs[0]}; copy both files")
        if parameters and not programs:
            raise DeployError(f"{path}: {stem}.json (or .pdmodel) is missing beside {stem}.pdiparams; copy both files")
    if len(list(path.glob("*.onnx"))) > 1:
        raise DeployError(f"{path}: contains several .onnx files; give one of them instead of the folder")
    raise DeployError(
        f"{path}: no exported model (inference.onnx, or inference.json or .pdmodel with inference.pdiparams); "
        "export a run: python -m ocrexp export run_dir=RUN"
    )
