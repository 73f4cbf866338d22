"""ICDAR's Robust Reading label files: focused (2013), incidental (2015) and multi-lingual (2017, 2019) scene text.

One text file per image, one word per line, `gt_NAME.txt` for `NAME.jpg`; word crops have one `gt.txt` for all.
Sources: rrc.cvc.uab.es, tasks of challenges 2, 4, 8 and 15. Byte order marks, any line end and texts with commas occur.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ocrexp.data.formats.base import (
    DET,
    IGNORED,
    REC,
    BadLabel,
    Format,
    each_file,
    leading_numbers,
    outline,
    share_of_lines,
    unquoted,
)  # fmt: skip
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.safe_files import read_lines
from ocrexp.data.formats.shapes import box

SCRIPTS = ("Arabic", "Latin", "Chinese", "Japanese", "Korean", "Bangla", "Hindi", "Symbols", "Mixed", "None")
_PREFIX = re.compile(r"^(?:gt_|res_|poly_gt_)")
_NOT_LABELS = re.compile(r"(?:^|/)(?:classes|readme|license|coords|fileState)[^/]*$", re.IGNORECASE)
_NUMBER = r"\s*-?\d+(?:\.\d+)?\s*"
_EIGHT = rf"(?:{_NUMBER},){{7}}{_NUMBER}"
FLAGGED = rf"{_EIGHT},\s*[01]\s*, .*"  # E2E-MLT: a flag in place of the script
_MLT = rf"{_EIGHT},\s*(?:{'|'.join(SCRIPTS)})\s*,.*|{FLAGGED}"
RCTW = rf'{_EIGHT},\s*[01]\s*,\s*".*"\s*'
_BOX = rf'{_NUMBER}(?:,{_NUMBER}){{3}},\s*".*"|\d+ \d+ \d+ \d+ ".*"'
_PLAIN_BOX = rf"{_NUMBER}(?:,{_NUMBER}){{3}},(?!{_NUMBER},).*\S.*"
_CROP = r'[^,"]+\.\w{3,4},\s*".*"'
_PLAIN_CROP = r"[^,\"]+\.(?:png|jpe?g|bmp|gif|tiff?),\s*\S.*"
_SCRIPT_CROP = rf"[^,]+\.\w{{3,4}},(?:{'|'.join(SCRIPTS)}),.*"

Parse = Callable[[str], Region]


def label_files(folder: Folder, *suffixes: str) -> list[str]:
    """Text files that may be labels of one image each."""
    return [name for name in folder.files(*suffixes) if not _NOT_LABELS.search(name)]


def page_entry(folder: Folder, name: str, parse: Parse, account: Account) -> Entry:
    """The entry of a label file with a region per line; bad lines are dropped with their place."""
    path = folder.base / name
    regions = []
    for line_number, line in read_lines(path, account):
        try:
            regions.append(parse(line))
        except BadLabel as bad:
            account.drop("line that cannot be read", f"{path}:{line_number}: {bad}")
    stem = re.sub(r"\.[^.]*$", "", name.rpartition("/")[2])
    plain = _PREFIX.sub("", stem)
    image = folder.image_of(plain, name) or (folder.image_of(stem, name) if plain != stem else None)
    shown = folder.below(image) if image else f"{plain}.jpg"
    return Entry(shown, image, regions, split=split_of(name.rpartition("/")[0]), source=str(path))


def pages(*suffixes: str, parse: Parse) -> Callable[[Folder, ReadOptions, Account], Iterator[Entry]]:
    """A reader of folders with one label file per image."""

    def read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
        del options
        names = label_files(folder, *suffixes)
        return each_file(names, account, lambda name: page_entry(folder, name, parse, account))

    return read


def region(flat: list[float], text: str, language: str = "") -> Region:
    """A region of four corners whose text may be the mark of ignored ones, or missing."""
    return _marked(outline(flat), text, language)


def _marked(points: Points, text: str, language: str = "") -> Region:
    ignored = unquoted(text.strip()) == IGNORED
    return Region(points, None if ignored or not text.strip() else text, ignored, language)


def parse_2013(line: str) -> Region:
    """`left, top, right, bottom, "text"`, or with spaces only."""
    separator = "," if re.match(rf"{_NUMBER},", line) else " "
    numbers, text = leading_numbers(line.strip(), 4, separator)
    return _marked(box(*numbers), unquoted(text.strip()))


def parse_2015(line: str) -> Region:
    """`x1,y1,x2,y2,x3,y3,x4,y4,text`, or without a text."""
    return region(*leading_numbers(line, 8))


def parse_rctw(line: str) -> Region:
    """`x1,y1,x2,y2,x3,y3,x4,y4,difficult,"text"`."""
    numbers, rest = leading_numbers(line, 8)
    flag, comma, text = rest.partition(",")
    if not comma or flag.strip() not in ("0", "1"):
        raise BadLabel("expected 0 or 1 and a text after the coordinates")
    found = region(numbers, unquoted(text.strip()))
    found.ignored = found.ignored or flag.strip() == "1"
    return found


def parse_mlt(line: str) -> Region:
    """`x1,y1,x2,y2,x3,y3,x4,y4,script,text`; E2E-MLT has a flag instead of the script, and a space before the text."""
    numbers, rest = leading_numbers(line, 8)
    script, comma, text = rest.partition(",")
    if not comma:
        raise BadLabel("expected a script and a text after the coordinates")
    if script.strip() in ("0", "1"):
        return region(numbers, text.removeprefix(" "))
    return region(numbers, text, script.strip())


def _recognize(
    pattern: str, name_pattern: str, reason: str, other: str = "", sure: float = 0.9
) -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        names = [name for name in folder.like(r".*\.txt") if not _NOT_LABELS.search(name)]
        for name in names[:20]:
            lines = folder.first_lines(name)
            share = share_of_lines(lines, pattern)
            if share > 0.5 and not (other and share_of_lines(lines, other) > 0.5):
                typical = re.match(name_pattern, name.rpartition("/")[2]) is not None
                return Guess(sure if typical else sure - 0.2, f"{name} has lines of {reason}")
        return NO

    return recognize


_quoted_box = _recognize(_BOX, r"gt_", "2 corners and a quoted text")
_plain_box = _recognize(_PLAIN_BOX, r"gt_", "2 corners and a text", sure=0.75)
_with_text = _recognize(rf"{_EIGHT},.*", r"gt_", "8 coordinates and a text", rf"{_MLT}|{RCTW}|{_EIGHT},{_NUMBER},.*")
_without_text = _recognize(_EIGHT, r"gt_|res_", "8 coordinates without a text")


def _recognize_box(folder: Folder) -> Guess:
    return _quoted_box(folder) or _plain_box(folder)


def _recognize_quad(folder: Folder) -> Guess:
    return _with_text(folder) or _without_text(folder)


def _read_crops(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in label_files(folder, ".txt"):
        lines = folder.first_lines(name)
        if share_of_lines(lines, _CROP) > 0.5:
            parse = _parse_crop
        elif share_of_lines(lines, _SCRIPT_CROP) > 0.5:
            parse = _parse_script_crop
        elif share_of_lines(lines, _PLAIN_CROP) > 0.5:
            parse = _parse_plain_crop
        else:
            continue
        path = folder.base / name
        for line_number, line in read_lines(path, account):
            try:
                image, text, language = parse(line)
            except BadLabel as bad:
                account.drop("line that cannot be read", f"{path}:{line_number}: {bad}")
                continue
            yield Entry(
                image, folder.image(image, name), None, text, split=split_of(name), source=f"{path}:{line_number}",
                extra={"language": language} if language else {},
            )  # fmt: skip


def _parse_crop(line: str) -> tuple[str, str, str]:
    """`word_1.png, "text"`, with backslashes before quotes of the text."""
    image, comma, text = line.partition(",")
    text = text.strip()
    if not comma or len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise BadLabel('expected NAME, "text"')
    return image.strip(), re.sub(r'\\(["\\])', r"\1", text[1:-1]), ""


def _parse_script_crop(line: str) -> tuple[str, str, str]:
    """`word_1.png,script,text`."""
    fields = line.split(",", 2)
    if len(fields) < 3:
        raise BadLabel("expected NAME,script,text")
    return fields[0].strip(), fields[2], fields[1].strip()


def _parse_plain_crop(line: str) -> tuple[str, str, str]:
    """`word_1.png, text`, as copies of the data have it."""
    image, comma, text = line.partition(",")
    if not comma or not text.strip():
        raise BadLabel("expected NAME, text")
    return image.strip(), text.strip(), ""


def _recognize_crops(folder: Folder) -> Guess:
    for name in folder.like(r"gt.*\.txt|.*_gt\.txt"):
        lines = folder.first_lines(name)
        if share_of_lines(lines, _CROP) > 0.5:
            return Guess(0.9, f'{name} has lines of NAME, "text"')
        if share_of_lines(lines, _SCRIPT_CROP) > 0.5:
            return Guess(0.9, f"{name} has lines of NAME,script,text")
        if share_of_lines(lines, _PLAIN_CROP) > 0.5:
            return Guess(0.7, f"{name} has lines of NAME, text")
    return NO


_read_mlt = pages(".txt", parse=parse_mlt)


def _recognize_mlt(pattern: str, year: str) -> Callable[[Folder], Guess]:
    inner = _recognize(_MLT, pattern, "8 coordinates, a script and a text")

    def recognize(folder: Folder) -> Guess:
        guess = inner(folder)
        if guess.confidence and guess.confidence < 0.9:
            return Guess(0.5, guess.reason)
        return Guess(guess.confidence, f"{guess.reason}, in files named as those of {year}") if guess else NO

    return recognize


FORMATS = [
    Format(
        "icdar2013", "ICDAR 2013 focused scene text", DET, 'gt_NAME.txt: left, top, right, bottom, "text"',
        _recognize_box, pages(".txt", parse=parse_2013),
    ),
    Format(
        "icdar2015", "ICDAR 2015 incidental scene text", DET, "gt_NAME.txt: x1,y1,…,x4,y4,text",
        _recognize_quad, pages(".txt", parse=parse_2015),
    ),
    Format(
        "icdar2017_rctw", "ICDAR 2017 RCTW-17", DET, 'NAME.txt: x1,y1,…,x4,y4,difficult,"text"',
        _recognize(RCTW, r"", "8 coordinates, 0 or 1, and a quoted text"), pages(".txt", parse=parse_rctw),
    ),
    Format(
        "icdar2017_mlt", "ICDAR 2017 MLT", DET, "gt_NAME.txt: x1,y1,…,x4,y4,script,text",
        _recognize_mlt(r"gt_", "2017"), _read_mlt,
    ),
    Format(
        "icdar2019_mlt", "ICDAR 2019 MLT", DET, "NAME.txt: x1,y1,…,x4,y4,script,text",
        _recognize_mlt(r"tr_img_", "2019"), _read_mlt,
    ),
    Format(
        "icdar_words", "Word crops of ICDAR 2013, 2015, MLT", REC, 'gt.txt: NAME, "text" or NAME,script,text',
        _recognize_crops, _read_crops,
    ),
]  # fmt: skip
