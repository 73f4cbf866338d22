"""A server for the browser of this machine: it answers on 127.0.0.1 alone, and only under an address with a secret."""

from __future__ import annotations

import errno
import hmac
import json
import re
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ocrexp.browse.session import Session
from ocrexp.errors import ConfigError
from ocrexp.types import UnusableSample

HOST = "127.0.0.1"
_HOSTS = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d{1,5})?", re.IGNORECASE)
_ROUTE = re.compile(
    r"/(?P<what>api/sample|api/variant|thumb|image)/(?P<split>train|val)/(?P<index>\d{1,12})(?:/(?P<epoch>\d{1,9}))?"
)
_IDLE_SECONDS = 60
_MOST_FIELDS = 40
Page = Callable[[str], str]


class BrowseServer(ThreadingHTTPServer):
    """Serves a session.

    Args:
        session: what is shown.
        page: makes the page, with a nonce for its scripts.
        port: 0: any that is free.

    Raises ConfigError if the port is taken or not allowed.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, session: Session, page: Page, port: int = 0) -> None:
        self.session = session
        self.page = page
        self.token = secrets.token_urlsafe(18)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ConfigError(f"port={port}: {what}; set another one, or port=0 for any that is free") from None

    @property
    def address(self) -> str:
        """The address of the page, with its secret."""
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has closed its connection is not worth a line; other errors are shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: BrowseServer
    server_version = "ocrexp"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer a request; what is not known is not found."""
        # Another site whose name leads here (DNS rebinding) sends its own name.
        if not _HOSTS.fullmatch(self.headers.get("Host") or ""):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "expected 127.0.0.1 or localhost as the host")
            return
        if self.path == "/favicon.ico":  # browsers ask for it
            self._send("image/x-icon", b"", cache="private, max-age=86400")
            return
        try:
            address = urlsplit(self.path)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the address cannot be read")
            return
        token, _, rest = address.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "not found; open the address that ocrexp browse has printed")
            return
        try:
            self._answer("/" + rest, address.query)
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (IndexError, UnusableSample) as reason:
            what = str(reason) if isinstance(reason, UnusableSample) else "there is no such sample"
            self._refuse(HTTPStatus.NOT_FOUND, what)

    do_HEAD = do_GET

    def _answer(self, path: str, query: str) -> None:
        session = self.server.session
        if path == "/":
            nonce = secrets.token_urlsafe(16)
            self._send("text/html; charset=utf-8", self.server.page(nonce).encode("utf-8", "replace"), nonce=nonce)
        elif path == "/api/state":
            self._json(session.state())
        elif path == "/api/samples":
            self._json(session.samples(dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS))))
        elif (found := _ROUTE.fullmatch(path)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, "not found")
        elif found["what"] in ("thumb", "image"):
            kind, data = session.picture(found["split"], int(found["index"]), found["what"] == "thumb")
            self._send(kind, data, cache="private, max-age=3600")
        elif found["what"] == "api/sample":
            self._json(session.sample(found["split"], int(found["index"])))
        else:
            self._json(session.variant(found["split"], int(found["index"]), int(found["epoch"] or 0)))

    def _json(self, value: Any) -> None:
        data = json.dumps(value, ensure_ascii=True, allow_nan=False).encode("ascii")
        self._send("application/json", data)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._send("text/plain; charset=utf-8", reason.encode("utf-8", "replace"), status)

    def _send(
        self, kind: str, data: bytes, status: HTTPStatus = HTTPStatus.OK, cache: str = "no-store", nonce: str = ""
    ) -> None:
        scripts = f"script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; " if nonce else ""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", cache)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header(
            "Content-Security-Policy",
            f"default-src 'none'; {scripts}img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are no news."""
