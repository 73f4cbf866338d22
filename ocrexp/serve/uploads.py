"""The images of a request: files of a form, the body itself, or base64 in JSON. Nothing is decoded here."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ocrexp.data.image_header import HEAD, image_kind, read_header, tiff_pages
from ocrexp.errors import printable
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.settings import ServeSettings

KINDS = ("jpeg", "png", "webp", "bmp", "gif", "tiff", "avif", "jp2", "pdf")  # decoders that strangers may reach
_READ = "send a JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF or JPEG 2000 image, or a PDF"
_OBJECT = 'send an object {"images": ["BASE64", …]}'
_LETTERS = str.maketrans("-_", "+/", " \t\r\n")  # of base64: both alphabets of RFC 4648, without white space
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)  # RFC 2397, parameters included
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of a request; `name` is for messages and answers only, it never becomes a path."""

    name: str
    data: bytes


class _InMemory(MultiPartParser):
    """A body is in memory already, within `max_request_mb`: its files need no place on a disk."""

    spool_max_size = 1 << 40


async def read_uploads(request: Request, settings: ServeSettings) -> list[ReceivedFile]:
    """The files of a request in the form of `/ocr`. Raises Refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        uploads = await _of_form(request, settings)
    elif kind == "application/json":
        uploads = _of_json(json_object(await request.body()), ("images", "image"), settings)
    elif kind.startswith("image/") or kind in ("application/pdf", "application/octet-stream"):
        body = await request.body()
        if not body:
            raise Refusal(400, "no_image", f"body: empty (0 bytes); {_READ}")
        uploads = [ReceivedFile("body", body)]
    else:
        raise Refusal(
            415,
            "unsupported_content_type",
            f"Content-Type: expected multipart/form-data, application/json, application/pdf, "
            f"application/octet-stream or image/…, got {kind[:100] or 'none'}",
        )
    return uploads


async def read_base64(request: Request, settings: ServeSettings) -> list[ReceivedFile]:
    """The files of a request in PaddleOCR's form, {"images": [base64, …]}. Raises Refusal."""
    return _of_json(json_object(await request.body()), ("images",), settings)


def json_object(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises Refusal, also for one that is nested too deeply to be read."""
    if not body:
        raise Refusal(400, "invalid_json", f"body: empty (0 bytes); {_OBJECT}")
    try:
        found = json.loads(body)
    except RecursionError:
        raise Refusal(400, "invalid_json", f"body: the JSON is nested too deeply; {_OBJECT}") from None
    except ValueError as error:  # also text that is not UTF-8, and numbers of thousands of digits
        reason = " ".join(str(error).split())[:100]
        raise Refusal(400, "invalid_json", f"body: is not JSON ({reason}); {_OBJECT}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "invalid_json", f"body: expected an object, got {type(found).__name__}; {_OBJECT}")
    return found


async def _of_form(request: Request, settings: ServeSettings) -> list[ReceivedFile]:
    async def body() -> AsyncGenerator[bytes, None]:
        yield await request.body()

    parser = _InMemory(request.headers, body(), max_files=settings.max_images, max_fields=0)
    try:
        form = await parser.parse()
    except (MultiPartException, HTTPException, ValueError, KeyError) as error:
        reason = getattr(error, "message", "") or str(error)
        if reason.startswith("Too many files"):
            raise _too_many(settings) from None
        raise Refusal(
            400, "invalid_form", f"form: cannot be read ({reason[:200]}); send one file per part, and no other fields"
        ) from None
    try:
        files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
        uploads = [ReceivedFile(_name(item.filename, number), await item.read()) for number, item in enumerate(files)]
    finally:
        await form.close()
    return _some(uploads, settings)


def _of_json(found: dict[str, Any], keys: tuple[str, ...], settings: ServeSettings) -> list[ReceivedFile]:
    unknown = [key for key in found if key not in keys]
    if unknown or len(found) != 1:
        got = ", ".join(printable(key)[:40] for key in list(found)[:5]) or "an empty object"
        raise Refusal(
            400, "invalid_json", f"body: expected one key, {' or '.join(keys)}, got {got}; URLs are not fetched"
        )
    value = found["image"] if "image" in found else found["images"]
    texts = [value] if "image" in found else value
    if not isinstance(texts, list):
        raise Refusal(400, "invalid_json", f"images: expected a list of base64 texts, got {type(texts).__name__}")
    if len(texts) > settings.max_images:
        raise _too_many(settings)
    return _some(
        [ReceivedFile(f"images[{number}]", _bytes(text, number)) for number, text in enumerate(texts)], settings
    )


def _bytes(text: Any, number: int) -> bytes:
    where = f"images[{number}]"
    if not isinstance(text, str):
        raise Refusal(400, "invalid_base64", f"{where}: expected a base64 text, got {type(text).__name__}")
    if match := _DATA_URL.match(text):
        text = text[match.end() :]
    text = text.translate(_LETTERS)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)  # the padding may be missing
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "invalid_base64", f"{where}: is not base64 ({error}); URLs are not fetched") from None


def _some(uploads: list[ReceivedFile], settings: ServeSettings) -> list[ReceivedFile]:
    if not uploads:
        raise Refusal(400, "no_image", f"images: none was sent; {_READ}")
    if len(uploads) > settings.max_images:
        raise _too_many(settings)
    return uploads


def _too_many(settings: ServeSettings) -> Refusal:
    return Refusal(413, "too_many_images", f"images: expected {settings.max_images} or fewer; send several requests")


def _name(filename: str | None, number: int) -> str:
    """The last part of a file name, for messages."""
    last = printable(re.split(r"[/\\]", filename or "")[-1])
    return last[:_LONGEST_NAME] or f"files[{number}]"


def check_upload(upload: ReceivedFile, settings: ServeSettings) -> Refusal | None:
    """Why a file is not read, by its first bytes: format, bytes, pixels, pages; None: it may be read."""
    data, name = upload.data, upload.name
    if not data:
        return Refusal(400, "empty", f"{name}: empty (0 bytes); {_READ}")
    if len(data) > settings.file_bytes:
        size = f"{len(data) / 1e6:.1f} MB, the limit is {settings.max_file_mb:g} MB"
        return Refusal(413, "file_too_large", f"{name}: {size}; send a smaller file")
    kind = image_kind(data[:HEAD])
    if kind == "heic":
        return Refusal(415, "unsupported_format", f"{name}: HEIC images are not supported; convert it to JPEG or PNG")
    if kind not in KINDS:
        return Refusal(415, "unsupported_format", f"{name}: is not an image that is read; {_READ}")
    if kind == "pdf":
        return None
    headers = tiff_pages(data) if kind == "tiff" else [read_header(data)]
    for page, header in enumerate(headers, start=1):
        if page > settings.max_pages:
            return too_many_pages(settings.max_pages).of(name)
        if header is not None and header.pixels > settings.max_pixels:
            size = f"{header.width}×{header.height} pixels, the limit is {settings.max_pixels / 1e6:g} million"
            return Refusal(413, "too_many_pixels", f"{name}: {size}; send a smaller image")
    return None


def too_many_pages(limit: int, pages: int | None = None) -> Refusal:
    """Of a file with more pages than the limit; `pages` is None where they were not all counted."""
    got = f"more than {limit} pages" if pages is None else f"{pages} pages, the limit is {limit}"
    return Refusal(413, "too_many_pages", f"{got}; send it in parts")
