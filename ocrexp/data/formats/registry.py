"""The formats by name, and which one a folder is in."""

from __future__ import annotations

from collections.abc import Sequence

from ocrexp.data.formats import (
    boxes,
    coco,
    coco_text,
    containers,
    ctw1500,
    cvat,
    doctr,
    forms,
    hocr,
    icdar,
    iiit5k,
    label_studio,
    labelimg,
    labelme,
    mmocr,
    paddleocr,
    page_formats,
    ppocrlabel,
    rrc_json,
    sroie,
    svt,
    synthtext,
    tesseract_box,
    tesseract_tsv,
    total_text,
    unlabeled,
    via,
    word_lists,
)
from ocrexp.data.formats.base import Format
from ocrexp.data.formats.entries import Guess
from ocrexp.data.formats.folder import Folder
from ocrexp.errors import ConfigError
from ocrexp.nearest import expected_one_of

_MODULES = (
    paddleocr, icdar, rrc_json, boxes, ctw1500, total_text, coco_text, synthtext, word_lists, iiit5k, svt, sroie, forms,
    ppocrlabel, labelimg, labelme, via, cvat, label_studio, coco, page_formats, hocr,
    tesseract_box, tesseract_tsv, doctr, mmocr, containers, unlabeled,
)  # fmt: skip
FORMATS: dict[str, Format] = {found.name: found for module in _MODULES for found in module.FORMATS}
_SURE, _CLEAR = 0.5, 0.1  # least confidence, and how far the next format has to be below


def format_named(name: str, key: str, known: Sequence[str] = ()) -> Format:
    """The format with this name. Raises ConfigError, with the key and the nearest name."""
    names = list(known or FORMATS)
    if name not in names:
        raise ConfigError(f"{key}: {expected_one_of(name, names)}")
    return FORMATS[name]


def recognize(folder: Folder) -> tuple[Format, Guess]:
    """The format of a folder and why. Raises ConfigError if there is none, or several are possible."""
    guesses = [(found.recognize(folder), found) for found in FORMATS.values()]
    ranked = sorted((pair for pair in guesses if pair[0]), key=lambda pair: -pair[0].confidence)
    if not ranked:
        raise ConfigError(
            f"from=auto: {folder.path} is in no format that is recognized (looked at {len(folder.seen)} files); "
            "name the format: from=NAME"
        )
    (best, chosen), others = ranked[0], ranked[1:]
    close = [(guess, other) for guess, other in others if best.confidence - guess.confidence < _CLEAR]
    if best.confidence < _SURE or close:
        candidates = [(best, chosen), *(close or others[:3])]
        named = "; ".join(f"{other.name} ({guess.reason})" for guess, other in candidates)
        raise ConfigError(
            f"from=auto: the format of {folder.path} is not clear; name one with from=NAME, or join several "
            f"with root=[DIR,DIR] from=[NAME,NAME]; candidates: {named}"
        )
    return chosen, best
