"""`dataset=rec_styled`: real lines, and drawn ones that look like them, as one data set.

The looks of the real training images (or of another list's) are measured, see `measure`, and put on other texts. The
drawn images are the last training list: `ratios` and `loader.batch_shares` mix it with the real ones. They lie in the
cache as those of `synth_rec`, or are drawn as they are needed with `endless`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.lists import list_part
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.records import ListRecords, all_texts
from ocrexp.data.source import Names
from ocrexp.data.split import BY_IMAGE
from ocrexp.data.synth import cache
from ocrexp.data.synth.checks import checked_weights, require, require_one_of
from ocrexp.data.synth.fonts import Fonts, FontSet, checked_fonts
from ocrexp.data.synth.style.bank import Looks, measured
from ocrexp.data.synth.style.draw import StyledWord, draw_styled
from ocrexp.data.synth.style.looks import CASES, Look
from ocrexp.data.synth.style.measure import in_case
from ocrexp.data.synth.style.texts import KINDS, LabelTexts
from ocrexp.data.synth.words import SPLITS, Split, read_words
from ocrexp.environment import available_cores
from ocrexp.errors import DataError
from ocrexp.located import addressed
from ocrexp.types import Record

# Part of the cache's name: raise it with every change that alters an image.
GENERATOR_VERSION = 2
_TRIES = 100


class StyledRec(RecLists):
    """Real recognition lists, and drawn images in their looks as a further training list (DataSource).

    Texts come from the labels of the images whose look is measured, never from the validation list.

    Args:
        root, train_labels, val_labels, val_split, val_split_by, val_split_seed: the real lists, see LabelLists.
        ratios: one number per real training list, and one for the drawn images.
        style_list: a list of real images with the look to draw in, or None: the real training lists.
        style_root: folder of that list; None: `root`.
        most_looks: images that are measured, evenly from the list.
        train_words: drawn training images (of an epoch, if endless).
        val_words: drawn validation images of the verb `synth`; training validates on the real list.
        seed: of the drawing; the `seed` of a run does not draw new ones.
        endless: draw new training images every epoch, in the loader's processes, and keep none.
        texts: weights of the kinds of text: label, form, words, random (see LabelTexts); None: all alike.
        words: a UTF-8 file of further words, one per line, or None.
        max_length: most characters of a text.
        case: how words are printed: auto, as_is, upper, title or lower. auto: where the labels have capitals only,
            the print of each image is looked at; otherwise as in the label.
        variation: how far sizes, weights, blur and colors may differ from the measured ones, 0..1.
        other_fonts: share of the images in another font than the nearest one.
        fonts: a folder of fonts, sources by name, or None for those that matplotlib ships.
        system_fonts: use the system's fonts too; images then depend on the machine.
        cache_dir: where looks and drawn images are kept; None: $OCREXP_CACHE/synth, else ~/.cache/ocrexp/synth.
        workers: drawing processes; None: one per core.

    Raises:
        ValueError: a value cannot be used.
        DataError: (later) a list or folder is missing, no image can be measured, or the cache cannot be written.
    """

    def __init__(
        self,
        root: str | Path,
        train_labels: Names,
        val_labels: Names | None = None,
        ratios: Sequence[float] | None = None,
        val_split: float | None = None,
        val_split_by: str = BY_IMAGE,
        val_split_seed: int = 0,
        style_list: str | None = None,
        style_root: str | None = None,
        most_looks: int = 1000,
        train_words: int = 10000,
        val_words: int = 0,
        seed: int = 0,
        endless: bool = False,
        texts: Mapping[str, float] | None = None,
        words: str | None = None,
        max_length: int = 25,
        case: str = "auto",
        variation: float = 0.5,
        other_fonts: float = 0.1,
        fonts: Fonts = None,
        system_fonts: bool = False,
        cache_dir: str | None = None,
        workers: int | None = None,
    ) -> None:
        super().__init__(root, train_labels, val_labels, None, val_split, val_split_by, val_split_seed)
        lists = len(self.parts["train"]) + 1
        fine = ratios is None or (len(ratios) == lists and min(ratios) >= 0)
        require(fine, "ratios", ratios, f"{lists} numbers of 0 or more: of each training list and of the drawn images")
        self.ratios = None if ratios is None else list(ratios)
        require(train_words >= 1, "train_words", train_words, "at least 1")
        require(val_words >= 0, "val_words", val_words, "0 or more")
        require(most_looks >= 1, "most_looks", most_looks, "at least 1")
        require(seed >= 0, "seed", seed, "0 or more")
        require(1 <= max_length <= 200, "max_length", max_length, "1 to 200")
        require_one_of("case", case, ("auto", *CASES))
        require(0 <= variation <= 1, "variation", variation, "0 to 1")
        require(0 <= other_fonts <= 1, "other_fonts", other_fonts, "0 to 1")
        require(workers is None or workers >= 1, "workers", workers, "at least 1, or null for one per core")
        require(style_root is None or style_list is not None, "style_root", style_root, "null without style_list")
        self._style = None
        if style_list is not None:
            self._style = RecLists(root if style_root is None else style_root, style_list, style_list)
        self._most_looks = most_looks
        self.counts: dict[Split, int] = {"train": train_words, "val": val_words}
        self.seed = seed
        self.endless = endless
        self._weights = checked_weights("texts", dict.fromkeys(KINDS, 1.0) if texts is None else texts, KINDS)
        self._words = None if words is None else Path(words).expanduser()
        self._max_length = max_length
        self._case = case
        self._variation = float(variation)
        self._other_fonts = float(other_fonts)
        self._font_sources = checked_fonts(fonts)
        self._system_fonts = system_fonts
        self.cache = Path(cache_dir).expanduser() if cache_dir else cache.default_cache_dir()
        self.workers = workers or available_cores()

    @functools.cached_property
    def _fonts(self) -> FontSet:
        with addressed(self, DataError):
            return FontSet(self._font_sources, self._system_fonts)

    @functools.cached_property
    def _real(self) -> Sequence[Record]:
        return super().train_records() if self._style is None else self._style.train_records()

    @functools.cached_property
    def texts(self) -> LabelTexts:
        """The texts of the drawn images."""
        with addressed(self, DataError):
            further = [] if self._words is None else read_words(self._words)
        return LabelTexts(list(all_texts(self._real)), self._weights, self._max_length, further)

    @functools.cached_property
    def looks(self) -> Looks:
        """The looks of the real images. Raises DataError if there are none."""
        cases: tuple[str, ...] = (self._case,)
        if self._case == "auto":
            cases = ("upper", "title", "lower") if self.texts.capitals else ("as_is",)
        return measured(self._real, self._fonts, cases, self._most_looks, self.cache)

    def draw(self, split: Split, index: int, epoch: int = 0) -> StyledWord:
        """Draw one image; always the same for the same arguments."""
        rng = self._rng(split, index, epoch)
        for look, written, text, font in self._choices(rng):
            word = draw_styled(look, written, text, font, self._variation, rng)
            if word is not None:
                return word
        raise AssertionError("the choices end with an error")

    def text(self, split: Split, index: int, epoch: int = 0) -> str:
        """The text of an image, without drawing it; it differs from the drawn one where that could not be seen."""
        return next(self._choices(self._rng(split, index, epoch)))[2]

    def _rng(self, split: Split, index: int, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLITS.index(split), index, epoch])

    def _choices(self, rng: np.random.Generator) -> Iterator[tuple[Look, str, str, str]]:
        """A look, what is written in it, the label and a font for it, up to _TRIES times; then raises DataError."""
        for _ in range(_TRIES):
            text = self.texts.text(rng)
            look = self.looks.looks[int(rng.integers(len(self.looks.looks)))]
            written = self._written(text, look, rng)
            font = self._fonts.pick(rng) if rng.random() < self._other_fonts else look.font
            able = self._fonts.for_text(font, written.replace(" ", ""), rng)
            if able is not None:
                yield look, written, text, able
        raise DataError(f"no font has the characters of the labels, for example {text!r}; set fonts to a folder")

    def _written(self, text: str, look: Look, rng: np.random.Generator) -> str:
        """The text as the look's print would have it."""
        words = [in_case(word, look.cases[int(rng.integers(len(look.cases)))]) for word in text.split(" ")]
        written = " ".join(words)
        return written if written.upper() == text.upper() else text  # ß, İ: their other case is another text

    def draw_training(self, index: int, epoch: int) -> tuple[bytes, tuple[str, ...]]:
        """A training image of an epoch as the bytes of a JPEG file, and its text."""
        word = self.draw("train", index, epoch)
        return cache.encode(word, f"word {index + 1} of epoch {epoch}").tobytes(), (word.text,)

    def settings(self, counts: Mapping[Split, int]) -> dict[str, Any]:
        """All that shapes the images, as plain values."""
        return {
            "generator": GENERATOR_VERSION,
            "seed": self.seed,
            "images": dict(counts),
            "looks": self.looks.digest,
            "texts": self._weights,
            "labels": hashlib.sha256("\n".join(all_texts(self._real)).encode()).hexdigest(),
            "words": None if self._words is None else hashlib.sha256(self._words.read_bytes()).hexdigest(),
            "max_length": self._max_length,
            "variation": self._variation,
            "other_fonts": self._other_fonts,
            "fonts": self._fonts.fingerprint(),
        }

    def _digest(self, counts: Mapping[Split, int]) -> str:
        return hashlib.sha256(json.dumps(self.settings(counts), sort_keys=True).encode()).hexdigest()

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the drawn images; draws them first where the cache lacks them. Raises DataError."""
        counts: dict[Split, int] = {**self.counts, "val": 0}
        name = f"styled-{self._digest(counts)[:16]}"
        return cache.obtain(self.cache, name, counts, self.settings(counts), self.draw, self.workers)

    def description(self) -> dict[str, Any]:
        """All that shapes the images of both splits, as plain values."""
        return self.settings(self.counts)

    def write(self, folder: Path) -> None:
        """Draw the images into a new folder outside of the cache, without the real ones. Raises DataError."""
        cache.write(folder, self.counts, self.description(), self.draw, self.workers)

    def train_records(self) -> Sequence[Record]:
        """The real training images, then the drawn ones as a list of their own. Raises DataError."""
        return self._mixed

    @functools.cached_property
    def _mixed(self) -> Sequence[Record]:
        real = super().train_records()
        number = len(self.parts["train"])
        _ = self.looks
        if not self.endless:
            part = list_part(self._file(self.folder / cache.list_name("train")), self.folder, number)
            assert isinstance(real, ListRecords)  # of lists
            return ListRecords([*real.parts, part])
        source = f"dataset=rec_styled, seed {self.seed}"
        drawn = []
        for index in range(self.counts["train"]):
            draw = functools.partial(self.draw_training, index)
            path = Path("drawn") / cache.image_name("train", index)
            drawn.append(Record(path, (self.text("train", index),), source=source, list_index=number, draw=draw))
        return [*real, *drawn]

    def fingerprint(self) -> dict[str, str]:
        """Of the real lists, and the hash of what shapes the drawn images and their number."""
        drawn = {"drawn_sha256": self._digest(self.counts), "drawn_images": str(self.counts["train"])}
        return super().fingerprint() | drawn

    def report(self) -> list[str]:
        """What was skipped of the real lists, images without a look, and words that are not used."""
        return [*super().report(), *self._unused()]

    def drawn_report(self) -> list[str]:
        """That of what is drawn, which the real validation list is not."""
        return [*self.split_report("train"), *self._unused()]

    def _unused(self) -> list[str]:
        """Images without a look, and words of the file that are not used."""
        dropped = self.texts.dropped
        lines = [f"words: {dropped} word(s) dropped, which have characters that no label has"] if dropped else []
        return [*self.looks.report(), *lines]
