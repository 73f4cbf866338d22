"""`dataset=synth_rec`: words and lines drawn with their texts, to train a recognizer without data of your own.

The images lie in a cache, in a folder named by a hash of all that shapes them, as a PaddleOCR recognition list
(`path<TAB>text`) and JPEG files: `dataset=rec_list dataset.root=<folder>` and PaddleOCR itself read them too. With
`endless` the training images are drawn as they are needed instead, new ones every epoch.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.source import OfTask
from ocrexp.data.synth import cache
from ocrexp.data.synth.checks import checked_weights, require, size_range
from ocrexp.data.synth.effect import Effect, camera_settings, effects_of, photographed
from ocrexp.data.synth.fonts import Fonts, FontSet, checked_fonts
from ocrexp.data.synth.photographs import BackgroundFiles, Backgrounds
from ocrexp.data.synth.rec_materials import Materials, checked_characters, dictionary_characters, gather, with_space
from ocrexp.data.synth.rec_texts import CASES, KINDS, PRINTABLE
from ocrexp.data.synth.rec_word import Word, WordSettings, draw_word
from ocrexp.data.synth.shaping import needs_shaping
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.text.made_up import MadeUp
from ocrexp.data.synth.text.mix import TextSources
from ocrexp.data.synth.words import SPLITS, Split, WordMaker, letters_of
from ocrexp.environment import available_cores
from ocrexp.errors import DataError
from ocrexp.located import addressed
from ocrexp.types import Record

# Part of the cache's name: raise it with every change that alters an image.
GENERATOR_VERSION = 2


class SynthRec(OfTask):
    """A drawn recognition dataset (DataSource). Nothing is drawn before records are asked for.

    Validation images share no word, number or random string with training images.

    Args:
        cache_dir: where drawn images are kept; None: $OCREXP_CACHE/synth, else ~/.cache/ocrexp/synth.
        train_words: training images (of an epoch, if endless).
        val_words: validation images.
        seed: of the drawing; of its own, so that `seed` of a run does not draw new ones.
        endless: draw new training images every epoch, in the loader's processes, and keep none. Image i of epoch e is
            always the same; epoch 0 has the images that would otherwise be kept. The validation images are kept.
        text: sources of texts by name; None or empty: made-up texts alone.
        camera: what is done to the drawn images, by name and in this order.
        characters: all that texts may contain; None: those of the sources of `text`, and for made-up texts printable
            ASCII without the space, as charset=en94, with the letters of `scripts` (in place of the Latin ones, where
            `scripts` has no Latin). Phrases are drawn only where the space is one of them.
        dictionary: a PaddleOCR dictionary, one character per line, whose characters are taken in place of `characters`.
        use_space_char: add the space, as the charset's key of this name.
        max_length: most characters of a text.
        texts: weights of the kinds of text: word, number, price, date, code, random, phrase; None: all alike.
        cases: weights of lower, title and upper case of words; None: all alike.
        punctuation: share of the words with a punctuation mark or brackets.
        random_length: fewest and most characters of a random string.
        difficulty: 0..1, scales all from `max_angle` to `degrade`: 0 is clean print.
        font_size: smallest and largest font size in pixels; an image is as large as its text and margins.
        margin: least and largest margin, share of the text's height; 1.5 pixels at least.
        max_angle: largest turn in degrees.
        slant: largest shear, share of the height.
        stretch: largest logarithm of a factor of the width.
        perspective: largest move of a corner, share of the height.
        curved: share of words along an arc.
        vertical: share of the texts with wide characters (Chinese, Japanese, Korean) that are vertical lines; an image
            at least 1.5 times as high as wide is turned counterclockwise, as crops are.
        tracking: share of words with wide letter spacing.
        effects: share of words with a rim, a shadow or fattened letters.
        strokes: share of words underlined, beside ruling, or crossed by a thin line.
        neighbours: share of words with the edge of another line beside them.
        textured: share of drawn grounds that are not of one color.
        low_contrast: 0: ink differs from the ground by 110 gray levels at least; 1: by 40.
        degrade: strength of blur, grain, uneven light and JPEG artifacts, 0..1.
        inverted: share of plain grounds that are dark.
        backgrounds: photographs without text: a folder, sources by name, or None; of more than 256, 256 are used.
        background_share: share of words on such a photograph.
        fonts: a folder of fonts, sources by name, or None for those that matplotlib ships. Arabic, Hebrew, Thai and
            Indic scripts are shaped and ordered, which needs Pillow with raqm; labels stay in logical order.
        system_fonts: use the system's fonts too; images then depend on the machine.
        words: a UTF-8 file of words, one per line, instead of made-up ones, or None.
        scripts: scripts of the made-up words: latin, latin_ext, greek, cyrillic, arabic, hebrew, devanagari, thai,
            hangul, kana, han.
        workers: drawing processes; None: one per core.

    Raises:
        ValueError: a value cannot be used.
        DataError: (later) a folder or file is missing, or the cache cannot be written.
    """

    task = "rec"

    def __init__(
        self,
        cache_dir: str | None = None,
        train_words: int = 20000,
        val_words: int = 1000,
        seed: int = 0,
        endless: bool = False,
        text: Mapping[str, TextPart | MadeUp | None] | None = None,
        camera: Mapping[str, Effect | None] | None = None,
        characters: str | Sequence[str] | None = None,
        dictionary: str | None = None,
        use_space_char: bool = False,
        max_length: int = 25,
        texts: Mapping[str, float] | None = None,
        cases: Mapping[str, float] | None = None,
        punctuation: float = 0.1,
        random_length: Sequence[int] = (1, 10),
        difficulty: float = 1.0,
        font_size: Sequence[int] = (18, 48),
        margin: Sequence[float] = (0.0, 0.5),
        max_angle: float = 4.0,
        slant: float = 0.3,
        stretch: float = 0.25,
        perspective: float = 0.12,
        curved: float = 0.1,
        vertical: float = 0.0,
        tracking: float = 0.2,
        effects: float = 0.15,
        strokes: float = 0.15,
        neighbours: float = 0.1,
        textured: float = 0.6,
        low_contrast: float = 0.5,
        degrade: float = 1.0,
        inverted: float = 0.3,
        backgrounds: Backgrounds = None,
        background_share: float = 0.4,
        fonts: Fonts = None,
        system_fonts: bool = False,
        words: str | None = None,
        scripts: Sequence[str] = ("latin",),
        workers: int | None = None,
    ) -> None:
        require(train_words >= 1, "train_words", train_words, "at least 1")
        require(val_words >= 1, "val_words", val_words, "at least 1")
        require(seed >= 0, "seed", seed, "0 or more")
        require(1 <= max_length <= 100, "max_length", max_length, "1 to 100")
        require(0 <= max_angle <= 30, "max_angle", max_angle, "0 to 30 degrees")
        shares = {"punctuation": punctuation, "difficulty": difficulty, "slant": slant, "stretch": stretch}
        shares |= {"curved": curved, "vertical": vertical, "tracking": tracking, "effects": effects, "strokes": strokes}
        shares |= {"neighbours": neighbours, "textured": textured, "low_contrast": low_contrast, "degrade": degrade}
        shares |= {"inverted": inverted, "background_share": background_share}
        for key, value in shares.items():
            require(0 <= value <= 1, key, value, "0 to 1")
        require(0 <= perspective <= 0.4, "perspective", perspective, "0 to 0.4")
        fine = len(margin) == 2 and 0 <= margin[0] <= margin[1] <= 2
        require(fine, "margin", list(margin), "[least, largest], 0 to 2")
        require(workers is None or workers >= 1, "workers", workers, "at least 1, or null for one per core")
        self._given = dictionary_characters(dictionary, use_space_char) if dictionary is not None else None
        if characters is not None and dictionary is None:
            self._given = with_space(checked_characters(characters), use_space_char)
        self._use_space_char = use_space_char
        self._sources = TextSources.of(text)
        self._camera = effects_of(camera)
        self.word_settings = WordSettings(
            font_size=size_range("font_size", font_size, 10),
            margin=(float(margin[0]), float(margin[1])),
            max_angle=max_angle * difficulty,
            slant=slant * difficulty,
            stretch=stretch * difficulty,
            perspective=perspective * difficulty,
            curved=curved * difficulty,
            tracking=tracking * difficulty,
            effects=effects * difficulty,
            strokes=strokes * difficulty,
            neighbours=neighbours * difficulty,
            plain=1 - textured * difficulty,
            contrast=110 - 70 * low_contrast * difficulty,
            inverted=float(inverted),
            background_share=float(background_share),
            degrade=degrade * difficulty,
            vertical=float(vertical),
        )
        self._text_settings: dict[str, Any] = {
            "weights": checked_weights("texts", dict.fromkeys(KINDS, 1.0) if texts is None else texts, KINDS),
            "cases": checked_weights("cases", dict.fromkeys(CASES, 1.0) if cases is None else cases, CASES),
            "max_length": max_length,
            "random_length": size_range("random_length", random_length, 1),
            "punctuation": float(punctuation),
        }
        WordMaker("train", scripts)  # refuses unknown scripts now
        self.seed = seed
        self.endless = endless
        self.counts: dict[Split, int] = {"train": train_words, "val": val_words}
        self.cache = Path(cache_dir).expanduser() if cache_dir else cache.default_cache_dir()
        self._scripts = tuple(scripts)
        self._backgrounds = BackgroundFiles(backgrounds)
        self._fonts = checked_fonts(fonts)
        self._system_fonts = system_fonts
        self._words = Path(words).expanduser() if words else None
        self.workers = workers or available_cores()

    @functools.cached_property
    def characters(self) -> str:
        """All that texts may contain. Raises DataError if a corpus cannot be read."""
        if self._given is not None:
            return self._given
        own = ""
        if self._sources.made_up:
            latin = any(script.startswith("latin") for script in self._scripts)
            own = PRINTABLE if latin else "".join(c for c in PRINTABLE if not c.isalpha())
            own += "".join(letters_of(script) for script in self._scripts if script != "latin")
        with addressed(self, DataError):
            found = dict.fromkeys(own + self._sources.characters())
        return with_space("".join(found), self._use_space_char)

    @functools.cached_property
    def _materials(self) -> Materials:
        with addressed(self, DataError):
            fonts = FontSet(self._fonts, self._system_fonts)
            return gather(
                fonts,
                self.characters,
                self._text_settings,
                self._words,
                self._scripts,
                self._backgrounds.files(),
                self._sources,
            )

    def _begin(self, split: Split, index: int, epoch: int) -> tuple[str, str, np.random.Generator]:
        """An image's text, a font that draws it, and the random numbers to draw it with."""
        rng = np.random.default_rng([self.seed, SPLITS.index(split), index, epoch])
        return *self._materials.text(split, rng), rng

    def text(self, split: Split, index: int, epoch: int = 0) -> str:
        """The text of an image, without drawing it."""
        return self._begin(split, index, epoch)[0]

    def draw(self, split: Split, index: int, epoch: int = 0) -> Word:
        """Draw one image; always the same for the same arguments."""
        text, font, rng = self._begin(split, index, epoch)
        word = draw_word(self.word_settings, text, font, self._materials.photographs, rng)
        if not self._camera:
            return word
        image, _ = photographed(self._camera, word.image, [], rng)
        return replace(word, image=image)

    def draw_training(self, index: int, epoch: int) -> tuple[bytes, tuple[str, ...]]:
        """A training image of an epoch as the bytes of a JPEG file, and its text."""
        word = self.draw("train", index, epoch)
        return cache.encode(word, f"word {index + 1} of epoch {epoch}").tobytes(), (word.text,)

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the drawn images; draws them first where the cache lacks them. Raises DataError."""
        counts: dict[Split, int] = {**self.counts, "train": 0} if self.endless else self.counts
        name = f"rec-{self._digest(counts)[:16]}"
        return cache.obtain(self.cache, name, counts, self.settings(counts), self.draw, self.workers)

    def settings(self, counts: Mapping[Split, int]) -> dict[str, Any]:
        """All that shapes the images, as plain values."""
        return {
            "generator": GENERATOR_VERSION,
            "seed": self.seed,
            "images": dict(counts),
            "characters": self.characters,
            **self._text_settings,
            **{key: value for key, value in asdict(self.word_settings).items() if key != "vertical" or value},
            "scripts": list(self._scripts),
            **({"shaped": True} if needs_shaping(self.characters) else {}),
            **self._materials.prints,
            **self._sources.settings(),
            **camera_settings(self._camera),
        }

    def _digest(self, counts: Mapping[Split, int]) -> str:
        return hashlib.sha256(json.dumps(self.settings(counts), sort_keys=True).encode()).hexdigest()

    def description(self) -> dict[str, Any]:
        """All that shapes the images, as plain values. Raises DataError."""
        return self.settings(self.counts)

    def write(self, folder: Path) -> None:
        """Draw the images into a new folder outside of the cache, those of epoch 0 if endless. Raises DataError."""
        cache.write(folder, self.counts, self.description(), self.draw, self.workers)

    def _records(self, split: Split) -> list[Record]:
        source = self.folder / cache.list_name(split)
        records = []
        # Not splitlines(): a text may hold what Unicode takes for a line's end.
        for number, line in enumerate(source.read_text(encoding="utf-8").split("\n")[:-1], 1):
            name, _, text = line.partition("\t")
            records.append(Record(self.folder / name, (text,), source=f"{source}:{number}"))
        return records

    def train_records(self) -> list[Record]:
        """The training images; with the texts of epoch 0 where every epoch has its own. Raises DataError."""
        if not self.endless:
            return self._records("train")
        source = f"dataset=synth_rec, seed {self.seed}"
        records = []
        for index in range(self.counts["train"]):
            path = Path("drawn") / cache.image_name("train", index)
            draw = functools.partial(self.draw_training, index)
            records.append(Record(path, (self.text("train", index),), source=source, draw=draw))
        return records

    def val_records(self) -> list[Record]:
        """The validation images. Raises DataError if they cannot be drawn."""
        return self._records("val")

    def fingerprint(self) -> dict[str, str]:
        """SHA-256 of the label lists and the number of images, for each split; of the settings if it is endless."""
        prints = {}
        for split in SPLITS:
            listed = hashlib.sha256((self.folder / cache.list_name(split)).read_bytes()).hexdigest()
            drawn = self.endless and split == "train"
            prints[f"{split}_sha256"] = self._digest(self.counts) if drawn else listed
            prints[f"{split}_count"] = str(self.counts[split])
        return prints

    def report(self) -> list[str]:
        """Characters, words and kinds of text that cannot be drawn."""
        return list(self._materials.report)
