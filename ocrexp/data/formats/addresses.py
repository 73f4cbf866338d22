"""The names that labels give to images: paths of any system, and addresses of a web server or a store."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, unquote_plus

from ocrexp.data.image_header import IMAGES

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*/+")  # a scheme has two letters or more, a drive has one
_ELSEWHERE = re.compile(r"[A-Za-z]:/|/")
_LOCAL = re.compile(r"[?&]d=([^&]*)")  # Label Studio's /data/local-files/?d=PATH


def names_in(address: str) -> list[str]:
    """The paths that an address may mean, with slashes, the most literal one first.

    `?d=PATH` is a path of its own; scheme and server, the query and the fragment are not part of one, and `%20` is a
    space, unless a file is really named so.
    """
    plain = address.replace("\\", "/").strip()
    found = [plain]
    inner = _SCHEME.sub("", plain, count=1)
    if local := _LOCAL.search(plain):
        found += [unquote(local[1]), unquote_plus(local[1])]
    elif inner != plain or "%" in plain or "?" in plain:
        short = re.sub(r"[?#].*", "", inner)
        found += [inner, unquote(inner), short, unquote(short)]
    names = (name.replace("\\", "/") for name in found)
    return list(dict.fromkeys(name for name in names if name and "\0" not in name))


def base_name(address: str) -> str:
    """The name of the file at an address, without folders."""
    names = [name.rpartition("/")[2] for name in names_in(address)[::-1]]
    return next((name for name in names if PurePosixPath(name).suffix.lower() in IMAGES), next(filter(None, names), ""))


def is_elsewhere(name: str) -> bool:
    """Whether a name is an address or an absolute path, and so does not state where an image is in a data set."""
    plain = name.replace("\\", "/")
    return bool(_SCHEME.match(plain) or _ELSEWHERE.match(plain))
