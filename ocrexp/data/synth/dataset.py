"""`dataset=synth_det`: pages drawn with their labels, for training without data of your own.

The pages lie in a cache, in a folder named by a hash of all that shapes them (settings, seed, fonts, words,
photographs, the generator's version), as PaddleOCR's label lists and JPEG files: `dataset=det_list
dataset.root=<folder>` and PaddleOCR itself read them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ocrexp.data.source import OfTask
from ocrexp.data.synth import cache
from ocrexp.data.synth.canvas import ILLEGIBLE, PageSettings
from ocrexp.data.synth.checks import checked_weights, require, require_one_of, size_range
from ocrexp.data.synth.effect import Effect, camera_settings, effects_of
from ocrexp.data.synth.fonts import Fonts, FontSet, checked_fonts
from ocrexp.data.synth.layouts import LAYOUTS
from ocrexp.data.synth.page import Page, draw_page
from ocrexp.data.synth.page_materials import PageMaterials, gather
from ocrexp.data.synth.photographs import BackgroundFiles, Backgrounds
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.text.made_up import MadeUp
from ocrexp.data.synth.text.mix import TextSources
from ocrexp.data.synth.text.page_texts import PageTexts
from ocrexp.data.synth.words import SPLITS, Split, WordMaker
from ocrexp.environment import available_cores
from ocrexp.errors import DataError
from ocrexp.located import addressed
from ocrexp.types import Record

# Part of the cache's name: raise it with every change that alters a page.
GENERATOR_VERSION = 2


class SynthDet(OfTask):
    """A drawn detection dataset (DataSource). Nothing is drawn before records are asked for.

    Validation pages share no word, number or price with training pages (of `text`, no text) and come from another seed.

    Args:
        cache_dir: where drawn pages are kept; None: $OCREXP_CACHE/synth, else ~/.cache/ocrexp/synth.
        train_pages: training pages.
        val_pages: validation pages.
        size: side of the square pages, or [height, width], in pixels.
        seed: of the pages; of its own, so that `seed` of a run does not draw new ones.
        text: sources of texts by name; None or empty: made-up texts alone.
        level: "word" or "line": what one polygon encloses.
        camera: what is done to the drawn pages, by name and in this order.
        layouts: weights of the layouts (scene, poster, paragraph, receipt, table, form, invoice, traced); 0 leaves one
            out. None: all alike, traced only with `outlines`.
        outlines: a detection list in PaddleOCR's format, or None: the layout traced draws words along its polygons,
            also curved ones. Its images are not read and need not exist.
        font_size: smallest and largest font size in pixels.
        max_words: a page ends with about this many words.
        max_angle: largest turn of scattered text in degrees; sheets turn by about a sixth of it.
        perspective: largest move of the page's corners as a share of its size.
        curved: share of the single lines of scenes and posters that follow an arc.
        curve_points: points of a curved word's polygon, even, 8 to 14.
        max_length: largest number of characters of a text of `text`, which a page draws word by word.
        illegible: share of pages with tiny print labeled `###`.
        degrade: strength of blur, grain, uneven light and JPEG artifacts; 0 none, 1 as in phone photographs.
        backgrounds: photographs without text: a folder, sources by name, or None.
        background_share: share of pages on such a photograph.
        fonts: a folder of fonts, sources by name, or None for those that matplotlib ships.
        system_fonts: use the system's fonts too; pages then depend on the machine.
        words: a UTF-8 file of words, one per line, instead of made-up ones, or None.
        scripts: scripts of the made-up words: latin, latin_ext, greek, cyrillic, arabic, hebrew, devanagari, thai,
            hangul, kana, han.
        workers: drawing processes; None: one per core.

    Raises:
        ValueError: a value cannot be used.
        DataError: (later) a folder or file is missing, or the cache cannot be written.
    """

    task = "det"

    def __init__(
        self,
        cache_dir: str | None = None,
        train_pages: int = 1000,
        val_pages: int = 100,
        size: int | Sequence[int] = 640,
        seed: int = 0,
        text: Mapping[str, TextPart | MadeUp | None] | None = None,
        level: Literal["word", "line"] = "word",
        camera: Mapping[str, Effect | None] | None = None,
        layouts: Mapping[str, float] | None = None,
        outlines: str | None = None,
        font_size: Sequence[int] = (13, 64),
        max_words: int = 120,
        max_angle: float = 20.0,
        perspective: float = 0.04,
        curved: float = 0.0,
        curve_points: int = 12,
        max_length: int = 25,
        illegible: float = 0.2,
        degrade: float = 1.0,
        backgrounds: Backgrounds = None,
        background_share: float = 0.5,
        fonts: Fonts = None,
        system_fonts: bool = False,
        words: str | None = None,
        scripts: Sequence[str] = ("latin",),
        workers: int | None = None,
    ) -> None:
        height, width = (size, size) if isinstance(size, int) else tuple(size)
        usual = {name: 1.0 for name in LAYOUTS if name != "traced" or outlines is not None}
        weights = checked_weights("layouts", usual if layouts is None else layouts, LAYOUTS)
        if (weights.get("traced", 0) > 0) != (outlines is not None):
            raise ValueError(
                "layouts.traced: expected above 0 together with outlines, a detection list to draw along; set both, or "
                "layouts.traced=0 outlines=null"
            )
        require(train_pages >= 1, "train_pages", train_pages, "at least 1")
        require(val_pages >= 1, "val_pages", val_pages, "at least 1")
        require(min(height, width) >= 128, "size", size, "at least 128 pixels")
        require(seed >= 0, "seed", seed, "0 or more")
        require_one_of("level", level, ("word", "line"))
        sizes = size_range("font_size", font_size, 6)
        require(max_words >= 1, "max_words", max_words, "at least 1")
        require(0 <= max_angle <= 45, "max_angle", max_angle, "0 to 45 degrees")
        require(0 <= perspective <= 0.2, "perspective", perspective, "0 to 0.2")
        require(1 <= max_length <= 1000, "max_length", max_length, "1 to 1000")
        require(curve_points in (8, 10, 12, 14), "curve_points", curve_points, "8, 10, 12 or 14")
        shares = {"curved": curved, "illegible": illegible, "degrade": degrade, "background_share": background_share}
        for key, value in shares.items():
            require(0 <= value <= 1, key, value, "0 to 1")
        require(workers is None or workers >= 1, "workers", workers, "at least 1, or null for one per core")
        self.page_settings = PageSettings(
            height=int(height),
            width=int(width),
            level=level,
            layouts=weights,
            font_size=sizes,
            max_words=max_words,
            max_angle=float(max_angle),
            perspective=float(perspective),
            curved=float(curved),
            curve_points=curve_points,
            illegible=float(illegible),
            degrade=float(degrade),
            background_share=float(background_share),
        )
        WordMaker("train", scripts)  # refuses unknown scripts now
        self._camera = effects_of(camera)
        self._sources, self._max_length = TextSources.of(text), max_length
        self._outlines = None if outlines is None else Path(outlines).expanduser()
        self.seed = seed
        self.counts: dict[Split, int] = {"train": train_pages, "val": val_pages}
        self._cache = Path(cache_dir).expanduser() if cache_dir else cache.default_cache_dir()
        self._scripts = tuple(scripts)
        self._backgrounds = BackgroundFiles(backgrounds)
        self._fonts = checked_fonts(fonts)
        self._system_fonts = system_fonts
        self._words = Path(words).expanduser() if words else None
        self.workers = workers or available_cores()
        self._found: PageMaterials | None = None

    @property
    def _materials(self) -> PageMaterials:
        if self._found is None:
            with addressed(self, DataError):
                self._found = self._gather()
        return self._found

    def _gather(self) -> PageMaterials:
        return gather(
            FontSet(self._fonts, self._system_fonts),
            self._words,
            self._scripts,
            self._backgrounds.files(),
            self._outlines,
            self._sources,
            self._max_length,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "generator": GENERATOR_VERSION,
            "seed": self.seed,
            "pages": self.counts,
            **asdict(self.page_settings),
            "scripts": list(self._scripts),
            **self._materials.prints,
            **camera_settings(self._camera),
        }

    def draw(self, split: Split, index: int) -> Page:
        """Draw one page; always the same for the same arguments."""
        found = self._materials
        made_up = found.texts[split]
        return draw_page(
            self.page_settings,
            self.seed,
            split,
            index,
            PageTexts(made_up, self._sources) if self._sources.parts else made_up,
            found.fonts,
            found.photographs,
            self._camera,
            found.outlines,
        )

    @property
    def name(self) -> str:
        """That of the folder in the cache, which all that shapes the pages decides. Raises DataError."""
        return f"det-{hashlib.sha256(json.dumps(self._settings(), sort_keys=True).encode()).hexdigest()[:16]}"

    @property
    def folder(self) -> Path:
        """The folder of the drawn pages; draws them first where the cache lacks them. Raises DataError."""
        return cache.obtain(self._cache, self.name, self.counts, self._settings(), self.draw, self.workers)

    def description(self) -> dict[str, Any]:
        """All that shapes the pages, as plain values. Raises DataError."""
        return self._settings()

    def write(self, folder: Path) -> None:
        """Draw the pages into a new folder outside of the cache. Raises DataError if that fails."""
        cache.write(folder, self.counts, self._settings(), self.draw, self.workers)

    def _records(self, split: Split) -> list[Record]:
        folder = self.folder
        source = folder / cache.list_name(split)
        records = []
        with source.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                name, _, objects = line.partition("\t")
                regions = json.loads(objects)
                texts = tuple(region["transcription"] for region in regions)
                polygons = tuple(np.array(region["points"], np.float32) for region in regions)
                ignored = tuple(text == ILLEGIBLE for text in texts)
                records.append(Record(folder / name, texts, polygons, ignored, f"{source}:{number}"))
        return records

    def train_records(self) -> list[Record]:
        """The training pages. Raises DataError if they cannot be drawn."""
        return self._records("train")

    def val_records(self) -> list[Record]:
        """The validation pages. Raises DataError if they cannot be drawn."""
        return self._records("val")

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the label lists and the number of pages, for each split."""
        folder = self.folder
        prints = {}
        for split in SPLITS:
            prints[f"{split}_sha256"] = hashlib.sha256((folder / cache.list_name(split)).read_bytes()).hexdigest()
            prints[f"{split}_count"] = str(self.counts[split])
        return prints

    def report(self) -> list[str]:
        """Words that no font draws, where a file of words was given."""
        return list(self._materials.report)
