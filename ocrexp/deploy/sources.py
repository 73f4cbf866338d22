"""Sources of images: files, folders, patterns, PDF and TIFF pages, paths on standard input."""

from __future__ import annotations

import glob
import math
import mmap
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from ocrexp.data.image_header import HEAD, image_kind, tiff_pages
from ocrexp.data.images import check_file, check_header, pixel_limit, read_bytes, read_image
from ocrexp.data.pixels import to_bgr8
from ocrexp.errors import DataError
from ocrexp.quiet import quiet
from ocrexp.types import Image, UnusableSample

if TYPE_CHECKING:
    import pypdfium2

SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".avif", ".jp2"),
        *(".j2k", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pxm", ".pfm", ".ras", ".sr", ".hdr", ".pic", ".pdf"),
    )
)
HEIC = frozenset((".heic", ".heif", ".hif"))
_POINTS_PER_INCH = 72  # unit of a PDF's page
_LARGEST_PAGE = 20_000  # maximum of a rendered page's longer side in pixels
_MAGIC = re.compile(r"[*?\[]")

# pdfium has global state: only one thread may use it at a time.
_pdf_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Source:
    """An image to read: a file, or a page (from 1) of a file with several pages.

    `problem` is the reason why a file could not be opened to count its pages.
    """

    path: Path
    page: int | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The path as the user gave it, and the page: `scan.pdf#2`."""
        return str(self.path) if self.page is None else f"{self.path}#{self.page}"


class Skipped:
    """The files of folders that are not read as images, counted by suffix."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.folders: dict[Path, None] = {}

    def add(self, folder: Path, path: Path) -> None:
        self.folders[folder] = None
        if path.is_file():
            self.counts[path.suffix.lower() or "without suffix"] += 1
        else:
            self.counts["broken link" if path.is_symlink() else "pipe or device"] += 1

    def describe(self) -> str:
        """One line, or "" if no file was skipped."""
        if not self.counts:
            return ""
        total = self.counts.total()
        more = f" and {len(self.folders) - 1} more" if len(self.folders) > 1 else ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common(10))
        kinds += f", {len(self.counts) - 10} other kinds" if len(self.counts) > 10 else ""
        files = "files of it were" if total > 1 else "file of it was"
        heic = any(suffix in self.counts for suffix in HEIC)
        return f"{next(iter(self.folders))}{more}: {total} {files} skipped ({kinds})" + (
            "; convert HEIC images to JPEG or PNG, for example: heif-convert PHOTO.HEIC PHOTO.jpg" if heic else ""
        )


def find_sources(
    images: str | Sequence[str],
    recursive: bool = False,
    stdin: Iterable[str] | None = None,
    skipped: Skipped | None = None,
) -> list[Source]:
    """The images that `images` names, each once, in the order given; within a folder or a pattern in natural order.

    Args:
        images: files, folders, patterns (`scans/*.jpg`, `**` for any depth), PDFs, or "-": the files and folders
            in `stdin`, one per line. A named file is read whatever its suffix; in a folder, images and PDFs are
            recognized by their suffix, or without a suffix by their first bytes.
        recursive: whether subfolders are searched too.
        stdin: lines for "-".
        skipped: counts the other files of folders.

    Raises DataError if a path (except one of stdin) does not exist, a pattern matches nothing, a folder contains no
    image, or pypdfium2 is missing for a PDF.
    """
    found: dict[Path, Path] = {}
    for given in [images] if isinstance(images, str) else images:
        for path in _paths(str(given), recursive, stdin, skipped or Skipped()):
            found.setdefault(path.absolute(), path)
    return [source for path in found.values() for source in _pages(path)]


def read_source(source: Source, dpi: int = 200) -> Image:
    """Decode to uint8 (height, width, 3) BGR; a PDF's page is drawn at `dpi`. Raises UnusableSample with the reason."""
    if source.problem:
        raise UnusableSample(source.problem)
    if source.page is None:
        return read_image(source.path)
    if _is_pdf(source.path):
        return _draw_page(source.path, source.page, dpi)
    return _tiff_page(source.path, source.page)


def _paths(given: str, recursive: bool, stdin: Iterable[str] | None, skipped: Skipped) -> list[Path]:
    if given == "-":
        lines = [line.rstrip("\r\n") for line in stdin or ()]
        named = [path for line in lines if line.strip() for path in _listed(line, recursive, skipped)]
        if not named:
            raise DataError("images=-: standard input contains no path; write one path per line")
        return named
    path = Path(given).expanduser()
    try:
        if path.is_dir():
            return _in_folder(path, recursive, skipped)
        if path.exists():
            return [path]
    except (OSError, ValueError) as error:  # a name that is too long, a NUL byte
        raise DataError(f"images={given}: cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if _MAGIC.search(given):
        # glob, not Path.glob: the pattern may be absolute, and "**" must not enter hidden folders.
        matches = sorted(glob.glob(str(path), recursive=True), key=_natural)  # noqa: PTH207
        named = [Path(match) for match in matches if Path(match).is_file()]
        if not named:
            raise DataError(f"images={given}: no file matches this pattern; correct it")
        return named
    raise DataError(f"images={given}: file or folder not found; correct the path")


def _listed(line: str, recursive: bool, skipped: Skipped) -> list[Path]:
    """The images that a line of standard input names. A list may be outdated: a missing file is one broken image."""
    path = Path(line).expanduser()
    try:
        return _in_folder(path, recursive, skipped) if path.is_dir() else [path]
    except (OSError, ValueError):  # not a valid file name: reading the image reports it
        return [path]


def _in_folder(folder: Path, recursive: bool, skipped: Skipped) -> list[Path]:
    wanted = []
    for path in folder.rglob("*") if recursive else folder.iterdir():
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if _is_image(path):
            wanted.append(path)
        else:
            skipped.add(folder, path)
    if not wanted:
        deeper = not recursive and any(path.is_dir() for path in folder.iterdir())
        advice = "; add recursive=true to search its subfolders" if deeper else ""
        others = f" ({skipped.describe()})" if skipped.counts else ""
        raise DataError(f"images={folder}: this folder contains no image or PDF{others}{advice}")
    return sorted(wanted, key=lambda path: _natural(str(path)))


def _is_image(path: Path) -> bool:
    """Whether a file of a folder is an image or a PDF: by its suffix, or without a suffix by its first bytes."""
    if not path.is_file():
        return False
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    return _kind(path) not in (None, "heic")


def _kind(path: Path) -> str | None:
    """The format by the first bytes; None if it is unknown or the file cannot be read."""
    try:
        check_file(path)
        with path.open("rb") as file:
            return image_kind(file.read(HEAD))
    except (OSError, UnusableSample):
        return None


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts page2 before page10."""
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def _pages(path: Path) -> list[Source]:
    """The file itself, or its pages."""
    kind = _kind(path)
    count: Callable[[Path], int]
    if _is_pdf(path):
        count = _pdf_pages
    elif kind == "tiff":
        count = _tiff_pages
    else:
        return [Source(path)]
    try:
        pages = count(path)
    except UnusableSample as error:
        return [Source(path, problem=str(error))]
    if pages == 1 and kind == "tiff":
        return [Source(path)]
    return [Source(path, number) for number in range(1, pages + 1)]


def _is_pdf(path: Path) -> bool:
    return path.suffix.lower() == ".pdf" or (not path.suffix and _kind(path) == "pdf")


def _tiff_pages(path: Path) -> int:
    read_bytes(path)  # reports what is wrong with the file; OpenCV would only count 0 pages
    with quiet():
        return max(1, cv2.imcount(str(path)))


def _tiff_page(path: Path, page: int) -> Image:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = next(islice(tiff_pages(cast(bytes, data)), page - 1, None), None)
    except (OSError, ValueError):
        raise UnusableSample("page cannot be read") from None
    check_header(header)
    plain = header is None or header.plain
    try:
        with quiet():
            read, pages = cv2.imreadmulti(
                str(path), start=page - 1, count=1, flags=cv2.IMREAD_COLOR if plain else cv2.IMREAD_UNCHANGED
            )
    except cv2.error as error:
        raise UnusableSample(f"page cannot be decoded ({' '.join(error.err.split())})") from None
    if not read or not pages:
        raise UnusableSample("page cannot be decoded")
    return to_bgr8(np.asarray(pages[0]), None if header is None else header.largest)


def _pdfium() -> Any:
    try:
        import pypdfium2
    except ImportError:
        raise DataError("PDFs need pypdfium2, which is not installed; run: pip install 'ocrexp[pdf]'") from None
    return pypdfium2


def _open_pdf(path: Path) -> pypdfium2.PdfDocument:
    """Open a document; the caller must hold the lock."""
    pdfium = _pdfium()
    if not path.is_file() or path.stat().st_size == 0:
        read_bytes(path)  # reports the reason
    try:
        return pdfium.PdfDocument(path)  # not its bytes: the document is opened again for each page
    except pdfium.PdfiumError as error:
        reason = "it needs a password" if "assword" in str(error) else "damaged, or not a PDF"
        raise UnusableSample(f"PDF cannot be opened ({reason})") from None


def _pdf_pages(path: Path) -> int:
    with _pdf_lock:
        document = _open_pdf(path)
        try:
            pages = len(document)
        finally:
            document.close()
    if pages == 0:
        raise UnusableSample("the PDF has no pages")
    return pages


def _draw_page(path: Path, number: int, dpi: int) -> Image:
    pdfium = _pdfium()
    with _pdf_lock:
        document = _open_pdf(path)
        try:
            page = document[number - 1]
            width, height = page.get_size()
            most = math.sqrt(pixel_limit() / max(width * height, 1))
            scale = min(dpi / _POINTS_PER_INCH, _LARGEST_PAGE / max(width, height), most)
            pixels = page.render(scale=scale, rev_byteorder=False).to_numpy()
        except pdfium.PdfiumError:
            raise UnusableSample("page of the PDF cannot be rendered") from None
        finally:
            document.close()
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    return np.array(pixels[..., :3], dtype=np.uint8)  # a copy: pdfium owns the buffer
