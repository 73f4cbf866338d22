"""hOCR: pages with lines and words in HTML, as Tesseract, OCRopus and kraken write them.

`level=line` gives lines (the usual level), `level=word` words. The text of a line is that of its words, joined by
spaces, or its own. Titles state two corners (`bbox`), an outline (`poly`) or boxes of characters (`x_bboxes`), and
with `textangle` the text's counter-clockwise turn: the first corner is the one where the text begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ocrexp.data.formats.base import DET, BadLabel, Format, outline
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.hocr_elements import LINE, WORD, HocrElement, pages_in
from ocrexp.data.formats.safe_files import read_text
from ocrexp.data.formats.shapes import bounds, box, number, unclosed
from ocrexp.errors import DataError

LATER_PAGE = "page after the first of an image file; save the pages as images of their own"
_SUFFIXES = (".hocr", ".html", ".htm", ".xhtml")
_UNNAMED = ("", "unknown")  # Tesseract's name of an image that it was given as pixels
_WITHOUT_TEXT = "region without a text"


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(*_SUFFIXES):
        if not folder.only and "ocr_page" not in folder.probe(name):
            continue
        path = folder.base / name
        try:
            found = pages_in(read_text(path, account))
        except DataError as error:
            account.drop("label file that cannot be read", str(error))
            continue
        for row in found.stray:
            account.drop("text that is in no line or word", f"{path}:{row}")
        if not found.pages:
            account.drop("label file without an ocr_page", str(path))
        named: set[str] = set()
        for position, page in enumerate(found.pages, start=1):
            entry = _page_image(folder, name, page, position if len(found.pages) > 1 else None)
            if entry.name in named:
                account.drop(LATER_PAGE, f"{path}:{page.row}: {entry.name}")
                continue
            named.add(entry.name)
            entry.size = _size(page)
            entry.regions = _regions(page, options.level or "line", path, account)
            yield entry


def _page_image(folder: Folder, name: str, page: HocrElement, position: int | None) -> Entry:
    """The entry of a page. Its image is named in the title; that of a file's only page may have the file's name."""
    named = page.title.get("image", "")
    named = "" if named.lower() in _UNNAMED else named
    plain = PurePosixPath(named.replace("\\", "/"))
    stem = PurePosixPath(name).stem
    image = folder.image(named, name) if named else None
    if image is None and position is None:
        image = folder.image_of(stem, name)
    if image is None and named:
        image = folder.image_of(plain.stem, name)
    other = stem if position is None else f"{stem}_{position}"
    shown = folder.below(image) if image else plain.name or f"{other}.jpg"
    source = f"{folder.base / name}" if position is None else f"{folder.base / name}:{page.row}"
    return Entry(shown, image, [], split=split_of(name.rpartition("/")[0]), source=source)


def _size(page: HocrElement) -> tuple[int, int] | None:
    """Width and height of a page whose box begins at 0, 0."""
    try:
        left, top, right, bottom = (int(number(value)) for value in page.title["bbox"].split())
    except (KeyError, ValueError):
        return None
    return (right, bottom) if left == top == 0 and right > 0 and bottom > 0 else None


def _regions(page: HocrElement, level: str, path: Path, account: Account) -> list[Region]:
    regions = []
    for part in page.parts:
        if part.rank == WORD and level == "line":
            account.drop("word that is in no line; read it with level=word", f"{path}:{part.row}")
            continue
        divided = level == "word" and part.parts
        for one in part.parts if divided else [part]:
            text = one.text()
            blank = one.rank == WORD or bool(one.parts)  # a line without any words was not transcribed
            if not text and blank:
                account.drop(_WITHOUT_TEXT, f"{path}:{one.row}: {one.kind}")
                continue
            try:
                points = _outline(one, one.title.get("textangle", part.title.get("textangle", "0")))
            except ValueError as error:
                account.drop("annotation that cannot be read", f"{path}:{one.row}: {one.kind} {error}")
                continue
            ignored = level == "word" and one.rank == LINE
            if ignored:
                account.change(f"{one.kind} that is not divided further, marked to be ignored", f"{path}:{one.row}")
            extra = {"id": one.identity} if one.identity else {}
            regions.append(Region(points, text or None, ignored, one.language, dict(extra), _score(one)))
    return regions


def _outline(part: HocrElement, angle: str = "0") -> Points:
    """The outline, the box, or the box around what is in it. Raises ValueError."""
    title = part.title
    if "poly" in title:
        return unclosed(outline([number(value) for value in title["poly"].split()]))
    if "bbox" in title:
        sides = [number(value) for value in title["bbox"].split()]
        if len(sides) != 4:
            raise BadLabel(f"expected 4 numbers of bbox, got {len(sides)}")
        points = box(*sides)
    elif "x_bboxes" in title:
        points = _around(_boxes(title["x_bboxes"]))
    else:
        inner = [_boxes(one["x_bboxes"]) for one in part.characters if "x_bboxes" in one]
        inner += [_outline(one) for one in part.parts]
        points = _around([point for points in inner for point in points])
    first = -round(number(angle.strip() or "0") / 90) % 4  # the corner at the text's beginning and top
    return points[first:] + points[:first]


def _boxes(text: str) -> Points:
    """The corners of boxes of characters; one at -1 stands for a character that has none."""
    corners = outline([number(value) for value in text.split()])
    if len(corners) % 2:
        raise BadLabel("expected 4 numbers of each of x_bboxes")
    pairs = zip(corners[::2], corners[1::2], strict=True)
    return [corner for pair in pairs if min(*pair[0], *pair[1]) >= 0 for corner in pair]


def _around(points: Points) -> Points:
    if not points:
        raise BadLabel("has no bbox")
    return box(*bounds(points))


def _score(part: HocrElement) -> float | None:
    """`x_wconf` of a word, or the mean of those of a line's words, from 0 to 1."""
    if part.rank == LINE and part.parts:
        scores = [score for word in part.parts if word.text() and (score := _score(word)) is not None]
        return sum(scores) / len(scores) if scores else None
    try:
        score = number(part.title["x_wconf"]) / 100
    except (KeyError, ValueError):
        return None
    return score if 0 <= score <= 1 else None


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:hocr|x?html|htm)")[:20]:
        head = folder.probe(name)
        if "ocr_page" in head and "bbox" in head:
            return Guess(0.95, f"{name} has an ocr_page with bbox")
    return NO


FORMATS = [
    Format("hocr", "hOCR", DET, "NAME.hocr, NAME.html: ocr_line (level=line) or ocrx_word (level=word)", _recognize,
           _read, options=frozenset(("level",))),
]  # fmt: skip
