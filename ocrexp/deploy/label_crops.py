"""Cuts the labeled regions of pages as images of one text each, in several processes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ocrexp.data.formats.entries import Account, Entry
from ocrexp.data.formats.shapes import clockwise, inside
from ocrexp.data.images import EncodedImage
from ocrexp.deploy.crop import crop
from ocrexp.files import shortened
from ocrexp.processes import begin_in_pool
from ocrexp.types import UnusableSample

_LEAST_INSIDE = 0.5  # share of a region that must be in the image: of the rest there are no pixels to cut
_AHEAD = 4  # pages per process that are worked on before their turn


def cut_entries(
    pages: Iterator[tuple[str, Entry]], margin: float, workers: int, account: Account
) -> Iterator[tuple[str, Entry]]:
    """The crops of pages, as entries of one text with a PNG each, in the order of the pages, with the part of its page.

    A crop is what `predict` would cut: the perspective of its quadrilateral (of other outlines the smallest rotated
    rectangle) is removed, and a crop at least 1.5 times as high as wide is turned, as PaddleOCR does. Regions to
    ignore, without a text, or more than half outside the image are dropped with a count.

    Args:
        pages: pairs of part and page.
        margin: around a crop, as a share of its height.
        workers: processes.
        account: what is dropped is counted there.
    """
    if workers == 1:
        for part, page in pages:
            yield from ((part, entry) for entry in _taken(page, _cut(page, margin), account))
        return
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a forked process has OpenCV's pool without its threads and would wait for them
    import multiprocessing

    parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"), begin_in_pool, (parent,))
    waiting: deque[tuple[str, Entry, Future[_Cut]]] = deque()
    try:
        with pool:
            for part, page in islice(pages, _AHEAD * workers):
                waiting.append((part, page, pool.submit(_cut, page, margin)))
            while waiting:
                part, page, future = waiting.popleft()
                cut = future.result()
                for next_part, following in islice(pages, 1):
                    waiting.append((next_part, following, pool.submit(_cut, following, margin)))
                yield from ((part, entry) for entry in _taken(page, cut, account))
    finally:
        for *_, future in waiting:
            future.cancel()
        cv2.setNumThreads(threads)


# Position among the regions and PNG, or None for a region outside the image; why the page cannot be read.
_Cut = tuple[list[tuple[int, bytes | None]], str]


def _cut(page: Entry, margin: float) -> _Cut:
    regions = [(i, region) for i, region in enumerate(page.regions or ()) if not region.ignored and region.text]
    if not regions:
        return [], ""
    try:
        if page.image is None:
            raise UnusableSample("image file is missing")
        data = page.image if isinstance(page.image, bytes) else None
        image = EncodedImage(page.image if isinstance(page.image, Path) else Path(page.name), data).decode()
    except UnusableSample as error:
        return [], str(error)
    crops: list[tuple[int, bytes | None]] = []
    for i, region in regions:
        if inside(region.points, image.shape[1], image.shape[0])[1] < _LEAST_INSIDE:
            crops.append((i, None))
            continue
        cut = crop(image, np.asarray(clockwise(region.points), np.float32), margin)
        done, encoded = cv2.imencode(".png", np.ascontiguousarray(cut))
        if done:
            crops.append((i, encoded.tobytes()))
    return crops, ""


def _taken(page: Entry, cut: _Cut, account: Account) -> Iterator[Entry]:
    crops, problem = cut
    if problem:
        account.drop("page that cannot be read", f"{page.source}: {page.name}: {problem}")
        return
    regions = page.regions or []
    account.drop("region to ignore, not cut", page.source, sum(region.ignored for region in regions))
    account.drop(
        "region without a text, not cut", page.source, sum(not region.ignored and not region.text for region in regions)
    )
    name = PurePosixPath(page.name)
    for i, data in crops:
        if data is None:
            account.drop("region more than half outside its image, not cut", f"{page.source}: region {i + 1}")
            continue
        text = regions[i].text
        assert text is not None
        crop_name = name.with_name(f"{shortened(name.stem)}_crop_{i}.png").as_posix()
        yield Entry(crop_name, data, None, text, source=f"{page.source}: region {i + 1}")
