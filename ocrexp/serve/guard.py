"""Around every request: limits before its body is read, its line in the log, its count, headers of the answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocrexp.errors import printable
from ocrexp.serve.answers import error_form
from ocrexp.serve.metrics import Metrics
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.settings import ServeSettings

log = logging.getLogger("ocrexp.serve")

CLIENT_GONE = 499  # nginx's status for a client that did not wait for the answer
_DISCARD_SECONDS = 2.0  # how long the rest of a refused body is taken: many clients read no answer while they send
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # counted by name; a client may invent others
_QUIET = ("/healthz", "/readyz", "/metrics")  # asked every few seconds: only failures are logged
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"),
)


class ClientGone(Exception):
    """The client has closed the connection before the answer."""


@dataclass
class RequestNotes:
    """What is known about a request at its end, for its line in the log."""

    images: int = 0
    received: int = 0  # bytes
    problem: str = ""
    until: float = 0.0  # when its time is up, by `time.monotonic`


class Guard:
    """ASGI middleware. `scope["state"]["notes"]` is where the app notes what it knows."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._routes = routes
        self._open = 0  # requests with a body that are not answered yet
        metrics.gauges["ocrexp_requests_open"] = ("Uploads that are not answered yet.", lambda: self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        notes = RequestNotes(until=began + self._settings.timeout)
        scope.setdefault("state", {})["notes"] = notes
        status = CLIENT_GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        uploads = scope["method"] == "POST"
        self._open += uploads
        try:
            await self._limited(scope, receive, answer, notes)
        except ClientGone:
            notes.problem = "the client has closed the connection"
        except asyncio.CancelledError:  # the server ends without finishing what is open; nothing runs behind this line
            notes.problem = "the server was stopped"
            if status == CLIENT_GONE:
                await _refuse(scope, answer, Refusal(503, "stopped", "the server was stopped; send it again later"))
        except Exception:  # a fault of this program: its traceback is wanted, and the others are answered on
            log.error("%s %s: %s", scope["method"], _shown(scope["path"]), traceback.format_exc())
            if status == CLIENT_GONE:
                await _refuse(
                    scope, answer, Refusal(500, "internal", "unexpected error; the server's log has the details")
                )
        finally:
            self._open -= uploads
            self._end(scope, status, time.monotonic() - began, notes)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, notes: RequestNotes) -> None:
        limit = self._settings.request_bytes
        refusal = None
        headers = dict(scope["headers"])
        stated = headers.get(b"content-length", b"0")
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
        if scope["method"] == "POST":
            if self._open > self._settings.max_queue:
                most = self._settings.max_queue
                refusal = Refusal(503, "busy", f"{most} requests are open; try again later", 1)
            elif stated.isdigit() and int(stated) > limit:
                refusal = _too_large(self._settings)
            elif encoding not in ("", "identity"):
                what = f"Content-Encoding: expected none, got {encoding[:100]}; send the body as it is"
                refusal = Refusal(415, "unsupported_content_encoding", what)
        if refusal is not None:
            notes.problem = refusal.line
            await _discard(receive)
            await _refuse(scope, send, refusal)
            return

        async def counted() -> Message:
            message = await receive()
            notes.received += len(message.get("body", b""))
            if notes.received > limit:
                await _discard(receive)
                raise _too_large(self._settings)
            return message

        if scope["method"] == "HEAD":  # as GET; the server sends the headers only
            scope = {**scope, "method": "GET"}
        await self._app(scope, counted, send)

    def _end(self, scope: Scope, status: int, seconds: float, notes: RequestNotes) -> None:
        path = scope["path"]
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.request(method, path if path in self._routes else "other", status, seconds)
        if status < 400 and (not self._settings.access_log or path in _QUIET):
            return
        client = (scope.get("client") or ("-", 0))[0]
        line = f"{client} {_shown(scope['method'])} {_shown(path)} {status} {seconds:.3f}s"
        line += f" {notes.images} images {notes.received} bytes" if scope["method"] == "POST" else ""
        log.log(logging.INFO, "%s", f"{line}: {notes.problem}" if notes.problem else line)


def retry_header(refusal: Refusal) -> dict[str, str]:
    return {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    body = json.dumps(error_form(scope["path"], refusal), ensure_ascii=False, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(key.lower().encode(), value.encode()) for key, value in retry_header(refusal).items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _discard(receive: Receive) -> None:
    async def rest() -> None:
        message: Message = {"type": "http.request", "more_body": True}
        while message["type"] == "http.request" and message.get("more_body"):
            message = await receive()

    try:
        await asyncio.wait_for(rest(), _DISCARD_SECONDS)
    except (TimeoutError, asyncio.TimeoutError):
        return


def _too_large(settings: ServeSettings) -> Refusal:
    limit = f"{settings.max_request_mb:g} MB"
    return Refusal(413, "request_too_large", f"body: larger than the limit of {limit}; send fewer or smaller files")


def _shown(text: str) -> str:
    return printable(text[:200])
