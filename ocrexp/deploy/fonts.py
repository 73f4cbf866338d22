"""Finds a font for every character: first matplotlib's fonts, then those of the system, by coverage."""

from __future__ import annotations

import functools
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

from ocrexp.data.synth.fonts import SYSTEM_FOLDERS, bundled_fonts, coverage, fonts_in
from ocrexp.data.synth.shaping import has_raqm
from ocrexp.errors import ConfigError

_PLAIN_LAST = ("bold", "italic", "oblique", "black", "light", "thin", "mono", "condensed", "serif", "math")
_NO_TEXT = ("lastresort", "emoji", "blank")  # fonts that show code points or pictures instead of letters


class FontFinder:
    """Finds fonts that have the characters of a text; safe to use from several threads.

    Args:
        font: a font file to try first, or None.

    `missing` contains the characters for which no font was found. Raises ConfigError if `font` cannot be read.
    """

    def __init__(self, font: str | None = None) -> None:
        self.missing: set[str] = set()
        self._lock = threading.Lock()
        self._known = [str(path) for path in bundled_fonts() if path.stem == "DejaVuSans"]
        if font is not None:
            try:
                if not Path(font).is_file():  # opening a named pipe would block
                    raise FileNotFoundError(font)
                ImageFont.truetype(font, 16)
            except OSError:
                raise ConfigError(f"font={font}: not a readable font; give a .ttf, .otf or .ttc file") from None
            self._known.insert(0, font)

    def runs(self, text: str) -> list[tuple[str, str]]:
        """(font file, piece of the text), in order: a single piece if one font contains all characters.

        An invisible character, or one that is in no font, is shown as its code point, U+XXXX, in the first font.
        """
        shown = "".join(_shown(character) for character in text)
        with self._lock:
            if (path := self._one_for(shown)) is not None:
                return [(path, shown)]
            pieces: list[tuple[str, str]] = []
            for character in shown:
                path = self._one_for(character)
                if path is None:
                    self.missing.add(character)
                    path, character = self._known[0], f"U+{ord(character):04X}"
                # Combining marks stay with their letter if its font contains them.
                if pieces and (pieces[-1][0] == path or _covers(pieces[-1][0], character)):
                    pieces[-1] = (pieces[-1][0], pieces[-1][1] + character)
                else:
                    pieces.append((path, character))
            return pieces

    def _one_for(self, text: str) -> str | None:
        """A font that contains the whole text; searches the system's fonts if no known font does."""
        for path in self._known:
            if _covers(path, text):
                return path
        wanted = [character for character in text if not any(_covers(path, character) for path in self._known)]
        wanted = [character for character in wanted if character not in self.missing]
        for path in _system_fonts(wanted[0]) if wanted else ():
            if _covers(path, text):
                self._known.append(path)
                return path
        return None


@functools.lru_cache(maxsize=256)
def load(path: str, size: int) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels; letters join and reorder where Pillow has the raqm library."""
    layout = ImageFont.Layout.RAQM if has_raqm() else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, layout_engine=layout)


def _shown(character: str) -> str:
    # Joiners and direction marks (Cf) control how letters are drawn.
    unseen = unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")
    return f"U+{ord(character):04X}" if unseen else character


def _covers(path: str, text: str) -> bool:
    codes = coverage(path)
    return all(ord(character) in codes or unicodedata.category(character) == "Cf" for character in text)


@functools.lru_cache(maxsize=1024)
def _system_fonts(character: str) -> tuple[str, ...]:
    """The system's font files that contain a character, plain upright ones first."""
    if tool := shutil.which("fc-list"):
        listed = subprocess.run(
            [tool, f":charset={ord(character):x}", "file"], capture_output=True, text=True, check=False
        )
        paths: Iterable[str] = (line.partition(": ")[0].rstrip(": ") for line in listed.stdout.splitlines())
    else:
        paths = _all_files()
    usable = [path for path in set(paths) if not any(word in Path(path).stem.lower() for word in _NO_TEXT)]
    return tuple(sorted((path for path in usable if ord(character) in coverage(path)), key=_rank))


@functools.lru_cache(maxsize=1)
def _all_files() -> tuple[str, ...]:
    return tuple(str(path) for folder in SYSTEM_FOLDERS if folder.is_dir() for path in fonts_in(folder))


def _rank(path: str) -> tuple[int, str]:
    name = Path(path).stem.lower().replace("sansserif", "sans")
    return sum(word in name for word in _PLAIN_LAST), path
