"""A worker process: loads the models, reads what the server sends, one batch after the other."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import cv2

from ocrexp.data.image_header import HEAD, image_kind
from ocrexp.data.images import EncodedImage, limit_pixels
from ocrexp.deploy.backends.base import chosen, library_message
from ocrexp.deploy.end_to_end import Engine
from ocrexp.deploy.folder import ModelFolder
from ocrexp.deploy.outputs import Reading
from ocrexp.deploy.sources import find_sources, read_source
from ocrexp.errors import DataError, DeployError, OcrexpError
from ocrexp.processes import end_with_command
from ocrexp.quiet import silence_decoders
from ocrexp.serve.jobs import BatchDone, Cancel, Done, Job, PageResult, Started, WorkerSettings
from ocrexp.serve.refusal import Refusal
from ocrexp.serve.uploads import too_many_pages
from ocrexp.types import Image, UnusableSample

PIXELS_AT_ONCE = 40_000_000  # decoded pages that wait for each other, so that a batch of large pages fits the memory
PICTURE_SIDE, PICTURE_QUALITY = 1600, 82


@dataclass
class _Open:
    """A job whose pages are being read; `failed` is why there will be none."""

    job: Job
    pages: list[PageResult] = field(default_factory=list)
    failed: Refusal | None = None


@dataclass
class _Waiting:
    """A decoded page that waits to be read with others."""

    of: _Open
    page: int | None
    image: Image


class JobReader:
    """Reads batches of jobs with one set of models."""

    def __init__(self, settings: WorkerSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._engine = Engine(settings.models, settings.threads)
        self._canceled: set[int] = set()

    def read(self, jobs: Sequence[Job]) -> None:
        """Answer each job; pages of several jobs are read together."""
        self._canceled.clear()
        waiting: list[_Waiting] = []
        finished: list[_Open] = []
        for job in jobs:
            opened = _Open(job)
            finished.append(opened)
            try:
                for page, image in self._pages(job):
                    waiting.append(_Waiting(opened, page, image))
                    if sum(item.image.shape[0] * item.image.shape[1] for item in waiting) >= PIXELS_AT_ONCE:
                        self._read(waiting)
                        waiting.clear()
                    if self._is_canceled(job):
                        break
            except Refusal as refusal:
                opened.failed = refusal
        self._read(waiting)
        for opened in finished:
            self._connection.send(Done(opened.job.number, opened.failed or opened.pages))
        self._connection.send(BatchDone())

    def _pages(self, job: Job) -> Iterator[tuple[int | None, Image]]:
        """The decoded pages of a file, with their numbers from 1 where it has several. Raises Refusal."""
        kind = image_kind(job.data[:HEAD])
        try:
            if kind in ("pdf", "tiff"):
                yield from self._pages_of_file(job, kind)
            else:
                image = EncodedImage(Path(job.name), job.data).decode()
                yield None, image
        except UnusableSample as error:
            raise Refusal(400, "damaged", str(error)) from None
        except DataError as error:  # no package for PDFs
            raise Refusal(415, "unsupported_format", str(error)) from None
        except MemoryError:
            raise Refusal(413, "too_many_pixels", "the server has not enough memory to decode it") from None

    def _pages_of_file(self, job: Job, kind: str) -> Iterator[tuple[int | None, Image]]:
        with tempfile.TemporaryDirectory(prefix="ocrexp-serve-") as folder:
            file = Path(folder, f"upload.{kind}")
            file.write_bytes(job.data)
            sources = find_sources([str(file)])
            if len(sources) > self._settings.max_pages:
                raise too_many_pages(self._settings.max_pages, len(sources))
            for source in sources:
                try:
                    yield source.page, read_source(source, self._settings.dpi)
                except UnusableSample as error:
                    where = "" if source.page is None else f"page {source.page}: "
                    raise UnusableSample(f"{where}{error}") from None

    def _read(self, waiting: Sequence[_Waiting]) -> None:
        """Read pages; the results go to their jobs."""
        for kind in dict.fromkeys(item.of.job.kind for item in waiting):
            items = [
                item
                for item in waiting
                if item.of.job.kind == kind and not item.of.failed and not self._is_canceled(item.of.job)
            ]
            for item, reading in zip(items, self._readings(kind, [item.image for item in items]), strict=True):
                if isinstance(reading, Refusal):
                    item.of.failed = item.of.failed or reading
                    continue
                size = item.image.shape[1], item.image.shape[0]
                picture = _picture(item.image) if item.of.job.picture else None
                item.of.pages.append(PageResult(item.page, size, reading, picture))

    def _readings(self, kind: str, images: list[Image]) -> list[Reading | Refusal]:
        """Of each image; images that fail together are tried one by one."""
        if not images:
            return []
        try:
            return list(self._run(kind, images))
        except (OcrexpError, cv2.error, MemoryError) as error:
            if len(images) > 1:
                return [self._readings(kind, [image])[0] for image in images]
            reason = str(error) if isinstance(error, DeployError) else library_message(error) or type(error).__name__
            return [Refusal(422, "cannot_be_read", f"the models cannot read it ({reason})")]

    def _run(self, kind: str, images: list[Image]) -> list[Reading]:
        if kind == "det":
            return self._engine.find_regions(images)
        if kind == "rec":
            return self._engine.read_lines(images)
        if kind == "cls":
            assert self._engine.classifier is not None
            found = self._engine.classifier.classify(images)
            return [Reading(None, [label], [score]) for label, score in found]
        return self._engine(images)

    def _is_canceled(self, job: Job) -> bool:
        while self._connection.poll():
            message = self._connection.recv()
            assert isinstance(message, Cancel)
            self._canceled.add(message.number)
        return job.number in self._canceled


def _picture(image: Image) -> bytes:
    longest = max(image.shape[:2])
    if longest > PICTURE_SIDE:
        scale = PICTURE_SIDE / longest
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    assert done
    return bytes(data)


def main(descriptor: int) -> int:
    """Work until the server closes the connection, which is this file descriptor."""
    end_with_command()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to the group; the server ends its workers
        signal.signal(number, signal.SIG_IGN)
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the server is gone
        settings: WorkerSettings = connection.recv()
        try:
            silence_decoders()
            cv2.setNumThreads(settings.models.threads or settings.threads)
            limit_pixels(settings.models.max_pixels)
            reader = JobReader(settings, connection)
            given = [path for path in (settings.models.det, settings.models.rec) if path is not None]
            backends = {chosen(ModelFolder.open(path), settings.models.backend) for path in given}
        except OcrexpError as error:
            connection.send(Started(str(error), error.exit_code))
            return error.exit_code
        except ImportError as error:
            connection.send(Started(f"{error.name} is not installed", 1))
            return 1
        connection.send(Started(backend="+".join(sorted(backends))))
        while True:
            message = connection.recv()
            if not isinstance(message, Cancel):  # of a job that was answered meanwhile
                reader.read(message)
    return 0
