"""What training would drop from a recognition dataset, reported before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import CTCCodec
from ocrexp.charset.normalization import NFC
from ocrexp.charset.saved import from_saved
from ocrexp.charset.unknown import CharsetCoverage, describe_character
from ocrexp.data.invisible import code_points
from ocrexp.data.label_format import short
from ocrexp.data.records import all_texts, text_portions
from ocrexp.data.source import counted
from ocrexp.errors import DataError
from ocrexp.located import option
from ocrexp.types import Record

_WIDTH_STEP = 8  # pixels: widths that are proposed are multiples
_WIDTH_TRIES = 8
_WIDEST = 8192  # pixels: how many steps a wider image has is not tried


_Counts = npt.NDArray[np.int64]


class _Labels(NamedTuple):
    """Of each record's label: its characters, and the steps that CTC must emit for it."""

    characters: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]


def check_labels(
    records: Sequence[Record],
    charset: Charset,
    kinds: Iterable[str],
    max_text_length: int,
    steps: Callable[[int], int | None] | None = None,
    width: int | None = None,
) -> list[str]:
    """One line for each reason why training labels are dropped or changed: how many, what would keep them, and where.

    Args:
        records: of training.
        charset: of the model.
        kinds: of the model's heads, as TextTargets has them.
        max_text_length: that of the targets.
        steps: image width -> steps that CTC emits, None for a width that the model does not take.
        width: of the training images; without it, or without `steps`, CTC's steps are not looked at.

    Raises:
        DataError: a character that the charset's policy does not allow, or no label is left.
    """
    labels, coverage = _read(records, charset)
    lines = []
    lines += _changed(records, charset)
    if coverage.unknown:
        fate = (
            f"replaced by {option(charset, 'unknown_map')}" if charset.unknown == "map" else "dropped from the labels"
        )
        why = next((f"; {line}" for c, _ in coverage.unknown.most_common() if (line := charset.explain(c))), "")
        lines.append(f"{coverage.describe()}; {fate}, the first at {_first(coverage)}{why}")
    total = f"of {len(records)} labels"
    reasons: list[str] = []

    def add(what: str, where: npt.NDArray[np.bool_], counts: _Counts) -> None:
        found = np.flatnonzero(where)
        places = [f"{records[i].source} {short(records[i].texts[0])} ({counts[i]})" for i in found[:3].tolist()]
        reasons.extend(counted(what, places, len(found)))

    empty = labels.characters == 0
    what = f"{empty.sum()} {total} contain no character of the charset and are skipped"
    add(what, empty, labels.characters)

    long = labels.characters > max_text_length
    if long.any():
        keeps = f"targets.max_text_length={labels.characters.max()} keeps them all"
        what = (
            f"{long.sum()} {total} are longer than targets.max_text_length={max_text_length} and are skipped; {keeps}"
        )
        add(what, long, labels.characters)

    crowded = np.zeros(len(records), bool)
    if steps is not None and width is not None and "ctc" in kinds and (emitted := steps(width)) is not None:
        crowded = labels.steps > emitted
        if crowded.any():
            what = (
                f"{crowded.sum()} {total} need more than the {emitted} steps that CTC emits at width {width} (one more "
                "for each pair of equal neighbors) and are skipped; "
                + wider_advice(steps, width, emitted, int(labels.steps.max()))
            )
            add(what, crowded, labels.steps)
    if (empty | long | crowded).all():
        raise DataError(f"none of the {len(records)} training labels can be used: {'; '.join([*lines, *reasons])}")
    return [f"train: {line}" for line in [*lines, *reasons]]


def check_val_labels(records: Sequence[Record], charset: Charset) -> list[str]:
    """A line each if validation labels are normalized, and if they contain characters that the model cannot emit: how
    many, which, and where."""
    _, coverage = _read(records, from_saved(charset.saved(), charset.source))  # which refuses none
    lines = [f"val: {line}" for line in _changed(records, charset)]
    if coverage.unknown:
        lines.append(
            f"val: {coverage.describe()}; the model cannot read these labels correctly, the first at {_first(coverage)}"
        )
    return lines


def _changed(records: Sequence[Record], charset: Charset) -> list[str]:
    """A line if the charset's normalization makes other texts of labels than they are by Unicode: how many, of which
    characters, and where."""
    normalization = charset.normalization
    if not normalization.facts:
        return []
    counts: Counter[str] = Counter()
    first = ""
    labels = 0
    for i, text in enumerate(all_texts(records)):
        if text.isascii() and text.isprintable():
            continue
        if NFC(normalization(text)) != NFC(text):
            labels += 1
            first = first or records[i].source
            counts.update(c for c in text if NFC(normalization.entry(c)) != NFC(c))
    if not labels:
        return []
    shown = ", ".join(f"{describe_character(c)} {n}×" for c, n in counts.most_common(5))
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    return [
        f"{labels} of {len(records)} labels are changed by {normalization.setting}: {shown}{more}; the first at {first}"
    ]


def _read(records: Sequence[Record], charset: Charset) -> tuple[_Labels, CharsetCoverage]:
    """What the labels need, and which characters the charset lacks. Raises DataError if its policy does."""
    known = known_points(charset)
    characters = np.zeros(len(records), np.int64)
    steps = np.zeros(len(records), np.int64)
    others: list[int] = []
    start = 0
    for portion in text_portions(records):
        stop = start + len(portion)
        sound, characters[start:stop], steps[start:stop] = count_characters(
            list(map(charset.normalize, portion)), known
        )
        others += (np.flatnonzero(~sound) + start).tolist()
        start = stop
    coverage = charset.check((records[i].texts[0], records[i].source) for i in others)
    for i in others:
        positions = charset.encode(records[i].texts[0])  # `check` has let it pass
        characters[i] = len(positions)
        steps[i] = CTCCodec.steps_needed(positions)
    return _Labels(characters, steps), replace(coverage, texts=len(records))


def known_points(charset: Charset) -> npt.NDArray[np.bool_]:
    """Which code points are entries of their own, bool [code points]; none where entries have several: texts have to be
    taken apart then."""
    table = np.zeros(0x110000, bool)
    if all(len(entry) <= 1 for entry in charset.characters):
        table[[ord(entry) for entry in charset.characters if entry]] = True
    return table


def count_characters(
    texts: Sequence[str], known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], _Counts, _Counts]:
    """Of each text: whether it is made of known code points alone, how many it has, and CTC's steps for it."""
    points = code_points("\0".join(texts))
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    inside = np.ones(len(points) + 1, bool)
    inside[ends] = False  # what is between the texts
    strange = inside[:-1] & ~known[points]
    pairs = np.zeros(len(points) + 1, np.int64)
    pairs[1:-1] = (points[1:] == points[:-1]) & inside[1:-1] & inside[: len(points) - 1] if len(points) else 0
    starts = np.concatenate([[0], ends[:-1] + 1])
    sums, faults = (np.concatenate([[0], np.cumsum(each)]) for each in (pairs, strange))
    lengths = ends - starts
    return faults[ends] == faults[starts], lengths, lengths + sums[ends] - sums[starts]


def _first(coverage: CharsetCoverage) -> str:
    """Where the commonest unknown character is first."""
    return coverage.first[coverage.unknown.most_common(1)[0][0]]


def wider_advice(steps: Callable[[int], int | None], width: int, emitted: int, needed: int) -> str:
    """Advice that would keep the labels: about the smallest width at which CTC emits the needed steps."""
    tried = -(-width * needed // (emitted * _WIDTH_STEP)) * _WIDTH_STEP
    if tried > _WIDEST:
        return f"to keep them all, images would have to be about {tried} wide"
    for _ in range(_WIDTH_TRIES):
        found = steps(tried)
        if found is None:
            break
        if found >= needed:
            return f"images {tried} wide (model.image_shape) keep them all"
        tried += _WIDTH_STEP
    return "the model does not support images that are wide enough to keep them all"
