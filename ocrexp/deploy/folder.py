"""The files of an exported model: which there are, that they are whole, and what describes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ocrexp.deploy.description import FILE_NAME, Description, TaskName
from ocrexp.errors import DeployError

# Names without suffix, the first that is there counts; PaddleOCR 2.x takes `model` too.
_STEMS = ("inference", "model")
_PADDLE_SUFFIXES = (".json", ".pdmodel")
TASK_NAMES = {"det": "a detector", "rec": "a recognizer", "cls": "a text direction classifier"}


@dataclass(frozen=True)
class ModelFolder:
    """An export: `onnx` file, `paddle` (program, parameters) files, and its description, None if it has none."""

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
                raise DeployError(f"{path}: no folder and no .onnx file; give the folder that holds the exported model")
            beside = path.with_suffix(".yml")
            return ModelFolder(path, path, None, Description.read(beside) if beside.is_file() else None)
        if not path.is_dir():
            raise DeployError(f"{path}: there is no such folder; export a run (python -m ocrexp export run_dir=RUN)")
        described = path / FILE_NAME
        description = Description.read(described) if described.is_file() else None
        folder = ModelFolder(path, _onnx_in(path), _paddle_in(path), description)
        if folder.onnx is None and folder.paddle is None:
            _explain_absence(path)
        return folder

    def describe(self, task: TaskName) -> Description:
        """What the model says of itself, or PaddleOCR's defaults. Raises DeployError if it is one of another task."""
        if self.description is None:
            return Description.default(task)
        if self.description.task != task:
            raise DeployError(
                f"{self.path}: the model is {TASK_NAMES[self.description.task]}, {TASK_NAMES[task]} was expected; "
                "give the other folder"
            )
        return self.description

    def check(self, *files: Path) -> None:
        """Raises DeployError unless the files are those that the export wrote, by their SHA-256.

        Other programs' exports state none: their files need only hold something.
        """
        stated = (self.description.ocrexp or {}).get("files", {}) if self.description else {}
        for file in files:
            try:
                content = file.read_bytes() if file.name in stated else b""
                size = file.stat().st_size
            except OSError as error:
                raise DeployError(f"{file}: cannot be read ({error.strerror})") from None
            if size == 0:
                raise DeployError(f"{file}: is empty (0 bytes); export again or fetch it again")
            if content and hashlib.sha256(content).hexdigest() != stated[file.name]:
                raise DeployError(
                    f"{file}: is not the file that was exported: its SHA-256 differs from that in {FILE_NAME} "
                    f"({size} bytes are here); copy the folder again or export again"
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
            raise DeployError(f"{path}: {programs[0]} is there, {stem}.pdiparams is missing; copy both")
        if parameters and not programs:
            raise DeployError(f"{path}: {stem}.pdiparams is there, {stem}.json (or .pdmodel) is missing; copy both")
    if len(list(path.glob("*.onnx"))) > 1:
        raise DeployError(f"{path}: several .onnx files; give one of them in place of the folder")
    raise DeployError(
        f"{path}: no exported model (inference.onnx, or inference.json or .pdmodel with inference.pdiparams); "
        "export a run: python -m ocrexp export run_dir=RUN"
    )
