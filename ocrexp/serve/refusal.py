"""What is answered instead of a reading: a status of HTTP, a code for programs, one line for people."""

from __future__ import annotations

from ocrexp.errors import printable

_LONGEST = 400  # characters of a message: parts of it come from the client


class Refusal(Exception):
    """A request or an image that is not read.

    Args:
        status: of HTTP: 4xx what the client can change, 5xx what it cannot.
        code: for programs, such as `too_many_pixels`.
        message: `<where>: <what is wrong>; <what to do>`.
        retry_after: seconds after which it may work.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(status, code, message, retry_after)  # these arguments make a copy in another process
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def line(self) -> str:
        """The message as one line without control characters."""
        text = printable(self.message)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

    def of(self, name: str) -> Refusal:
        """The same of an image, by its name."""
        return Refusal(self.status, self.code, f"{name}: {self.message}", self.retry_after)
