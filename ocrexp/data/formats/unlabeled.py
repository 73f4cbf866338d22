"""Images without labels: each is one region that training and evaluation ignore (`###`), as large as the image.

A detector that learns from its labels learns nothing of such an image; one that has a teacher learns what the teacher
sees there. See docs/distillation.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.shapes import sized_box
from ocrexp.data.image_header import IMAGES
from ocrexp.types import UnusableSample


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(*IMAGES):
        path = folder.base / name
        entry = Entry(name, folder.image(name), [], split=split_of(name), source=str(path))
        try:
            width, height = entry.known_size()
        except UnusableSample as error:
            account.drop(str(error), str(path))
            continue
        entry.regions = [Region(sized_box(0, 0, width, height), None, ignored=True)]
        yield entry


def _recognize(folder: Folder) -> Guess:
    del folder  # a folder of images may lack its label files: asked for by name only
    return NO


FORMATS = [
    Format("unlabeled", "images without labels", DET, "*.jpg, *.png, …: nothing is known of them", _recognize, _read),
]
