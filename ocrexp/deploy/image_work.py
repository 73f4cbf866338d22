"""What is done with an image of `ocrexp predict`: load, read, draw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ocrexp.data.pixels import is_blank
from ocrexp.deploy.end_to_end import EnginePool
from ocrexp.deploy.fonts import FontFinder
from ocrexp.deploy.outputs import ImageResult, PredictionFolder, Reading
from ocrexp.deploy.sources import Source, read_source
from ocrexp.drawing import write_picture
from ocrexp.errors import OcrexpError
from ocrexp.types import Image, UnusableSample


class ImageWork:
    """The work for images in one of several threads: load, read, draw.

    Args:
        reader: the models.
        finder: of fonts for the pictures.
        dpi: resolution of PDF pages.
        folder: of the results; None: nothing is saved.
        picture_side: longest side of the pictures in pixels; None: no pictures.
        save_pages: save pages of PDFs and TIFF files as image files.
    """

    def __init__(
        self,
        reader: EnginePool,
        finder: FontFinder,
        dpi: int,
        folder: PredictionFolder | None = None,
        picture_side: int | None = None,
        save_pages: bool = False,
    ) -> None:
        self._reader = reader
        self._dpi = dpi
        self._picture_side = picture_side
        self._save_pages = save_pages
        self._folder = folder
        self.finder = finder

    def __call__(self, sources: Sequence[Source]) -> list[ImageResult]:
        """The outcome of each image, in order. Raises OSError if a picture cannot be written."""
        images: list[Image] = []
        outcomes: list[ImageResult] = []
        for source in sources:
            started = time.perf_counter()
            try:
                image = read_source(source, self._dpi)
                size = (image.shape[1], image.shape[0])
                images.append(image)
                overhead = {"load": time.perf_counter() - started}
                outcomes.append(ImageResult(source, size, blank=is_blank(image), overhead=overhead))
            except UnusableSample as error:
                outcomes.append(ImageResult(source, error=str(error)))
        good = [index for index, outcome in enumerate(outcomes) if not outcome.error]
        for index, image, result in zip(good, images, self._read(images), strict=True):
            outcomes[index] = self._finished(outcomes[index], image, result)
        return outcomes

    def _read(self, images: list[Image]) -> list[Reading | OcrexpError]:
        """Readings, or the reasons why there is none: images that fail together are tried one by one."""
        if not images:
            return []
        try:
            return list(self._reader(images))
        except OcrexpError as error:
            return [error] if len(images) == 1 else [self._read([image])[0] for image in images]

    def _finished(self, outcome: ImageResult, image: Image, result: Reading | OcrexpError) -> ImageResult:
        if isinstance(result, OcrexpError):
            return replace(outcome, error=str(result))
        outcome = replace(outcome, reading=result)
        if self._folder is None:
            return outcome
        started = time.perf_counter()
        if self._save_pages:
            self._folder.save_page(outcome.source, image)
        picture = None
        if self._picture_side is not None:
            picture = self._folder.picture_path(outcome.source)
            self._draw(image, result, outcome.source.name, self._folder.folder / picture, self._picture_side)
        overhead = {**outcome.overhead, "draw": time.perf_counter() - started}
        return replace(outcome, picture=picture, overhead=overhead)

    def _draw(self, image: Image, reading: Reading, title: str, path: Path, longest: int) -> None:
        from ocrexp.deploy.draw import draw_line, draw_reading

        if reading.polygons is None:
            text = reading.texts[0] if reading.texts else ""
            picture = draw_line(image, text, reading.scores[0], title=title, finder=self.finder)
        else:
            picture = draw_reading(
                image, reading.polygons, reading.texts, reading.scores,
                title=title, finder=self.finder, longest=longest,
            )  # fmt: skip
        write_picture(path, picture)
