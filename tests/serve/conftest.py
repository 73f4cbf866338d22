"""One server with tiny models for all tests that need a real one."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_models import write_cls, write_det, write_rec

LIMITS = {
    "batch_wait_ms": "200", "max_file_mb": "0.4", "max_request_mb": "1", "max_pixels": "1000000", "max_pages": "3",
    "max_images": "4", "max_queue": "8", "timeout": "60", "workers": "1",
}  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """A running `ocrexp serve`; `log` is the file of its error stream."""

    def __init__(self, folder: Path) -> None:
        models = [f"{name}={write(folder / name)}" for name, write in _MODELS.items()]
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ocrexp", "serve", *models, "port=0", *(f"{k}={v}" for k, v in LIMITS.items())],
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            text=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        line = self.process.stdout.readline()
        assert line.startswith("serving: http://127.0.0.1:"), self.log.read_text()
        self.address = line.split()[1]
        self.port = int(self.address.rsplit(":", 1)[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: bytes | dict, kind: str = "application/json") -> Answer:
        return self.ask("POST", path, json.dumps(body).encode() if isinstance(body, dict) else body, kind)

    def send_files(self, files: dict[str, bytes], path: str = "/ocr", field: str = "images") -> Answer:
        body, kind = form(files, field)
        return self.post(path, body, kind)

    def figures(self) -> dict[str, float]:
        rows = self.ask("GET", "/metrics").body.decode().splitlines()
        return {key: float(value) for key, _, value in (row.rpartition(" ") for row in rows if row[0] != "#")}

    def lines(self, since: int = 0) -> list[str]:
        """Lines of the log behind the first `since`; waits until there is one."""
        for _ in range(1000):
            if len(found := self.log.read_text("utf-8").splitlines()) > since:
                return found[since:]
            time.sleep(0.02)
        return []


_MODELS = {"det": write_det, "rec": write_rec, "cls": write_cls}


def form(files: dict[str, bytes], field: str = "images") -> tuple[bytes, str]:
    """The body of a form with files, and its type."""
    parts = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files.items()
    )
    return parts + b"--x--\r\n", "multipart/form-data; boundary=x"


def page(*rows: int) -> np.ndarray:
    """A white page with a black bar at each of these rows."""
    image = np.full((160, 320, 3), 255, np.uint8)
    for row in rows:
        image[row : row + 20, 30:150] = 0
    return image


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def pdf(*images: np.ndarray) -> bytes:
    """A PDF with a page for each image."""
    pillow = pytest.importorskip("PIL.Image")
    pages = [pillow.fromarray(image) for image in images]
    file = io.BytesIO()
    pages[0].save(file, "PDF", save_all=True, append_images=pages[1:], resolution=200)
    return file.getvalue()


def coded(*files):
    return {"images": [base64.b64encode(data).decode() for data in files]}


def begun(server, length=1000):
    """A connection whose request has begun and waits for its body."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /ocr HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def wait_for(true):
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def _running(folder: Path):
    for package in ("fastapi", "uvicorn", "python_multipart", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'ocrexp[serve]'")
    running = Server(folder)
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    running.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server of all tests that leave it running."""
    yield from _running(tmp_path_factory.mktemp("serve"))


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may end: the tests behind it, in whatever order, have the other one."""
    yield from _running(tmp_path)
