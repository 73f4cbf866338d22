"""Fonts to draw with: those that matplotlib ships, a folder of the user's, the system's on request."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import ImageFont

from ocrexp.data.synth.checks import existing_folder, require
from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.shaping import JOINERS, is_mark, needs_shaping
from ocrexp.errors import DataError
from ocrexp.located import located

_SUFFIXES = {".ttf", ".otf", ".ttc"}
SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".fonts",
    Path.home() / ".local/share/fonts",
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
)
# matplotlib's text fonts; the others of its folder hold mathematical signs.
_BUNDLED = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)
# Computer Modern's encoding is TeX's: outside of these its glyphs are those of other characters.
_COMPUTER_MODERN = {f"{name}10.ttf" for name in ("cmr", "cmb", "cmss", "cmti", "cmtt")}
_TEX_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;-/%&@#()!?'+*=")
# Fonts of the system that have none of these are pictures or signs: letters and digits, or letters of other scripts.
_LETTERS = (
    "Aag09",
    "אב",
    "سم",
    "कर",
    "কর",
    "ਕਰ",
    "કર",
    "କର",
    "கர",
    "కర",
    "ಕರ",
    "കര",
    "කර",
    "กร",
    "ກຣ",
    "ကရ",
    "កត",
    "བར",
)
_NO_CHARACTER = "\U0010fffe"  # a code point that no font draws: gives the glyph of what is missing


@functools.lru_cache(maxsize=2048)
def load_font(path: str, size: int, shaped: bool = False) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels; `shaped` for texts that need it (`shaping.needs_shaping`). Others have the basic
    layout, so that what is drawn does not depend on the raqm library."""
    layout = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, layout_engine=layout)


@functools.lru_cache(maxsize=4096)
def text_width(path: str, size: int, text: str) -> float:
    """The advance of a text in pixels; cached, for layouts measure a word before it is drawn."""
    return load_font(path, size, needs_shaping(text)).getlength(text)


@functools.lru_cache(maxsize=512)
def coverage(path: str) -> frozenset[int]:
    """Code points that the (first) face of a font file has glyphs for; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()


@functools.lru_cache(maxsize=65536)
def _draws(path: str, character: str) -> bool:
    if Path(path).name in _COMPUTER_MODERN:
        return character in _TEX_CHARACTERS
    if character.isspace() or character in JOINERS:
        return True
    if is_mark(character):  # alone it may show nothing, or show where nothing is set on it
        return ord(character) in coverage(path)
    font = load_font(path, 24)
    mask = font.getmask(character)
    if 0 in mask.size or mask.getbbox() is None:
        return False
    missing = font.getmask(_NO_CHARACTER)
    return mask.size != missing.size or bytes(mask) != bytes(missing)


def can_draw(path: str, text: Iterable[str]) -> bool:
    """Whether the font has a glyph for every character of the text."""
    return all(_draws(path, character) for character in text)


def bundled_fonts() -> list[Path]:
    """The text fonts inside matplotlib (DejaVu, STIX, Computer Modern), without importing it. Raises DataError."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "no fonts to draw pages with: matplotlib, which contains them, is missing; run: pip install matplotlib"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "mpl-data" / "fonts" / "ttf"
    found = [path for name in _BUNDLED if (path := folder / f"{name}.ttf").is_file()]
    if not found:
        raise DataError(f"no fonts to draw pages with in {folder}: install matplotlib again")
    return found


def fonts_in(folder: Path) -> list[Path]:
    """Readable font files of a folder and its subfolders, sorted."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            try:
                load_font(str(path), 24)
            except OSError:
                continue
            found.append(path)
    return found


def system_fonts() -> list[Path]:
    """The fonts of the system that have letters of a script."""
    return [p for place in SYSTEM_FOLDERS for p in fonts_in(place) if any(can_draw(str(p), pair) for pair in _LETTERS)]


class FontSource(ABC):
    """A source of fonts of a drawn dataset. A dataset may have several, which are chosen by their weights.

    Args:
        weight: how often its fonts are used, relative to the other sources.

    Raises ValueError if the weight is not above 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        require(weight > 0, "weight", weight, "a number above 0")
        self.weight = float(weight)

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files, in a fixed order. Raises ValueError if there are none."""


Fonts = str | Mapping[str, FontSource | None] | None


def checked_fonts(fonts: Fonts) -> Fonts:
    """The option `fonts` as it is. Raises ValueError for a folder that does not exist."""
    if isinstance(fonts, str):
        existing_folder("fonts", fonts)
    return fonts


class FontSet:
    """The fonts of a dataset.

    Args:
        fonts: a folder of fonts, sources by name, or None for the bundled ones.
        system: whether the system's fonts are used too.

    Raises ValueError if a source has no font, DataError where matplotlib and its fonts are missing.
    """

    def __init__(self, fonts: Fonts | Path = None, system: bool = False) -> None:
        groups: list[tuple[list[Path], float]] = []
        for name, source in fonts.items() if isinstance(fonts, Mapping) else ():
            if source is not None:
                with located(f"fonts.{name}", type(source)):
                    groups.append((source.paths(), source.weight))
        if isinstance(fonts, str | Path):
            paths = fonts_in(Path(fonts).expanduser())
            if not paths:
                raise ValueError(f"fonts={fonts}: contains no readable .ttf, .otf or .ttc file; give another folder")
            groups.append((paths, 1.0))
        if not groups:
            groups.append((bundled_fonts(), 1.0))
        if system:
            groups[-1] = (groups[-1][0] + system_fonts(), groups[-1][1])
        self.paths = [str(path) for path in dict.fromkeys(path for paths, _ in groups for path in paths)]
        self._weights = [weight for _, weight in groups]
        self._groups: WeightedChoice[tuple[str, ...]] | None = None  # of several sources
        if len(groups) > 1:
            self._groups = WeightedChoice({tuple(map(str, paths)): weight for paths, weight in groups})

    def fingerprint(self) -> str:
        """A hash over the fonts' names and bytes, in order, and the weights of several sources."""
        digest = hashlib.sha256()
        if self._groups is not None:
            digest.update(repr((self._weights, self._groups.things)).encode())
        for path in self.paths:
            digest.update(Path(path).name.encode() + b"\0" + hashlib.sha256(Path(path).read_bytes()).digest())
        return digest.hexdigest()

    def pick(self, rng: np.random.Generator, mono: bool = False) -> str:
        """The path of a font drawn at random; `mono` prefers fixed widths, as receipts have them."""
        paths: Sequence[str] = self.paths if self._groups is None else self._groups.draw(rng)
        names = [path for path in paths if mono and ("Mono" in path or "cmtt" in path)] or paths
        return names[int(rng.integers(len(names)))]

    def for_text(self, path: str, text: str, rng: np.random.Generator) -> str | None:
        """The font itself if it draws the text, else another that does, else None."""
        if can_draw(path, text):
            return path
        able = [other for other in self.paths if can_draw(other, text)]
        return able[int(rng.integers(len(able)))] if able else None
