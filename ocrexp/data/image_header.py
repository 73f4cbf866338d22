"""Reads the first bytes of an image file: its format, size, depth, transparency. Nothing is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ocrexp.data.jpeg_header import Order, exif_orientation, read_jpeg_header

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2", ".avif")  # suffixes, in data sets
HEAD = 4096  # bytes that are enough to recognize a format
_SEARCHED = 1 << 16  # bytes in which the boxes of AVIF and JPEG 2000 are looked for
_PNG = b"\x89PNG\r\n\x1a\n"
_JP2 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_MOST_CHUNKS = 1_000_000  # of a PNG or WebP; an encoder makes one for each 8 kB
_MOST_PAGES = 100_000  # of a TIFF
_NUMBER = re.compile(rb"(?:\s|#[^\n]*\n)*(\d{1,10})")


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """A header's statements.

    Args:
        kind: `jpeg`, `png`, `tiff`, `webp`, `bmp`, `gif`, `avif`, `heic`, `jp2`, `pnm`, `pfm`, `ras`, `hdr`, `pdf`.
        height: in pixels as stored, before any turn; 0 if the header does not state it.
        width: as height.
        plain: 8 bits of gray or color without transparency: the usual decoder gives the pixels as they are.
        orientation: EXIF's 1 … 8 where OpenCV does not apply it to pixels with an alpha channel (PNG, WebP).
        largest: the value of white where it is below that of the container (12 bits in 16), None: not stated.
        clear: the gray value that is transparent, in the container's scale; the decoder does not apply it.
    """

    kind: str
    height: int = 0
    width: int = 0
    plain: bool = False
    orientation: int = 1
    largest: int | None = None
    clear: int | None = None

    @property
    def pixels(self) -> int:
        return self.height * self.width


def image_kind(head: bytes) -> str | None:
    """The format by the first bytes, None: not one of an image or a PDF."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(_PNG):
        return "png"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and len(head) > 26 and int.from_bytes(head[14:18], "little") in range(12, 200):
        return "bmp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), 256)
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
        if any(brand in (b"avif", b"avis") for brand in brands):
            return "avif"
        return "heic" if any(brand in _HEIF_BRANDS for brand in brands) else None
    if head.startswith(_JP2):
        return "jp2"
    if re.match(rb"P[1-7]\s", head):
        return "pnm"
    if re.match(rb"P[Ff]\s", head):
        return "pfm"
    if head.startswith(b"\x59\xa6\x6a\x95"):
        return "ras"
    if head.startswith((b"#?RADIANCE", b"#?RGBE")):
        return "hdr"
    return "pdf" if b"%PDF-" in head[:1024] else None


def read_header(data: bytes) -> ImageHeader | None:
    """The header of an image in memory; None if its format is not known. Damage gives a size of 0, no exception."""
    kind = image_kind(data[:HEAD])
    if kind is None:
        return None
    readers = {
        "jpeg": _jpeg,
        "png": _png,
        "tiff": lambda data: next(tiff_pages(data), ImageHeader("tiff")),
        "webp": _webp,
        "bmp": _bmp,
        "gif": _gif,
        "avif": _avif,
        "jp2": _jp2,
        "pnm": _pnm,
        "pfm": _pnm,
        "ras": lambda data: ImageHeader("ras", _big(data, 8), _big(data, 4), plain=True),
        "hdr": _hdr,
    }
    return replace(readers[kind](data), kind=kind) if kind in readers else ImageHeader(kind)


def _jpeg(data: bytes) -> ImageHeader:
    header = read_jpeg_header(data)
    return ImageHeader("jpeg", header.height if header else 0, header.width if header else 0, plain=True)


def _png(data: bytes) -> ImageHeader:
    clear = data[25:26] in (b"\x04", b"\x06")  # the color types with an alpha channel
    clear_gray, orientation, position = None, 1, 8
    for _ in range(_MOST_CHUNKS):
        name, length = data[position + 4 : position + 8], _big(data, position)
        if name in (b"IDAT", b"IEND", b""):
            break
        clear = clear or name == b"tRNS"
        if name == b"tRNS" and data[25:26] == b"\x00" and length == 2:
            depth = data[24]  # the decoder stretches 1, 2 and 4 bits to 8
            value = int.from_bytes(data[position + 8 : position + 10], "big")
            clear_gray = value * 255 // ((1 << depth) - 1) if depth in (1, 2, 4) else value
        if name == b"eXIf":
            orientation = exif_orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
    plain = not clear and data[24:25] != b"\x10"
    return ImageHeader("png", _big(data, 20), _big(data, 16), plain, orientation, clear=clear_gray)


def png_chunks_fit(data: bytes) -> bool:
    """Whether no chunk of a PNG states more bytes than the file has: a decoder makes room for them first."""
    position = 8
    for _ in range(_MOST_CHUNKS):
        if len(data) < position + 8 or data[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + _big(data, position)
        if position > len(data):
            return False
    return False


def _webp(data: bytes) -> ImageHeader:
    form = data[12:16]
    if form == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        flags = data[20] if len(data) > 20 else 0
        return ImageHeader("webp", height, width, not flags & 0x10, _webp_orientation(data) if flags & 0x08 else 1)
    if form == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return ImageHeader("webp", (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, plain=not bits >> 28 & 1)
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return ImageHeader("webp", height, width, plain=True)


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MOST_CHUNKS):
        name, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if not name:
            break
        if name == b"EXIF":
            return exif_orientation(data[position + 8 : position + 8 + length].removeprefix(b"Exif\x00\x00"))
        position += 8 + length + length % 2
    return 1


def _bmp(data: bytes) -> ImageHeader:
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (18, 20))
        return ImageHeader("bmp", height, width, plain=True)
    width, height = (abs(int.from_bytes(data[at : at + 4], "little", signed=True)) for at in (18, 22))
    return ImageHeader("bmp", height, width, plain=data[28:30] != b"\x20\x00")


def _gif(data: bytes) -> ImageHeader:
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    return ImageHeader("gif", height, width)


def _avif(data: bytes) -> ImageHeader:
    """The largest of its parts: besides the image an AVIF may hold its alpha channel, tiles and a preview."""
    sizes = [
        (_big(data, found.end() + 8), _big(data, found.end() + 4))
        for found in re.finditer(b"ispe", data[:_SEARCHED])
        if found.end() + 12 <= len(data)
    ]
    height, width = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return ImageHeader("avif", height, width)


def _jp2(data: bytes) -> ImageHeader:
    if data.startswith(_JP2[1]):
        width, height = _big(data, 8) - _big(data, 16), _big(data, 12) - _big(data, 20)
        return ImageHeader("jp2", max(height, 0), max(width, 0))
    at = data[:_SEARCHED].find(b"ihdr") + 4
    if at < 4 or at + 11 > len(data):
        return ImageHeader("jp2")
    bits = (data[at + 10] & 0x7F) + 1
    largest = (1 << bits) - 1 if 8 < bits < 16 else None
    return ImageHeader("jp2", _big(data, at), _big(data, at + 4), largest=largest)


def _pnm(data: bytes) -> ImageHeader:
    head = data[:HEAD]
    if head.startswith(b"P7"):
        found = {name: re.search(rb"\b%s\s+(\d{1,10})" % name, head) for name in (b"HEIGHT", b"WIDTH", b"MAXVAL")}
        height, width, top = (int(match[1]) if match else 0 for match in found.values())
    else:
        values, position = [], 2
        for _ in range(3):
            match = _NUMBER.match(head, position)
            values.append(int(match[1]) if match else 0)
            position = match.end() if match else len(head)
        width, height, top = values
    if head[1:2] in b"14Ff":  # bits, and floats: the third value is not the maximum
        return ImageHeader("pnm", height, width, plain=head[1:2] in b"14")
    stated = top if 0 < top < 0xFFFF and top != 0xFF else None
    return ImageHeader("pnm", height, width, plain=top == 0xFF and not head.startswith(b"P7"), largest=stated)


def _hdr(data: bytes) -> ImageHeader:
    found = re.search(rb"\n[-+]Y (\d{1,10}) [-+]X (\d{1,10})", data[:HEAD])
    return ImageHeader("hdr", int(found[1]) if found else 0, int(found[2]) if found else 0)


def tiff_pages(data: bytes) -> Iterator[ImageHeader]:
    """The headers of a TIFF's pages in order; ends at the first that is damaged."""
    order = _byte_order(data[:4])
    if order is None:
        return
    big = data[2 if order == "little" else 3] == 0x2B
    start = int.from_bytes(data[8:16] if big else data[4:8], order)
    seen: set[int] = set()
    while start and start < len(data) and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        entries = _tiff_entries(data, start, order, big)
        bits, samples = entries.get(258, 1), entries.get(277, 1)
        largest = entries.get(281) or ((1 << bits) - 1 if 8 < bits < 16 else None)
        yield ImageHeader(
            "tiff",
            entries.get(257, 0),
            entries.get(256, 0),
            plain=bits <= 8 and samples in (1, 3) and entries.get(339, 1) == 1,
            largest=largest if largest is None or (largest < 0xFFFF and largest != 0xFF) else None,
        )
        count = int.from_bytes(data[start : start + (8 if big else 2)], order)
        after = start + (8 + 20 * count if big else 2 + 12 * count)
        start = int.from_bytes(data[after : after + (8 if big else 4)], order)


def _tiff_entries(data: bytes, start: int, order: Order, big: bool) -> dict[int, int]:
    """Tag to (first) value of the whole-number entries of an image directory."""
    head, length, inline = (8, 20, 8) if big else (2, 12, 4)
    entries: dict[int, int] = {}
    count = int.from_bytes(data[start : start + head], order)
    for at in range(start + head, start + head + length * min(count, 1000), length):
        if at + length > len(data):
            break
        kind, number = (
            int.from_bytes(data[at + 2 : at + 4], order),
            int.from_bytes(data[at + 4 : at + 4 + inline], order),
        )
        size = {1: 1, 3: 2, 4: 4, 16: 8}.get(kind)
        if size is None:
            continue
        value = at + 4 + inline
        if size * number > inline:  # several values lie elsewhere
            value = int.from_bytes(data[value : value + inline], order)
        entries.setdefault(int.from_bytes(data[at : at + 2], order), int.from_bytes(data[value : value + size], order))
    return entries


def _byte_order(data: bytes) -> Order | None:
    orders: dict[bytes, Order] = {b"II": "little", b"MM": "big"}
    return orders.get(bytes(data[:2]))


def _big(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 4], "big")
