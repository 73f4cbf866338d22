"""Training images as the evaluation prepares them, to calibrate integers and to measure how sensitive layers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ocrexp.data.records import some_records
from ocrexp.export.samples import Samples

if TYPE_CHECKING:
    from ocrexp.assemble import Parts
    from ocrexp.types import Batch, Record

Floats = npt.NDArray[Any]


def training_batches(parts: Parts, count: int) -> list[tuple[Batch, Floats]]:
    """Batches of up to `count` training images, evenly from the whole list, with the network's input for each; images
    that cannot be read are skipped."""
    records, _ = some_records(parts.source.train_records())
    count = min(count, len(records))
    chosen: list[Record] = [records[place * len(records) // count] for place in range(count)]
    return [(batch, prepared(parts, batch)) for batch in Samples(chosen, drawn=False).batches(parts)]


def first_pixels(batches: Sequence[Floats], pixels: int) -> list[Floats]:
    """The first images, [1, C, H, W] each, with up to `pixels` pixels together in one batch, where each takes the
    height and width of the largest; at least one."""
    found: list[Floats] = []
    height = width = 0
    for image in (batch[place : place + 1] for batch in batches for place in range(len(batch))):
        height, width = max(height, image.shape[2]), max(width, image.shape[3])
        if found and (len(found) + 1) * height * width > pixels:
            break
        found.append(image)
    return found


def prepared(parts: Parts, batch: Batch) -> Floats:
    """The network's input, float32 [N, C, H, W], for a batch of the evaluation."""
    import paddle

    known = batch.get("valid_width")
    model = parts.deployed_of(parts.model)
    images: Floats = model.prepare(
        paddle.to_tensor(batch["image"]), None if known is None else paddle.to_tensor(known)
    ).numpy()
    return images
