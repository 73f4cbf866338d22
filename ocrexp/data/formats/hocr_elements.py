"""The pages, lines and words of an hOCR file: HTML whose elements may be unclosed, with geometry in their titles.

Only Python's HTML parser reads it: it fetches nothing, and entities that a document type defines are not expanded.
Source: the hOCR specification 1.2 and the files of Tesseract 4 and 5, OCRopus and kraken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

PAGE, LINE, WORD = 0, 1, 2  # what is within what
LINES = ("ocr_line", "ocrx_line")
FLOATS = ("ocr_header", "ocr_footer", "ocr_caption", "ocr_textfloat", "ocr_pageno")  # lines, or with lines in them
_RANKS = {"ocr_page": PAGE, **dict.fromkeys(LINES + FLOATS, LINE), "ocrx_word": WORD, "ocr_word": WORD}
_CHARACTERS = {"ocrx_cinfo", "ocr_cinfo"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_PROPERTY = re.compile(r"\s*([\w.-]+)[ \t\r\n\f]*")
_SPACES = re.compile(r"[ \t\r\n\f]+")  # those that HTML joins; an ideographic space is a character
_SOFT_HYPHEN = "\u00ad"  # at the end of a line: what is on the page is a hyphen


@dataclass(slots=True)
class HocrElement:
    """A page, line or word.

    Args:
        kind: its class.
        rank: PAGE, LINE or WORD.
        tag: of its element.
        row: line of the file, from 1.
        title: its properties by name, as texts.
        identity: its `id`.
        language: of itself, its line or its paragraph.
        parts: lines and words that are in no line, of a page; words, of a line.
        characters: titles of its characters.
        pieces: all texts in it.
        mixed: whether a line has text that is in no word.
        open_tags: elements of the same tag that are open in it.
    """

    kind: str
    rank: int
    tag: str
    row: int
    title: dict[str, str]
    identity: str
    language: str
    parts: list[HocrElement] = field(default_factory=list)
    characters: list[dict[str, str]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    mixed: bool = False
    open_tags: int = 0

    def text(self) -> str:
        """The text with spaces as HTML shows them. The words of a line are joined by spaces."""
        if self.rank == LINE and self.parts and not self.mixed:
            text = " ".join(filter(None, (word.text() for word in self.parts)))
        else:
            text = _SPACES.sub(" ", "".join(self.pieces)).strip()
        return f"{text[:-1]}-" if text.endswith(_SOFT_HYPHEN) else text


def properties(title: str) -> dict[str, str]:
    """The properties of a title, `bbox 1 2 3 4; image "a;b.png"`, by name; the first of several with the same name."""
    found: dict[str, str] = {}
    closed = {'"', "'"}  # quotes that may have an end in the rest
    at = 0
    while match := _PROPERTY.match(title, at):
        start = match.end()
        quote, end, after = title[start : start + 1], -1, 0
        if quote in closed:
            close = re.compile(rf"{quote}\s*(?:;|$)").search(title, start + 1)
            if close:
                start, end, after = start + 1, close.start(), close.end()
            else:
                closed.discard(quote)
        if end < 0:
            end = title.find(";", start)
            end = len(title) if end < 0 else end
            after = end + 1
        found.setdefault(match[1], title[start:end].strip())
        at = after
    return found


class HocrParser(HTMLParser):
    """Collects the pages of a file; `stray` has the rows of texts that are in no line or word, or in no page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pages: list[HocrElement] = []
        self.stray: list[int] = []
        self._open: list[HocrElement] = []  # a page, a line in it, a word in that
        self._language = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tracked element begins, or one that only matters for which end tag belongs to which element."""
        tag = tag.rpartition(":")[2]
        values = {name: value or "" for name, value in attrs}
        kinds = values.get("class", "").split()
        if "ocr_par" in kinds:
            self._language = values.get("lang", "")
        if tag in _VOID:
            if tag == "br":
                self.handle_data(" ")
            return
        kind = next((name for name in kinds if name in _RANKS), None)
        if kind is not None and (self._open or _RANKS[kind] == PAGE):
            self._begin(kind, tag, values)
            return
        if self._open and self._open[-1].rank != PAGE and not _CHARACTERS.isdisjoint(kinds):
            self._open[-1].characters.append(properties(values.get("title", "")))
        self._count_open(tag, 1)

    def _begin(self, kind: str, tag: str, values: dict[str, str]) -> None:
        rank = _RANKS[kind]
        while self._open and self._open[-1].rank >= rank:
            before = self._open.pop()
            self._count_open(before.tag, before.open_tags + 1)  # its end tag may follow
            if self._open and before.kind in FLOATS and kind in LINES and not "".join(before.pieces).strip():
                self._open[-1].parts.pop()  # a block with lines in it, which are read
        inherited = self._open[-1].language if self._open and self._open[-1].rank == LINE else self._language
        language = values.get("lang") or inherited
        title = properties(values.get("title", ""))
        part = HocrElement(kind, rank, tag, self.getpos()[0], title, values.get("id", ""), language)
        (self._open[-1].parts if self._open else self.pages).append(part)
        self._open.append(part)

    def _count_open(self, tag: str, count: int) -> None:
        for part in reversed(self._open):
            if part.tag == tag:
                part.open_tags += count
                return

    def handle_endtag(self, tag: str) -> None:
        """The innermost tracked element with this tag ends, unless the tag is of an element within it."""
        tag = tag.rpartition(":")[2]
        for position in reversed(range(len(self._open))):
            if self._open[position].tag == tag:
                if self._open[position].open_tags:
                    self._open[position].open_tags -= 1
                else:
                    del self._open[position:]
                return

    def handle_data(self, data: str) -> None:
        """Text is that of the word and the line that it is in."""
        inner = self._open[-1] if self._open else None
        if inner is not None and inner.rank != PAGE:
            for part in self._open[1:]:
                part.pieces.append(data)
            inner.mixed = inner.mixed or (inner.rank == LINE and bool(data.strip()))
        elif self.pages and data.strip():
            self.stray.append(self.getpos()[0])


def pages_in(text: str) -> HocrParser:
    """The parser of a file's text, with its pages."""
    parser = HocrParser()
    parser.feed(text)
    parser.close()
    return parser
