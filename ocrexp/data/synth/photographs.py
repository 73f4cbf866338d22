"""Photographs as backgrounds of drawn images: a part of the config group `dataset/backgrounds`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ocrexp.data.synth.backgrounds import photographs_in
from ocrexp.data.synth.checks import existing_folder
from ocrexp.located import located


class Photographs:
    """Folders of photographs without text; `background_share` of the images are drawn on one of them.

    Args:
        path: a folder, or several; subfolders are searched too.

    Raises ValueError for a folder that does not exist.
    """

    def __init__(self, path: str | Sequence[str]) -> None:
        given = [path] if isinstance(path, str) else list(path)
        if not given:
            raise ValueError("path: expected a folder or several, got an empty list")
        self.folders = [existing_folder("path", folder) for folder in given]

    def files(self) -> list[Path]:
        """The photographs, those of the first folder first. Raises ValueError for a folder without images."""
        return list(dict.fromkeys(file for folder in self.folders for file in photographs_in(folder, "path")))


Backgrounds = str | Mapping[str, Photographs | None] | None


class BackgroundFiles:
    """The photographs of the option `backgrounds`: a folder, or the parts of its config group by name."""

    def __init__(self, given: Backgrounds) -> None:
        self._folder = existing_folder("backgrounds", given) if isinstance(given, str) else None
        self._parts = given if isinstance(given, Mapping) else {}

    def files(self) -> list[Path]:
        """All photographs. Raises ValueError for a folder without images."""
        if self._folder is not None:
            return photographs_in(self._folder)
        found: list[Path] = []
        for name, part in self._parts.items():
            if part is not None:
                with located(f"backgrounds.{name}", type(part)):
                    found += part.files()
        return list(dict.fromkeys(found))
