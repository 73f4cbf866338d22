"""The looks of a list of real images: measured once, then read from the cache."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.data.images import EncodedImage, read_bytes
from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.style.looks import Edges, Look
from ocrexp.data.synth.style.measure import measure
from ocrexp.errors import DataError
from ocrexp.files import write_bytes
from ocrexp.types import Record, UnusableSample

log = logging.getLogger(__name__)

# Part of the cache's name: raise it with every change that alters a measured number.
MEASURE_VERSION = 1
# The table of luminance in annex K of the JPEG standard, which qualities scale.
_LUMINANCE = np.fromstring(
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 18 22 37 56 68 "
    "109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99",
    np.int64,
    sep=" ",
)


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of a list's images, how many could not be measured by reason, and a hash of what they depend on."""

    looks: Sequence[Look]
    skipped: dict[str, int]
    digest: str

    def report(self) -> list[str]:
        """A line for each reason why images have no look."""
        return [f"style: {count} image(s) not used, because each {why}" for why, count in self.skipped.items()]


def measured(records: Sequence[Record], fonts: FontSet, cases: Sequence[str], most: int, cache: Path) -> Looks:
    """The looks of up to `most` images, evenly from the list.

    Args:
        records: real images with their texts.
        fonts: to find the print in.
        cases: how words may be printed, see `measure`.
        most: images that are measured.
        cache: folder for what was measured.

    Raises DataError if no image can be measured, or the cache cannot be written.
    """
    count = min(most, len(records))
    chosen = [records[i * len(records) // count] for i in range(count)]
    contents = [_bytes(record.image_path) for record in chosen]
    digest = _digest(chosen, contents, fonts, cases)
    place = cache / f"looks-{digest[:16]}.npz"
    found = _read(place, digest)
    if found is None:
        found = _measure_all(chosen, contents, fonts, cases, digest)
        _write(place, found)
    if not found.looks:
        why = "; ".join(f"{count}: {why}" for why, count in found.skipped.items())
        raise DataError(f"style: none of {len(chosen)} images can be measured ({why}); give other images")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except UnusableSample:
        return b""  # decoding it gives the reason


def _measure_all(
    records: Iterable[Record], contents: Iterable[bytes], fonts: FontSet, cases: Sequence[str], digest: str
) -> Looks:
    looks, skipped = [], Counter[str]()
    began = time.monotonic()
    for record, content in zip(records, contents, strict=True):
        try:
            image = EncodedImage(record.image_path, content or None).decode()
        except UnusableSample as reason:
            skipped[f"is unusable: {reason}"] += 1
            continue
        look = measure(image, record.texts[0], fonts.paths, cases, jpeg_quality(content))
        if isinstance(look, str):
            skipped[look] += 1
        else:
            looks.append(look)
    log.info("style: measured the looks of %d images in %.1f s", len(looks), time.monotonic() - began)
    return Looks(looks, dict(skipped), digest)


def jpeg_quality(content: bytes) -> int:
    """The quality from 1 to 100 whose table of the JPEG standard is nearest to the file's; 95 if it is no JPEG."""
    at = content.find(b"\xff\xdb", 0, 4096) if content[:2] == b"\xff\xd8" else -1
    if at < 0 or len(content) < at + 69 or content[at + 4] != 0:
        return 95
    total = sum(content[at + 5 : at + 69])
    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    sums = np.clip((_LUMINANCE[None] * scales[:, None] + 50) // 100, 1, 255).sum(axis=1)
    return int(qualities[np.argmin(np.abs(sums - total))])


def _digest(records: Sequence[Record], contents: Sequence[bytes], fonts: FontSet, cases: Sequence[str]) -> str:
    known = hashlib.sha256(f"{MEASURE_VERSION} {fonts.fingerprint()} {','.join(cases)}\0".encode())
    for record, content in zip(records, contents, strict=True):
        known.update(f"{record.texts[0]}\0".encode() + hashlib.sha256(content).digest())
    return known.hexdigest()


def _write(place: Path, found: Looks) -> None:
    plain, grounds, fills = [], [], []
    for look in found.looks:
        values = asdict(replace(look, ground=np.zeros((0, 0, 3), np.uint8), filled=np.zeros((0, 0), bool)))
        del values["ground"], values["filled"]
        plain.append(values | {"size": look.filled.shape})
        grounds.append(look.ground.ravel())
        fills.append(look.filled.ravel())
    text = json.dumps({"digest": found.digest, "looks": plain, "skipped": found.skipped})
    data = io.BytesIO()
    ground = np.concatenate([np.zeros(0, np.uint8), *grounds])
    filled = np.concatenate([np.zeros(0, bool), *fills])
    np.savez_compressed(data, text=np.frombuffer(text.encode(), np.uint8), grounds=ground, fills=filled)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, data.getvalue())
    except OSError as error:
        log.warning("style: the looks are not kept in %s (%s)", place.parent, error.strerror or error)


def _read(place: Path, digest: str) -> Looks | None:
    """What was measured before; None where there is nothing, or it is damaged."""
    try:
        with np.load(place, allow_pickle=False) as data:
            values = json.loads(data["text"].tobytes().decode())
            if values["digest"] != digest:
                return None
            grounds, fills = data["grounds"], data["fills"]  # decompressed at each access
            looks, at = [], 0
            for plain in values["looks"]:
                height, width = plain.pop("size")
                end = at + height * width
                ground = grounds[3 * at : 3 * end].reshape(height, width, 3)
                looks.append(_look(plain, ground, fills[at:end].reshape(height, width)))
                at = end
            return Looks(looks, values["skipped"], digest)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _look(plain: dict[str, Any], ground: Any, filled: Any) -> Look:
    lists = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    return Look(**{**plain, **lists, "edges": Edges(**plain["edges"]), "ground": ground, "filled": filled})
