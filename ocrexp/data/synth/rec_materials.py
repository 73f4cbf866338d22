"""What drawn words are made of: characters that fonts draw, fonts, the texts of each split, photographs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.charset.sources import from_dictionary
from ocrexp.data.synth import backgrounds
from ocrexp.data.synth.checks import require
from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.rec_texts import TextMaker
from ocrexp.data.synth.shaping import JOINERS, install_fonts, refuse_missing_script, require_raqm
from ocrexp.data.synth.text.mix import TextMix, TextSources
from ocrexp.data.synth.words import SPLITS, Split, WordMaker, read_words
from ocrexp.errors import DataError

_MOST_PHOTOGRAPHS = 256  # they are kept in memory, shrunken
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Materials:
    """Fonts, the texts of each split, photographs, hashes of the materials, and what cannot be used."""

    fonts: FontSet
    texts: Mapping[Split, TextMix]
    photographs: list[Path]
    prints: dict[str, str | None]
    report: list[str]

    def text(self, split: Split, rng: np.random.Generator) -> tuple[str, str]:
        """A text and a font that has all of its characters. Raises DataError if no such pair is found."""
        for _ in range(_TRIES):
            text = self.texts[split].text(rng)
            font = self.fonts.for_text(self.fonts.pick(rng), text.replace(" ", ""), rng)
            if font is not None:
                return text, font
        raise DataError(
            f"no font has all characters of a text, for example {text!r}; set the option fonts to fonts that do"
        )


def gather(
    fonts: FontSet,
    characters: str,
    text_settings: Mapping[str, Any],
    words: Path | None,
    scripts: Sequence[str],
    photographs: Sequence[Path],
    sources: TextSources,
) -> Materials:
    """Find the materials.

    Args:
        fonts: to draw with.
        characters: all that texts may hold.
        text_settings: the other arguments of `TextMaker`.
        words: a file of words, one per line, or None for made-up ones.
        scripts: of made-up words.
        photographs: all that may be a background.
        sources: where texts come from.

    Raises ValueError if the fonts draw none of the characters, the words cannot be written with them, or a file or
    folder cannot be read.
    """
    report: list[str] = []
    rng = np.random.default_rng(0)
    drawable = [c for c in characters if fonts.for_text(fonts.paths[0], c, rng) is not None]
    if all(c.isspace() or c in JOINERS for c in drawable):
        refuse_missing_script(characters, drawable, "characters")
        raise ValueError("characters: no font has any of them; set fonts=FOLDER to fonts that do")
    require_raqm(drawable)
    refuse_missing_script(characters, drawable, "characters")
    if missing := [c for c in characters if c not in drawable]:
        report.append(
            f"{len(missing)} of {len(characters)} characters are never drawn, no font has {missing[0]!r}; "
            f"{install_fonts(missing[0])}"
        )
    listed = None if words is None else _written(words, drawable, report)
    makers = {split: WordMaker(split, scripts, listed) for split in SPLITS}
    for split, maker in makers.items():
        if listed is not None and not maker.count:
            raise ValueError(f"words={words}: characters can write none of its {split} words; change one of them")
    report += sources.prepare(frozenset(drawable), text_settings["max_length"])
    made_up = {split: TextMaker(makers[split], drawable, **text_settings) for split in SPLITS}
    texts = {split: TextMix(split, made_up[split], sources) for split in SPLITS}
    left_out = [kind for kind in made_up["train"].left_out if kind != "phrase" or " " in drawable]
    if left_out and sources.made_up:
        report.append(f"texts: {', '.join(left_out)} skipped, because the characters cannot write them")
    found = list(photographs)
    if len(found) > _MOST_PHOTOGRAPHS:
        step = len(found) / _MOST_PHOTOGRAPHS
        found = [found[int(i * step)] for i in range(_MOST_PHOTOGRAPHS)]
    prints = {
        "fonts": fonts.fingerprint(),
        "words": hashlib.sha256("\n".join(listed).encode()).hexdigest() if listed is not None else None,
        "backgrounds": backgrounds.fingerprint(found) if found else None,
    }
    return Materials(fonts, texts, found, prints, report)


def _written(path: Path, drawable: list[str], report: list[str]) -> list[str]:
    """The words of a file that the characters can write, in one case at least."""
    listed = read_words(path)
    allowed = frozenset(drawable) | {c.swapcase() for c in drawable}
    words = [word for word in listed if allowed.issuperset(word)]
    if len(words) < len(listed):
        said = "they have other characters than the given ones, or no font has them"
        report.append(f"{len(listed) - len(words)} of {len(listed)} words of {path} dropped: {said}")
    return words


def checked_characters(entries: str | Sequence[str]) -> str:
    """The entries of one code point. Raises ValueError for repeated and for invisible ones."""
    characters = "".join(entry for entry in entries if len(entry) == 1)
    require(
        any(not c.isspace() for c in characters), "characters", repr(characters), "at least one that is not a space"
    )
    twice = sorted({c for c in characters if characters.count(c) > 1})
    require(not twice, "characters", f"…{''.join(twice)}…", "each character once")
    odd = [c for c in characters if c not in (" ", *JOINERS) and (c.isspace() or not c.isprintable())]
    require(not odd, "characters", repr("".join(odd)), "printable characters, and no space characters but U+0020")
    return characters


def with_space(characters: str, wanted: bool) -> str:
    """The characters, with the space if it is wanted."""
    return characters + " " if wanted and " " not in characters else characters


def dictionary_characters(path: str, use_space_char: bool) -> str:
    """The visible entries of one code point of a PaddleOCR dictionary. Raises ConfigError."""
    entries = dict.fromkeys(from_dictionary(path, use_space_char).characters)
    shown = (c for c in entries if len(c) == 1)
    return "".join(c for c in shown if c in (" ", *JOINERS) or (c.isprintable() and not c.isspace()))
