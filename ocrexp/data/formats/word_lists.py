"""Formats of words and lines with one text per image: MJSynth, SVT-Perspective, CUTE80, EasyOCR, kraken.

- MJSynth: `./2425/1/115_Lube_45484.jpg 45484`: the text is the second part of the file name, the number an index;
- SVT-Perspective: `NAME TEXT [LEXICON]`, separated by a space or a tab; without lexicons the text may have spaces, as
  in lists of MMOCR 0.x; CUTE80: `NAME TEXT 1 TEXT`;
- EasyOCR: `filename,words`: everything after the first comma is the text, nothing is quoted;
- kraken, tesstrain: `STEM.gt.txt` beside `STEM.png`, `STEM.bin.png` or others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ocrexp.data.formats.base import REC, BadLabel, Format, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.safe_files import read_lines, read_text
from ocrexp.errors import DataError

_MJSYNTH_NAME = re.compile(r"\d+_(.*)_\d+$")
_MJSYNTH = r"\S*\d+_[^/\s]*_\d+\.jpg(?:\s+\d+)?"
_CUTE = r"\S+\.\w{3,4} (\S+) 1 \1"
_WORD = r"\S+\.(?:jpe?g|png|bmp|gif|tiff?)[ \t]\S.*"
_LEXICON = r"\S+[ \t]+[^\s,]+[ \t]+[^\s,]+(?:,[^\s,]+)+\s*"  # the text has no spaces there
_GROUND_TRUTH = ".gt.txt"

Parse = Callable[[str], tuple[str, str]]


def _lines(files: str, pattern: str, parse: Parse) -> Callable[[Folder, ReadOptions, Account], Iterator[Entry]]:
    """A reader of lists whose lines are parsed to the image's name and the text."""

    def read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
        del options
        names = [folder.only] if folder.only else folder.like(files)
        for name in (name for name in names if share_of_lines(folder.first_lines(name), pattern) > 0.5):
            path = folder.base / name
            for line_number, line in read_lines(path, account):
                place = f"{path}:{line_number}"
                try:
                    image, text = parse(line.strip("\r\n"))
                except BadLabel as bad:
                    account.drop("line that cannot be read", f"{place}: {bad}")
                    continue
                found = folder.image(image, name)
                split = split_of(name.rpartition("/")[2])
                yield Entry(image.removeprefix("./"), found, None, text, split=split, source=place)

    return read


def _mjsynth(line: str) -> tuple[str, str]:
    image = line.split()[0]
    match = _MJSYNTH_NAME.fullmatch(PurePosixPath(image).stem)
    if not match:
        raise BadLabel(f"expected NUMBER_TEXT_NUMBER.jpg, got {image[:80]}")
    return image, match[1]


def _first_word(line: str) -> tuple[str, str]:
    """The name and the word behind it; what follows is a lexicon."""
    image, text = _name_and_text(line)
    return image, text.split("\t" if "\t" in text else None)[0].strip()


def _name_and_text(line: str) -> tuple[str, str]:
    """The name and the text behind it, which may have spaces."""
    fields = line.strip().split("\t" if "\t" in line else None, 1)
    if len(fields) < 2 or not fields[1].strip():
        raise BadLabel("expected a name and a text")
    return fields[0].strip(), fields[1].strip()


def _read_svtp(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    names = [folder.only] if folder.only else folder.like(r".*\.txt")
    lexicon = [share_of_lines(folder.first_lines(name, 20), _LEXICON) > 0.5 for name in names]
    return _lines(r".*\.txt", _WORD, _first_word if any(lexicon) else _name_and_text)(folder, options, account)


def _recognize(files: str, pattern: str, confidence: float, what: str, other: str = "") -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        for name in folder.like(files)[:20]:
            lines = folder.first_lines(name)
            if share_of_lines(lines, pattern) > 0.5 and not (other and share_of_lines(lines, other) > 0.5):
                return Guess(confidence, f"{name} has lines of {what}")
        return NO

    return recognize


def _read_easyocr(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in [folder.only] if folder.only else folder.like(r"labels\.csv"):
        path = folder.base / name
        for line_number, line in read_lines(path, account):
            if line_number == 1 and line.strip() == "filename,words":
                continue
            image, comma, text = line.partition(",")
            place = f"{path}:{line_number}"
            if not comma:
                account.drop("line that cannot be read", f"{place}: expected filename,words")
                continue
            if len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('""', ""):
                account.change("text in double quotes, which EasyOCR takes as part of the text; it was kept", place)
            # The folders below all_data are data sets of their own; images are beside the list.
            image = (PurePosixPath(name).parent / image).as_posix() if not folder.only else image
            split = split_of(name.rpartition("/")[0])
            yield Entry(image, folder.image(image, name), None, text, split=split, source=place)


def _recognize_easyocr(folder: Folder) -> Guess:
    for name in folder.like(r"labels\.csv"):
        if folder.first_lines(name, 1)[:1] == ["filename,words"]:
            return Guess(0.95, f"{name} begins with filename,words")
    return NO


def _read_kraken(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(_GROUND_TRUTH):
        path = folder.base / name
        try:
            lines = [line for line in read_text(path, account).splitlines() if line.strip()]
        except DataError as error:
            account.drop("label file that cannot be read", str(error))
            continue
        if len(lines) > 1:
            account.drop("label file with several lines", str(path))
            continue
        stem = PurePosixPath(name).name[: -len(_GROUND_TRUTH)]
        found = _image_beside(folder, name, stem)
        shown = folder.below(found) if found else (PurePosixPath(name).parent / f"{stem}.png").as_posix()
        text = lines[0] if lines else None
        yield Entry(shown, found, None, text, split=split_of(name.rpartition("/")[0]), source=str(path))


def _image_beside(folder: Folder, name: str, stem: str) -> Path | None:
    for variant in (stem, f"{stem}.bin", f"{stem}.nrm"):
        if found := folder.image_of(variant, name, name):
            return found
    return None


def _recognize_kraken(folder: Folder) -> Guess:
    names = folder.like(r".*\.gt\.txt")
    return Guess(0.9, f"{names[0]} is a line's text beside its image") if names else NO


FORMATS = [
    Format(
        "mjsynth", "MJSynth", REC, "annotation_train.txt: 1/1/1_TEXT_2.jpg 2",
        _recognize(r".*annotation.*\.txt|imlist\.txt", _MJSYNTH, 0.9, "NUMBER_TEXT_NUMBER.jpg and a number"),
        _lines(r".*\.txt", _MJSYNTH, _mjsynth),
    ),
    Format(
        "cute80", "CUTE80", REC, "label.txt: NAME TEXT 1 TEXT",
        _recognize(r".*\.txt", _CUTE, 0.9, "a name, a text, 1 and the text"), _lines(r".*\.txt", _CUTE, _first_word),
    ),
    Format(
        "svtp", "SVT-Perspective, MMOCR 0.x words", REC, "gt.txt: NAME TEXT [LEXICON]",
        _recognize(r".*\.txt", _WORD, 0.6, "a name and a text", rf"{_CUTE}|{_MJSYNTH}|.*\t.*"),
        _read_svtp,
    ),
    Format(
        "easyocr", "EasyOCR", REC, "labels.csv: filename,words", _recognize_easyocr, _read_easyocr,
    ),
    Format(
        "kraken", "kraken, tesstrain", REC, "NAME.gt.txt beside NAME.png", _recognize_kraken, _read_kraken,
    ),
]  # fmt: skip
