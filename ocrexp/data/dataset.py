"""From a record to a sample: decode and transform, with the reason where that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ocrexp.data.images import EncodedImage, read_image
from ocrexp.data.records import StreamedRecords
from ocrexp.data.regions import WITHOUT_AREA, beyond_image
from ocrexp.data.sampler import Size
from ocrexp.errors import DataError, OcrexpError
from ocrexp.types import ReadsEncoded, Record, Sample, Transform, UnusableSample

# How many other records are tried before "another sample" is given up.
_OTHER_TRIES = 10


class _Pipeline:
    def __init__(self, records: Sequence[Record], transforms: Sequence[Transform]) -> None:
        self.records = records
        self.transforms = list(transforms)

    def __len__(self) -> int:
        return len(self.records)

    def describe(self, index: int) -> str:
        """The image and where its label stands, for messages."""
        if isinstance(self.records, StreamedRecords):
            return self.records.describe(index)
        record = self.records[index % len(self.records)]
        return f"{record.image_path} ({record.source})" if record.source else str(record.image_path)

    def _apply(self, sample: Sample, rng: np.random.Generator) -> Sample:
        for transform in self.transforms:
            try:
                sample = transform(sample, rng)
            except (UnusableSample, OcrexpError, MemoryError):
                raise
            except Exception as error:  # any bug of a transform: name the image, keep the cause
                name = type(transform).__name__
                raise DataError(
                    f"{self.describe(sample['index'])}: {name} failed: {type(error).__name__}: {error}"
                ) from error
        return sample


class TrainPipeline(_Pipeline):
    """Training samples. `sample(index, epoch)` depends on its arguments and the seed alone, on no worker and no order.

    An index beyond the records is a repetition within the epoch (see `EpochSampler`): the same record, other random
    numbers. The sample's own `index` is that of the record.

    A first transform with `reads_encoded = True` gets the undecoded file under `encoded` and decodes what it needs; all
    others find `image`. `others(rng)` gives the decoded sample of another random record.
    """

    def __init__(self, records: Sequence[Record], transforms: Sequence[Transform], seed: int) -> None:
        super().__init__(records, transforms)
        self.seed = seed
        self.reads_encoded = (
            bool(transforms) and isinstance(transforms[0], ReadsEncoded) and transforms[0].reads_encoded
        )

    def sample(self, index: int, epoch: int, size: Size | None = None) -> Sample:
        """The transformed sample; `size` is that of its batch's images, where the sampler gives one.

        Raises UnusableSample for an image that cannot be read, DataError where a transform fails.
        """
        if isinstance(self.records, StreamedRecords):
            stream = [self.seed, epoch, *self.records.stream(index)]
        else:
            repetition, index = divmod(index, len(self.records))
            # A record's first turn has the same stream with and without repetitions.
            stream = [self.seed, epoch, index, *([repetition] if repetition else [])]
        sample = self.labels(index, epoch)
        if size is not None:
            sample["size"] = size
        encoded = _open(sample)
        if self.reads_encoded:
            sample["encoded"] = encoded
        else:
            sample["image"] = encoded.decode()
        record = sample["record"]
        sample["counts"] = beyond_image(record.polygons, *encoded.size) if record.polygons else {}
        if record.without_area:
            sample["counts"][WITHOUT_AREA] = record.without_area
        sample["others"] = partial(self._other, index, epoch)
        return self._apply(sample, np.random.default_rng(stream))

    def labels(self, index: int, epoch: int) -> Sample:
        """What is known of a sample before its image is read."""
        record = self.records[index]
        return {
            "record": record,
            "index": index,
            "epoch": epoch,
            "polygons": [polygon.copy() for polygon in record.polygons],
            "texts": list(record.texts),
            "ignored": np.array(record.ignored, dtype=bool),
        }

    def _other(self, index: int, epoch: int, rng: np.random.Generator) -> Sample:
        """Another record's sample, decoded and not transformed; the same one only where there is no other."""
        for _ in range(_OTHER_TRIES):
            if isinstance(self.records, StreamedRecords):
                other = self.records.near(index, rng)
            else:
                other = int(rng.integers(len(self.records)))
            if other == index and len(self.records) > 1:
                continue
            try:
                sample = self.labels(other, epoch)
                sample["image"] = _open(sample).decode()
            except UnusableSample:
                continue  # counted when its own turn comes
            return sample
        raise UnusableSample("no other image could be read to copy from")


def _open(sample: Sample) -> EncodedImage:
    """The record's image; if it is drawn in every epoch, the sample's `record` and `texts` are replaced."""
    record = sample["record"]
    if record.draw is None:
        return EncodedImage(record.image_path)
    data, texts = record.draw(sample["epoch"])
    sample["record"] = replace(record, texts=texts)
    sample["texts"] = list(texts)
    return EncodedImage(record.image_path, data)


class EvalPipeline(_Pipeline):
    """Evaluation samples: the whole image, and the ground truth in its own coordinates.

    An image that cannot be read stays a sample: `image` is missing, its ground truth counts as not found, and
    `unreadable` names the reason.
    """

    def sample(self, index: int, epoch: int = 0) -> Sample:
        """The transformed sample; the same in every epoch."""
        record = self.records[index]
        sample: Sample = {
            "record": record,
            "index": index,
            "epoch": epoch,
            "polygons": list(record.polygons),
            "texts": list(record.texts),
            "ignored": np.array(record.ignored, dtype=bool),
        }
        try:
            image = read_image(record.image_path)
            sample["image"] = image
            sample["shape"] = np.array([*image.shape[:2], 1.0, 1.0])
            sample["counts"] = beyond_image(record.polygons, *image.shape[:2])
            return self._apply(sample, np.random.default_rng([0, 0, index]))
        except UnusableSample as reason:
            sample.pop("image", None)
            sample["unreadable"] = str(reason)
            return sample
