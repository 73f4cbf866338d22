"""Reads annotation files of strangers: text, JSON, XML and MATLAB files. Nothing in them is executed or fetched.

All functions raise DataError with file, position and what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ocrexp.charset.encodings import convert_wide, guess_encoding, wide_encoding
from ocrexp.data.formats.entries import Account
from ocrexp.errors import DataError
from ocrexp.files import read_file

_MOST = 1 << 32  # bytes of an annotation file
_DEEPEST = 200  # elements of XML in each other
_LINE_END = re.compile(r"\r\n|\n|\r")
_FALLBACK = "cp1252"


def read_bytes(path: Path) -> bytes:
    """A file's content."""
    try:
        return read_file(path, _MOST)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from None


def read_text(path: Path, account: Account) -> str:
    """A text file without its byte order mark. One that is not UTF-8 is read in the encoding that it is most likely in,
    which is counted."""
    data = read_bytes(path)
    if encoding := wide_encoding(data[:4096]):
        raise DataError(f"{path}: {convert_wide(path, encoding)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = guess_encoding(data.splitlines())
        codec = guess.iconv if guess else _FALLBACK
        try:
            text = data.decode(codec, "replace")
        except LookupError:
            codec, text = _FALLBACK, data.decode(_FALLBACK, "replace")
        account.change(f"file that is not UTF-8, read as {codec}", str(path))
        return text


def read_lines(path: Path, account: Account) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1; they may end as on any system."""
    for number, line in enumerate(_LINE_END.split(read_text(path, account)), start=1):
        line = line.lstrip("\ufeff")
        if line.strip():
            yield number, line


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    return parse_json(read_bytes(path), path)


def parse_json(data: bytes | str, where: Path | str) -> Any:
    """The value of a JSON text; `where` is named in messages."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}:{error.lineno}:{error.colno}: is not JSON ({error.msg}); correct the file, or write it again"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start} is not UTF-8; convert the file to UTF-8") from None
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else "holds a number with thousands of digits"
        raise DataError(f"{where}: is {what}; is it an annotation file?") from None


@dataclass(slots=True)
class Element:
    """An element of XML: names without their namespace, all text directly in it, and the line where it begins."""

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """The children with one of these names."""
        return [child for child in self.children if child.tag in tags]

    def first(self, *path: str) -> Element | None:
        """The first child with the first name, of it the first child with the second name, and so on."""
        found: Element | None = self
        for tag in path:
            found = next((child for child in found.children if child.tag == tag), None) if found else None
        return found

    def value(self, *path: str) -> str:
        """The text of `first`, without spaces at its ends; "" if there is none."""
        found = self.first(*path)
        return found.text.strip() if found else ""

    def walk(self) -> Iterator[Element]:
        """This element and all within it, in their order."""
        stack = [self]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(reversed(element.children))


def read_xml(path: Path) -> Element:
    """The root element of an XML file. A document type and entities of its own are refused."""
    return parse_xml(read_bytes(path), path)


def parse_xml(data: bytes, where: Path | str) -> Element:
    """The root element of XML; `where` is named in messages."""
    begin = len(data) - len(data.lstrip(b"\r\n\t "))  # some programs write a line end before the declaration
    before = data[:begin].count(b"\n")
    parser = expat.ParserCreate()

    def line() -> int:
        return parser.CurrentLineNumber + before

    stack: list[Element] = [Element("", {}, 0)]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise DataError(f"{where}:{line()}: elements are nested too deeply; correct the file")
        plain = {name.rpartition(":")[2]: value for name, value in attributes.items()}
        element = Element(tag.rpartition(":")[2], plain, line())
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def characters(text: str) -> None:
        stack[-1].text += text

    def refuse(*_: Any) -> int:
        raise DataError(
            f"{where}:{line()}: has a document type (DOCTYPE), which could define entities, and is "
            "refused; remove that line"
        )

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data[begin:], True)
    except expat.ExpatError as error:
        raise DataError(
            f"{where}:{error.lineno + before}:{error.offset + 1}: is not XML ({expat.ErrorString(error.code)}); "
            "correct the file"
        ) from None
    except (ValueError, LookupError) as error:
        raise DataError(f"{where}: is not XML ({error}); correct the file") from None
    return stack[0].children[0]


def read_windows(path: Path, count: int, size: int) -> bytes:
    """Pieces of a file at equal distances, the last one at its end; b"" if it cannot be read or is not a file."""
    try:
        if not path.is_file():
            return b""
        length = path.stat().st_size
        with path.open("rb") as file:
            parts = []
            for i in range(count):
                file.seek(max(length - size, 0) * i // max(count - 1, 1))
                parts.append(file.read(size))
        return b"\n".join(parts)
    except OSError:
        return b""


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """The beginning of a file; b"" if it cannot be read or is not a file."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""
