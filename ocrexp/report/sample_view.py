"""One sample as plain values for a page: its label with invisible characters made visible, pictures and targets."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from ocrexp.data.images import EncodedImage
from ocrexp.data.invisible import code_points, describe_point, find_invisible
from ocrexp.data.variants import TrainVariants
from ocrexp.drawing import Picture, shrink_to_fit
from ocrexp.types import Record, UnusableSample

Run = tuple[str, str, str]  # a piece of a text, "" or "space" or "odd", and what it is
_EXACT = 300_000  # pixels: smaller pictures are written without loss
_MOST_REGIONS = 2000
_MOST_CHARACTERS = 2000
_LIST_CHARACTERS = 120  # of a label in a list


class ShowsTargets(Protocol):
    """What is needed of a task; see `ocrexp.tasks.base.Task`."""

    def target_panels(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, Picture]]: ...

    def target_facts(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, str]]: ...


def visible_runs(text: str, spaces: bool = True) -> list[Run]:
    """A text in pieces: what no image shows, and marks that NFC joins to their letter, are code points.

    Args:
        text: a label.
        spaces: mark all spaces with ␣; otherwise those at the ends and those in a row.
    """
    cut = text[:_MOST_CHARACTERS]
    if cut is text and text.isascii() and text.isprintable() and " " not in text:
        return [(text, "", "")]
    odd = set(find_invisible(code_points(cut)).tolist())
    runs: list[Run] = []
    for place, character in enumerate(cut):
        if place in odd or unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") or _decomposed(cut, place):
            runs.append((f"U+{ord(character):04X}", "odd", describe_point(ord(character))))
        elif character == " " and (
            spaces or not cut[:place].strip() or not cut[place:].strip() or cut[place - 1] == " "
        ):
            runs.append(("␣", "space", "space"))
        elif runs and not runs[-1][1]:
            runs[-1] = (runs[-1][0] + character, "", "")
        else:
            runs.append((character, "", ""))
    if len(text) > len(cut):
        runs.append((f"… {len(text) - len(cut)} more characters", "odd", "cut here"))
    return runs


def _decomposed(text: str, place: int) -> bool:
    """Whether a mark and the character before it have a form of one character, which looks the same."""
    mark = unicodedata.combining(text[place]) and place
    return bool(mark) and len(unicodedata.normalize("NFC", text[place - 1 : place + 1])) == 1


def clean(text: object) -> str:
    """A text that JSON in UTF-8 can hold: bytes of a file name that are not UTF-8 become escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def record_view(record: Record, size: tuple[int, int]) -> dict[str, Any]:
    """A record as a page shows it. Detection has a region for each polygon, other tasks one without points."""
    regions = []
    for number, text in enumerate(record.texts[:_MOST_REGIONS]):
        region: dict[str, Any] = {"text": clean(text[:_MOST_CHARACTERS]), "runs": visible_runs(text)}
        if record.polygons:
            region["points"] = np.round(record.polygons[number].astype(np.float64), 1).tolist()
            region["ignored"] = bool(record.ignored[number])
        regions.append(region)
    return {
        "path": clean(record.image_path),
        "name": clean(record.image_path.name),
        "source": clean(record.source),
        "height": size[0],
        "width": size[1],
        "regions": regions,
        "more": max(0, len(record.texts) - _MOST_REGIONS),
    }


def sample_item(
    record: Record,
    place: tuple[str, int],
    size: tuple[int, int],
    problems: Sequence[Mapping[str, str]],
    broken: str = "",
) -> dict[str, Any]:
    """What a list shows of a sample.

    Args:
        record: its record.
        place: its split and index.
        size: height and width of its image, 0 where it is not known.
        problems: with `severity` and `title`.
        broken: why its image cannot be shown.
    """
    regions = bool(record.polygons) or len(record.texts) != 1
    text = " · ".join(record.texts)
    shown = text[:_LIST_CHARACTERS] + "…" if len(text) > _LIST_CHARACTERS else text
    return {
        "split": place[0],
        "index": place[1],
        "name": clean(record.image_path.name),
        "label": visible_runs(shown, spaces=False),
        "length": len(record.texts) if regions else len(text),
        "height": size[0],
        "width": size[1],
        "problems": [(found["severity"], found["title"]) for found in problems],
        "broken": broken,
    }


def sample_in_file(record: Record, index: int, problems: Sequence[dict[str, str]], longest: int) -> dict[str, Any]:
    """A training sample with its image, at most `longest` pixels a side, for a page that is one file."""
    image, broken, size = None, "", (0, 0)
    try:
        size = open_record(record).size
        image = as_address(record_picture(record, longest), longest)
    except UnusableSample as reason:
        broken = clean(reason)
    detail = {"split": "train", "index": index, **record_view(record, size), "problems": list(problems)}
    return {
        "item": sample_item(record, ("train", index), size, problems, broken),
        "detail": detail | {"image": image, "broken": broken},
    }


def open_record(record: Record) -> EncodedImage:
    """The image of a record; of one that is drawn, that of epoch 0. Raises UnusableSample."""
    return EncodedImage(record.image_path, None if record.draw is None else record.draw(0)[0])


def record_picture(record: Record, longest: int) -> Picture:
    """The upright image of a record, RGB uint8, shrunk to `longest` pixels a side. Raises UnusableSample."""
    encoded = open_record(record)
    reduction = encoded.reducible(min(1.0, longest / max(encoded.size)))
    image = np.ascontiguousarray(encoded.decode(reduction)[..., ::-1])
    return shrink_to_fit(image, longest)[0]


def encoded_picture(picture: Picture, quality: int = 88, exact: bool = True) -> tuple[str, bytes]:
    """Media type and bytes of a picture, RGB uint8; small ones keep their pixels where `exact` is set."""
    small = exact and picture.shape[0] * picture.shape[1] <= _EXACT
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3] if small else [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".png" if small else ".jpg", picture[..., ::-1], options)
    if not done:
        raise ValueError(f"a picture of {picture.shape[1]}×{picture.shape[0]} pixels cannot be encoded")
    return "image/png" if small else "image/jpeg", data.tobytes()


def as_address(picture: Picture, longest: int) -> str:
    """A picture as the address of an <img>, shrunk to `longest` pixels a side."""
    kind, data = encoded_picture(shrink_to_fit(picture, longest)[0])
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def variant_view(
    title: str, sample: Mapping[str, Any], task: ShowsTargets, targets: Any, longest: int, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """A transformed sample as a page shows it.

    Args:
        title: its heading.
        sample: with the targets of the loss.
        task: of the run.
        targets: the transform that made the targets.
        longest: pixels of a picture's longer side.
        notes: what else there is to state.
    """
    facts = [*task.target_facts(sample, targets)]
    facts += [(reason, str(count)) for reason, count in (sample.get("counts") or {}).items()]
    height, width = sample["image"].shape[:2]
    return {
        "title": title,
        "notes": list(notes),
        "facts": [("image", f"{width}×{height} pixels"), *((clean(name), clean(value)) for name, value in facts)],
        "panels": [
            {"title": name, "src": as_address(picture, longest), "width": picture.shape[1]}
            for name, picture in task.target_panels(sample, targets)
        ],
    }


def unusable_view(title: str, reason: object) -> dict[str, Any]:
    """What is shown in place of a sample that training rejects."""
    return {"title": title, "notes": [f"rejected: {clean(reason)}"], "facts": [], "panels": []}


def train_view(variants: TrainVariants, index: int, epoch: int, task: ShowsTargets, longest: int) -> dict[str, Any]:
    """The sample of a record in an epoch, or the reason why training rejects it."""
    title = f"Epoch {epoch}"
    turn = variants.turn(index, epoch)
    notes = [] if turn.used else ["this epoch does not use the sample (ratios, drop_last); shown as if it did"]
    try:
        sample = variants.sample(turn, epoch)
    except UnusableSample as reason:
        return unusable_view(title, reason)
    return variant_view(title, sample, task, variants.pipeline.transforms[-1], longest, notes)
