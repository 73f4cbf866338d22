"""What was read, as JSON: the own form of `/ocr`, and that of PaddleOCR's service (PaddleHub Serving)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from ocrexp.deploy.outputs import Reading, reading_fields
from ocrexp.errors import printable
from ocrexp.serve.jobs import Kind, PageResult
from ocrexp.serve.refusal import Refusal

HUB_PREFIX = "/predict/"

Results = Sequence[list[PageResult] | Refusal]


def own_form(names: Sequence[str], results: Results) -> dict[str, Any]:
    """{"results": [an object per page]}: the keys of predictions.jsonl, with `name` instead of `path`.

    A file that was not read has `error` and `code` instead of a reading.
    """
    rows: list[dict[str, Any]] = []
    for name, result in zip(names, results, strict=True):
        if isinstance(result, Refusal):
            rows.append({"name": name, "error": result.line, "code": result.code})
            continue
        for page in result:
            row: dict[str, Any] = {"name": name}
            if page.page is not None:
                row["page"] = page.page
            row |= {"size": list(page.size), **reading_fields(page.reading)}
            if page.reading.note:
                row["note"] = printable(page.reading.note)
            if page.picture is not None:
                row["picture"] = "data:image/jpeg;base64," + base64.b64encode(page.picture).decode("ascii")
            rows.append(row)
    return {"results": rows}


def hub_form(kind: Kind, results: Results) -> dict[str, Any]:
    """{"msg", "results", "status"} as PaddleOCR's modules `ocr_system`, `ocr_det`, `ocr_rec`, `ocr_cls` answer.

    With a detector, a list of regions per image (an empty one for an image that was not read); of lines, one list with
    an entry per image. `msg` is empty, or why some were not read.
    """
    problems = [result.line for result in results if isinstance(result, Refusal)]
    per_image = [
        [] if isinstance(result, Refusal) else [entry for page in result for entry in _entries(kind, page.reading)]
        for result in results
    ]
    if kind in ("rec", "cls"):
        empty = {"text": "", "confidence": 0.0} if kind == "rec" else {"angle": "", "confidence": 0.0}
        per_image = [[entry for entries in per_image for entry in entries or [empty]]]
    return {"msg": "; ".join(problems), "results": per_image, "status": "000"}


def error_form(path: str, refusal: Refusal) -> dict[str, Any]:
    """The answer to a request that is refused, in the form of its route: {"error", "code"}, or PaddleOCR's."""
    if path.startswith(HUB_PREFIX):
        return {"msg": refusal.line, "results": "", "status": "111" if refusal.status == 404 else "101"}
    return {"error": refusal.line, "code": refusal.code}


def one_page_each(results: Results) -> Results:
    """PaddleOCR's form has one entry for each image of a line, so a file with several pages would shift the others."""
    return [
        result
        if isinstance(result, Refusal) or len(result) == 1
        else Refusal(
            413, "too_many_pages", f"{len(result)} pages, and this form has one line per image; send it to /ocr"
        )
        for result in results
    ]


def _entries(kind: Kind, reading: Reading) -> list[dict[str, Any]]:
    if kind in ("rec", "cls"):
        name = "text" if kind == "rec" else "angle"
        return [
            {name: text, "confidence": score} for text, score in zip(reading.texts or [], reading.scores, strict=True)
        ]
    regions = [polygon.astype(int).tolist() for polygon in reading.polygons or []]
    if kind == "det":
        return [{"text_region": region} for region in regions]
    return [
        {"text": text, "confidence": score, "text_region": region}
        for text, score, region in zip(reading.texts or [], reading.scores, regions, strict=True)
    ]
