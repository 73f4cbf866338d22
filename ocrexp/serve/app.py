"""The routes of the server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ocrexp import __version__
from ocrexp.serve.answers import HUB_PREFIX, Results, error_form, hub_form, one_page_each, own_form
from ocrexp.serve.guard import ClientGone, Guard, RequestNotes, retry_header
from ocrexp.serve.jobs import Kind
from ocrexp.serve.metrics import Metrics
from ocrexp.serve.openapi import HUB, OCR
from ocrexp.serve.pool import WorkerPool
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.settings import ServeSettings
from ocrexp.serve.uploads import ReceivedFile, check_upload, read_base64, read_uploads

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
MODULES: dict[str, Kind] = {"ocr_system": "ocr", "ocr_det": "det", "ocr_rec": "rec", "ocr_cls": "cls"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class State:
    """Whether the server takes requests."""

    stopping = False


def create_app(settings: ServeSettings, pool: WorkerPool, metrics: Metrics, state: State) -> FastAPI:
    """The app; `pool` is started and closed by the caller."""
    app = FastAPI(
        title="ocrexp", version=__version__, docs_url=None, redoc_url=None
    )  # these load scripts from elsewhere
    models = pool.models
    there: dict[Kind, bool] = {
        "ocr": models.det is not None and models.rec is not None,
        "det": models.det is not None,
        "rec": models.rec is not None,
        "cls": models.cls is not None,
    }

    @app.post("/ocr", openapi_extra=OCR, summary="Read images")
    async def ocr(request: Request, picture: bool = False) -> JSONResponse:
        uploads = await _body(request, read_uploads(request, settings))
        results = await _read(request, uploads, "ocr", picture)
        return JSONResponse(own_form([upload.name for upload in uploads], results))

    @app.post(HUB_PREFIX + "{module}", openapi_extra=HUB, summary="Read images, in the form of PaddleOCR's service")
    async def hub(request: Request, module: str) -> JSONResponse:
        kind = MODULES.get(module)
        if kind is None or not there[kind]:
            given = [name for name, each in MODULES.items() if there[each]]
            raise Refusal(404, "unknown_module", f"module: expected one of {', '.join(given)}, got {module[:100]}")
        uploads = await _body(request, read_base64(request, settings))
        return JSONResponse(hub_form(kind, await _read(request, uploads, kind, False)))

    @app.get("/healthz", summary="Whether the process answers")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", summary="Whether images are read")
    async def readyz() -> JSONResponse:
        ready = pool.ready > 0 and not state.stopping
        return JSONResponse({"status": "ready" if ready else "not ready", "workers": pool.ready}, 200 if ready else 503)

    @app.get("/metrics", summary="Figures for Prometheus")
    async def figures() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(), media_type=METRICS_TYPE)

    if settings.page:
        for path, file in PAGE_FILES.items():
            app.add_api_route(path, _file(PAGE / file), include_in_schema=False)

    async def _read(request: Request, uploads: list[ReceivedFile], kind: Kind, picture: bool) -> Results:
        notes = _notes(request)
        notes.images = len(uploads)
        results: list[Any] = [check_upload(upload, settings) for upload in uploads]
        good = [number for number, refusal in enumerate(results) if refusal is None]
        if good:
            reading = pool.read([uploads[number] for number in good], kind, picture, notes.until)
            found = await _unless_gone(request, reading)
            for number, result in zip(good, found if kind in ("ocr", "det") else one_page_each(found), strict=True):
                results[number] = result.of(uploads[number].name) if isinstance(result, Refusal) else result
        refused = [result for result in results if isinstance(result, Refusal)]
        metrics.images["read"] += len(results) - len(refused)
        for refusal in refused:
            metrics.images[refusal.code] += 1
        if len(refused) == len(results):
            raise refused[0]
        if refused:
            notes.problem = f"{len(refused)} of {len(results)} images were not read, the first: {refused[0].line}"
        return cast("Results", results)

    async def refused(request: Request, error: Exception) -> Response:
        refusal = _as_refusal(error)
        _notes(request).problem = refusal.line
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}  # Allow, of a 405
        return JSONResponse(
            error_form(request.url.path, refusal), refusal.status, headers={**headers, **retry_header(refusal)}
        )

    for kind_of_error in (Refusal, HTTPException, RequestValidationError):
        app.add_exception_handler(kind_of_error, refused)
    routes = frozenset(
        ["/ocr", *(HUB_PREFIX + name for name in MODULES), "/healthz", "/readyz", "/metrics", *PAGE_FILES]
    )
    app.add_middleware(Guard, settings=settings, metrics=metrics, routes=routes)
    return app


def _file(path: Path) -> Any:
    async def send() -> FileResponse:
        return FileResponse(path)

    return send


def _notes(request: Request) -> RequestNotes:
    notes = request.scope["state"]["notes"]
    assert isinstance(notes, RequestNotes)
    return notes


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError):  # `picture` is the only value that an address has
        return Refusal(400, "invalid_query", "picture: expected true or false; correct the address")
    assert isinstance(error, HTTPException)
    what = {404: "path: not found; see /openapi.json", 405: "method: not allowed here; see /openapi.json"}
    return Refusal(error.status_code, "http", what.get(error.status_code, str(error.detail)))


async def _body(request: Request, reading: Any) -> list[ReceivedFile]:
    """The uploads of a request, within its time."""
    try:
        uploads: list[ReceivedFile] = await asyncio.wait_for(reading, max(_notes(request).until - time.monotonic(), 0))
    except (TimeoutError, asyncio.TimeoutError):
        raise Refusal(408, "slow_upload", "body: was not received within the time limit; send smaller files") from None
    except ClientDisconnect:
        raise ClientGone from None
    return uploads


async def _unless_gone(request: Request, reading: Any) -> Any:
    """The result of a coroutine; it is canceled if the client closes the connection. Raises ClientGone then."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, watch = asyncio.ensure_future(reading), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return await work
    finally:
        for task in (work, watch):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Refusal):
            await work
