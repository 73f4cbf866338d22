"""Whether this user composed the text of a configuration: by a signature in the run folder, or by the parent process.

The key of the signatures is a secret in the user's cache. A text with a valid signature is the user's own, even if the
folder is moved.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
from pathlib import Path

from ocrexp import files
from ocrexp.folders import cache_folder

log = logging.getLogger(__name__)

SIGNATURES = Path(".hydra") / "signatures.json"
COMPOSED = "OCREXP_COMPOSED"  # digest of the resolved text that the parent process has composed
_KEY = "trust.key"
_KEPT_SIGNATURES = 16


def sign(run_dir: Path, *texts: str) -> dict[str, str]:
    """Record that this user composed the texts, before they are written into the folder.

    Returns the environment in which a process takes the last text as its own; this process gets it too. Without a
    writable cache the run still works; `resume` then asks for the trusted packages.
    """
    composed = {COMPOSED: _digest(texts[-1])}
    os.environ.update(composed)  # for ranks and sweep jobs, which need no cache
    try:
        key = _key(create=True)
        if key is None:
            return composed
        known = [*_signatures(run_dir), *(_signature(key, text) for text in texts)]
        files.write_json(run_dir / SIGNATURES, list(dict.fromkeys(known))[-_KEPT_SIGNATURES:])
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        log.debug("the run is not signed: %s", error)
    return composed


def is_own(run_dir: Path, text: str) -> bool:
    """Whether this user composed the text, in this process or in its parent."""
    if os.environ.get(COMPOSED) == _digest(text):
        return True
    try:
        key = _key(create=False)
    except (OSError, RuntimeError):
        key = None
    if key is None:
        return False
    expected = _signature(key, text)
    return any(hmac.compare_digest(expected, found) for found in _signatures(run_dir))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, b"ocrexp run configuration\n" + text.encode(), hashlib.sha256).hexdigest()


def _signatures(run_dir: Path) -> list[str]:
    try:
        found = json.loads(files.read_file(run_dir / SIGNATURES, 100_000))
    except (OSError, ValueError, RecursionError):
        return []
    return [item for item in found if isinstance(item, str) and item.isascii()] if isinstance(found, list) else []


def _key(create: bool) -> bytes | None:
    """This user's secret; None if it does not exist, or if others can read or write it."""
    path = cache_folder() / _KEY
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = files.temporary_name(path)
        temporary.unlink(missing_ok=True)  # from a killed process that had the same id
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another run has created the key first: use that one
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    if not path.is_file():
        return None
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        return None
    key = path.read_bytes()
    return key if len(key) == 32 else None
