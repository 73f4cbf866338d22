"""`ocrexp serve det=DIR rec=DIR`: exported models behind HTTP."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence

from ocrexp.config.compose import compose
from ocrexp.deploy.settings import RuntimeSettings, refuse_paddleocr_names, settings_from
from ocrexp.errors import nothing_done
from ocrexp.logs import show_notices
from ocrexp.serve.settings import ServeSettings

SUMMARY = "Serve exported models by HTTP: JSON, PaddleOCR's form, an upload page"
USAGE = """
Usage
  python -m ocrexp serve det=DIR rec=DIR [cls=DIR] [port=8866] [workers=2] [key=value ...]
  curl -F images=@receipt.jpg http://127.0.0.1:8866/ocr

Loads exported models in worker processes and reads the images that clients send: POST /ocr takes files, a raw image or
base64 in JSON, POST /predict/ocr_system PaddleOCR's form; / is a page to upload to. Images that arrive together are
read in one batch. Listens on this machine only, without passwords: read docs/serving.md before you change host. SIGTERM
and Ctrl-C finish the open requests. Needs the extra serve."""


def run(arguments: Sequence[str]) -> int:
    """Serve until a signal; returns 0, 1 if open requests were given up, 2 if the server cannot start."""
    show_notices()
    refuse_paddleocr_names(arguments)
    with nothing_done():
        config = compose("serve", arguments)
        settings = settings_from(config, ServeSettings).checked()
        models = settings_from(config, RuntimeSettings).checked()
        for package in ("fastapi", "uvicorn", "python_multipart"):
            importlib.import_module(package)  # a missing one is one line
        from ocrexp.serve.server import listen, serve

        bound = listen(settings.host, settings.port)
        return asyncio.run(serve(settings, models, bound, _show))


def _show(address: str) -> None:
    print(f"serving: {address}", flush=True)
