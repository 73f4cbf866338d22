"""The description of requests and answers in /openapi.json; the routes read their bodies themselves."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_BASE64_LIST = {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_ERROR = {
    "description": "One line: what is wrong and what to do",
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"error": _TEXT, "code": _TEXT}}},
    },
}
_ERRORS = dict.fromkeys(("400", "408", "413", "415", "422", "503", "504"), _ERROR)
_PAGE = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _TEXT,
        "page": {"type": "integer", "description": "From 1, of a file with several pages"},
        "size": {"type": "array", "items": {"type": "integer"}, "description": "Width and height in pixels"},
        "boxes": {
            "type": "array",
            "description": "Regions in reading order, [[x, y], …] in pixels",
            "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        },
        "texts": {"type": "array", "items": _TEXT},
        "scores": {"type": "array", "items": {"type": "number"}},
        "seconds": {"type": "number"},
        "note": _TEXT,
        "picture": {"type": "string", "description": "JPEG as a data URL, with ?picture=true"},
        "error": {"type": "string", "description": "Why this file was not read; the others were"},
        "code": _TEXT,
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


OCR: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _object(images={"type": "array", "items": {"type": "string", "format": "binary"}})
            },
            "application/json": {"schema": _object(images=_BASE64_LIST)},
            "image/*": _FILE,
            "application/pdf": _FILE,
            "application/octet-stream": _FILE,
        },
    },
    "responses": {
        "200": {
            "description": "An object per page",
            "content": {"application/json": {"schema": _object(results={"type": "array", "items": _PAGE})}},
        },
        **_ERRORS,
    },
}
HUB: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {**_object(images=_BASE64_LIST), "required": ["images"]}}},
    },
    "responses": {
        "200": {
            "description": "Results as PaddleOCR's modules ocr_system, ocr_det, ocr_rec and ocr_cls give them",
            "content": {
                "application/json": {"schema": _object(msg=_TEXT, results={"type": "array"}, status=_TEXT)},
            },
        }
    },
}
