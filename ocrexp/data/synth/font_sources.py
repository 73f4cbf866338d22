"""Where the fonts of drawn images come from: the parts of the config group `dataset/fonts`."""

from __future__ import annotations

from pathlib import Path

from ocrexp.data.synth.checks import existing_folder
from ocrexp.data.synth.fonts import FontSource, bundled_fonts, fonts_in, system_fonts


class BundledFonts(FontSource):
    """The text fonts inside matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew."""

    def paths(self) -> list[Path]:
        """The fonts. Raises DataError where matplotlib is missing."""
        return bundled_fonts()


class FontFolder(FontSource):
    """The fonts of a folder and its subfolders.

    Args:
        path: the folder.
        weight: how often its fonts are used, relative to the other sources.

    Raises ValueError if the folder does not exist.
    """

    def __init__(self, path: str, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.path = existing_folder("path", path)

    def paths(self) -> list[Path]:
        """The fonts. Raises ValueError if there are none."""
        found = fonts_in(self.path)
        if not found:
            raise ValueError(f"path={self.path}: contains no readable .ttf, .otf or .ttc file; give another folder")
        return found


class SystemFonts(FontSource):
    """The fonts of the system that have letters; images then depend on the machine."""

    def paths(self) -> list[Path]:
        """The fonts. Raises ValueError if there are none."""
        found = system_fonts()
        if not found:
            raise ValueError("the system has no fonts with letters; apt-get install fonts-noto-core")
        return found
