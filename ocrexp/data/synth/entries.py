"""A drawn image as an entry that the writers of formats take."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from ocrexp.data.formats.entries import Entry, Region
from ocrexp.data.synth.cache import Drawn, encode, image_name
from ocrexp.data.synth.page import Page
from ocrexp.data.synth.words import Split


def entry_of(split: Split, index: int, drawn: Drawn) -> Entry:
    """The image as JPEG with its regions, or with its text. Raises DataError if it cannot be encoded."""
    name = PurePosixPath(image_name(split, index)).name
    data = encode(drawn, name).tobytes()
    source = f"{split} {index + 1}"
    if not isinstance(drawn, Page):
        return Entry(name, data, text=drawn.label, split=split, source=source)
    regions = [
        Region(
            [(x, y) for x, y in np.round(region.polygon.astype(np.float64), 1).tolist()],
            None if region.ignored else region.text,
            region.ignored,
        )
        for region in drawn.regions
    ]
    return Entry(name, data, regions, split=split, source=source)
