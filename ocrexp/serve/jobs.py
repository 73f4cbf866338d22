"""What the server sends to its worker processes, and what they send back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ocrexp.deploy.outputs import Reading
from ocrexp.deploy.settings import RuntimeSettings
from ocrexp.serve.refusal import Refusal

Kind = Literal["ocr", "det", "rec", "cls"]  # ocr: all models that are given


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to start."""

    models: RuntimeSettings
    threads: int  # where the models' settings do not state them
    dpi: int
    max_pages: int


@dataclass(frozen=True)
class Job:
    """A file to read. `picture`: whether its pages are wanted as JPEG pictures."""

    number: int
    kind: Kind
    name: str
    data: bytes
    picture: bool = False


@dataclass(frozen=True)
class PageResult:
    """A page of a file: `page` from 1 where the file has several; `size` width, height; `picture` a JPEG file.

    Of a classifier, `reading.texts` are the labels (`0`, `180`).
    """

    page: int | None
    size: tuple[int, int]
    reading: Reading
    picture: bytes | None = None


@dataclass(frozen=True)
class Done:
    """The pages of a job, in order, or why there are none."""

    number: int
    result: list[PageResult] | Refusal


@dataclass(frozen=True)
class Cancel:
    """A job that nobody waits for any more."""

    number: int


@dataclass(frozen=True)
class Started:
    """The first message of a worker; `problem` is why it cannot work, with the exit code that belongs to it."""

    problem: str = ""
    exit_code: int = 0
    backend: str = ""


@dataclass(frozen=True)
class BatchDone:
    """All jobs of a batch were answered."""
