"""HTML pages that are one file: style, pictures and scripts are inside, nothing is fetched."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrexp.drawing import Picture, shrink_to_fit
from ocrexp.errors import printable
from ocrexp.files import write_text

_FOLDER = Path(__file__).with_name("pages")


def render(template: str, **values: Any) -> str:
    """A page from a template in `pages/`; texts are escaped. Raises ImportError without jinja2."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["printable"] = lambda value: printable(str(value))
    environment.filters["lines"] = lambda value: "\n".join(map(printable, str(value).split("\n")))
    return environment.get_template(template).render(**values)


def write_page(path: Path, html: str) -> None:
    """Replace the file atomically; characters that have no UTF-8 become `?`. Raises OSError."""
    write_text(path, html.encode("utf-8", "replace").decode("utf-8"))


def as_script(value: Any) -> str:
    """JSON that may be written into a script element: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def embedded(picture: Picture, longest: int | None = None, quality: int = 80) -> str:
    """A picture, RGB uint8, as the address of an <img>; shrunk to `longest` pixels a side."""
    if longest is not None:
        picture, _ = shrink_to_fit(picture, longest)
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of {picture.shape[1]}×{picture.shape[0]} pixels cannot be encoded")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def embedded_file(path: Path, longest: int, quality: int = 80) -> str | None:
    """A picture file as the address of an <img>; None where it cannot be read."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else embedded(np.ascontiguousarray(image[..., ::-1]), longest, quality)
