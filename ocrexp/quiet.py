"""Keeps what the decoders inside OpenCV print about damaged files off the screen.

libpng, libjpeg and libtiff write to the process's error stream themselves ("Corrupt JPEG data: …"), past Python, and
do not name the file. What cannot be decoded is reported by its name, and the others are read.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

import cv2

_NOISE = re.compile(
    rb"^(?:libpng (?:warning|error)|Corrupt JPEG data|Premature end of JPEG|Invalid JPEG file structure"
    rb"|JPEG datastream contains|Invalid SOS parameters|Unsupported marker type|Warning: unknown JFIF|Inconsistent "
    rb"progression|Unknown Adobe color transform|Application transferred too|Invalid component ID|TIFF[A-Za-z0-9]*:"
    rb"|\[ ?(?:WARN|ERROR|INFO)[:@][^\n]*(?:grfmt|loadsave|imgcodecs|bitstrm)|OpenCV TIFF|AVIF|\[(?:WARNING|ERROR)\])"
    rb"[^\n]*\n?",
    re.MULTILINE,
)
_lock = threading.Lock()
_enabled = False
_users = 0
_screen: int | None = None  # a copy of the real error stream while it is redirected
_caught: IO[bytes] | None = None
_read = 0
_dropped: list[str] = []  # the latest of the decoders' lines
_MOST_DROPPED = 100


def dropped_lines() -> list[str]:
    """The decoders' lines that were kept off the screen since the last call, the first hundred."""
    lines = list(_dropped)
    _dropped.clear()
    return lines


def silence_decoders() -> None:
    """Let `quiet` act in this process and those that it forks; a library that embeds ocrexp does not call this."""
    global _enabled
    _enabled = True
    # An older or a minimal OpenCV has no logging to set.
    with contextlib.suppress(AttributeError):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Catch what is written to file descriptor 2; at the end all but the decoders' lines is passed on.

    Threads may overlap: the first redirects, the last restores. Does nothing until `silence_decoders` was called.
    """
    if not _enabled:
        yield
        return
    with _lock:
        _enter()
    try:
        yield
    finally:
        with _lock:
            _leave()


def _enter() -> None:
    global _users, _screen, _caught, _read
    if _users == 0:
        try:
            _caught = _caught or tempfile.TemporaryFile()  # noqa: SIM115 (kept for the life of the process)
            _screen, _read = os.dup(2), 0
            os.dup2(_caught.fileno(), 2)
        except OSError:  # no error stream, or no place for temporary files: the lines are shown
            _close_screen()
    _users += 1


def _leave() -> None:
    global _users, _read
    _users -= 1
    if _screen is None or _caught is None:
        return
    text = os.pread(_caught.fileno(), 1 << 20, _read)
    _read += len(text)
    if text and len(_dropped) < _MOST_DROPPED:
        _dropped.extend(match[0].decode("utf-8", "replace").strip() for match in _NOISE.finditer(text))
    if rest := _NOISE.sub(b"", text):
        os.write(_screen, rest)
    if _users == 0:
        os.dup2(_screen, 2)
        _close_screen()
        os.ftruncate(_caught.fileno(), 0)
        os.lseek(_caught.fileno(), 0, os.SEEK_SET)


def _close_screen() -> None:
    global _screen
    if _screen is not None:
        os.close(_screen)
    _screen = None


def _after_fork() -> None:
    """A child has the screen back, and a catch of its own: the parent's is shared with it."""
    global _lock, _users, _caught
    if _screen is not None:
        os.dup2(_screen, 2)
        _close_screen()
    _lock, _users, _caught = threading.Lock(), 0, None


os.register_at_fork(after_in_child=_after_fork)
