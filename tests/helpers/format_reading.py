"""Reads annotation files as `convert` does, and the real samples that OCREXP_FORMATS names."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.data.formats.entries import Account, Entry, ReadOptions
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.registry import FORMATS, recognize

SAMPLES = os.environ.get("OCREXP_FORMATS")
real = pytest.mark.skipif(not SAMPLES, reason="OCREXP_FORMATS does not name a folder with samples of formats")


def sample(name: str) -> Path:
    return Path(str(SAMPLES)) / name


def read(path: Path, name: str | None = None, **options: Any) -> tuple[list[Entry], Account]:
    """The entries of a folder in its format, which is recognized unless it is named."""
    folder = Folder(path)
    chosen = FORMATS[name] if name else recognize(folder)[0]
    account = Account()
    return list(chosen.read(folder, ReadOptions(**options), account)), account


def recognized(path: Path) -> str:
    return recognize(Folder(path))[0].name


def picture(path: Path, height: int = 100, width: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices((height, width)).astype(np.uint8)
    cv2.imwrite(str(path), np.stack([rows, columns, rows], axis=2))
    return path


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def convert(*words: object, code: int = 0) -> None:
    assert main(["convert", *map(str, words)]) == code
