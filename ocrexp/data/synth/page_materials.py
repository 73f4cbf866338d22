"""What drawn pages are made of: fonts, the words of each split, photographs, polygons to draw along."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.synth import backgrounds
from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.shaping import needs_shaping, refuse_missing_script, require_raqm
from ocrexp.data.synth.text.mix import TextSources
from ocrexp.data.synth.traced import read_outlines
from ocrexp.data.synth.words import SPLITS, Split, WordMaker, read_words
from ocrexp.types import Polygon


@dataclass(frozen=True, slots=True)
class PageMaterials:
    """Found once; `prints` are hashes and values by which the cache knows them, `report` is what cannot be used."""

    fonts: FontSet
    texts: Mapping[Split, WordMaker]
    photographs: list[Path]
    outlines: list[list[Polygon]]
    prints: dict[str, Any]
    report: list[str]


def gather(
    fonts: FontSet,
    words: Path | None,
    scripts: Sequence[str],
    photographs: list[Path],
    outlines: Path | None,
    sources: TextSources,
    max_length: int,
) -> PageMaterials:
    """Find the materials.

    Args:
        fonts: the fonts.
        words: a file of words in place of made-up ones, or None.
        scripts: of the made-up words.
        photographs: backgrounds.
        outlines: a detection list in PaddleOCR's format, or None.
        sources: of texts.
        max_length: largest number of characters of their texts.

    Raises ValueError if a split has no word that a font draws, DataError for a file that cannot be read.
    """
    listed, report = (None, []) if words is None else _drawable(words, fonts)
    texts = {split: WordMaker(split, scripts, listed) for split in SPLITS}
    for split, maker in texts.items():
        if listed is not None and not maker.count:
            raise ValueError(f"words={words}: no font has the characters of its {split} words; set fonts=FOLDER")
    report += _prepare(sources, fonts, max_length)
    polygons: list[list[Polygon]] = []
    if outlines is not None:
        polygons, unused = read_outlines(outlines)
        report += unused
    prints: dict[str, Any] = {
        "fonts": fonts.fingerprint(),
        "words": hashlib.sha256("\n".join(listed).encode()).hexdigest() if listed is not None else None,
        "backgrounds": backgrounds.fingerprint(photographs) if photographs else None,
    }
    if sources.parts:
        prints |= {**sources.settings(), "max_length": max_length}
    if outlines is not None:
        prints["outlines"] = hashlib.sha256(outlines.read_bytes()).hexdigest()
    if needs_shaping(sources.characters()) or (listed is not None and any(map(needs_shaping, listed))):
        prints["shaped"] = True
    return PageMaterials(fonts, texts, photographs, polygons, prints, report)


def _drawable(path: Path, fonts: FontSet) -> tuple[list[str], list[str]]:
    """The words of a file that a font draws, and a line about the others."""
    listed = read_words(path)
    rng = np.random.default_rng(0)
    words = [word for word in listed if fonts.for_text(fonts.paths[0], word, rng) is not None]
    require_raqm("".join(words))
    if not words:
        refuse_missing_script("".join(listed), (), f"words={path}")
    if len(words) == len(listed):
        return words, []
    return words, [f"{len(listed) - len(words)} of {len(listed)} words of {path} dropped: no font has them"]


def _prepare(sources: TextSources, fonts: FontSet, max_length: int) -> list[str]:
    """Choose what the fonts can draw of the sources of texts; returns what they drop."""
    if not sources.parts:
        return []
    rng = np.random.default_rng(0)
    characters = sources.characters()
    drawable = [c for c in characters if fonts.for_text(fonts.paths[0], c, rng) is not None]
    require_raqm(drawable)
    refuse_missing_script(characters, drawable, "text")
    return sources.prepare(frozenset([*drawable, " "]), max_length)
