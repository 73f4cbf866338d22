"""What the program reports while it works: one line per notice, on the error stream."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from ocrexp.errors import printable

log = logging.getLogger(__name__)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return f"{prefix}{_shown(record.getMessage())}"


class _Timed(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _shown(record.message)
        return super().formatMessage(record)


def _shown(message: str) -> str:
    """The message without the control codes of file names in it; its own line ends stay."""
    return "\n".join(printable(line) for line in message.split("\n"))


def show_notices() -> None:
    """Send the notices of the package to the screen, and those of the image decoders not; safe to call twice."""
    from ocrexp.quiet import silence_decoders  # it imports OpenCV, which the help does not need

    logger = logging.getLogger("ocrexp")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # paddle gives the root logger a handler of its own: each line would come twice
    if not any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Plain())
        logger.addHandler(handler)
    silence_decoders()


class LogFile(logging.Handler):
    """Appends each notice with its time to a file, as one write; the file stays open, also when it is renamed.

    Lines that the disk does not take are dropped; the first of them is reported on the screen, once.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.setFormatter(_Timed("%(asctime)s %(levelname)s %(message)s"))
        self.path = path
        self._file: io.FileIO | None = None
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._file is None:
                self._file = io.FileIO(self.path, "a")
            self._file.write(f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            if not self._failed:
                self._failed = True  # before the line below, which comes here too
                log.warning(
                    "%s cannot be written (%s); lines are missing from it until it is writable",
                    self.path,
                    error.strerror,
                )
        except Exception:  # a record that cannot be formatted, as logging itself treats it
            self.handleError(record)

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # some network file systems report a full disk only now
                self._file.close()
            self._file = None
        super().close()


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Send the notices of the package to a file as well, with their times."""
    handler = LogFile(path)
    logger = logging.getLogger("ocrexp")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


# What paddle prints of things that a user neither chose nor can change.
_PADDLE_WARNINGS = (
    "No ccache found",
    "When training, we now always track global mean and variance",
    "The input state dict is empty",  # an optimizer before its first step
)
_PADDLE_LINES = re.compile(r"OMP_NUM_THREADS|^=+( Modified FLAGS detected =+)?$|^FLAGS\(name=")


def ignore_paddle_warnings() -> None:
    """Let Python not show paddle's own warnings, whoever imports paddle first; safe to call twice."""
    for message in _PADDLE_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def import_paddle() -> None:
    """Import paddle, without what it prints at every start.

    Raises ImportError if paddle is not installed.
    """
    ignore_paddle_warnings()
    if "paddle" not in sys.modules:
        with without_paddle_lines():
            import paddle  # noqa: F401


@contextlib.contextmanager
def without_paddle_lines() -> Iterator[None]:
    """Within this block paddle's notices of settings that are made on purpose are dropped; other lines come behind."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            if not _PADDLE_LINES.search(line):
                print(line, file=sys.stderr)
