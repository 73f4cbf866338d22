"""What is wrong with the images of a data set, by their facts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.entries import Entries
from ocrexp.data.checking.figures import histogram
from ocrexp.data.checking.images import ImageTable, is_flat, kind_of_reason
from ocrexp.data.checking.near import confirmed, near_pairs
from ocrexp.data.checking.plan import DataFindings
from ocrexp.data.checking.problems import Place
from ocrexp.data.checking.repeats import groups_of_equals, label_hashes
from ocrexp.data.label_format import short

_LEAST_CHARACTERS = 4  # of a text whose width is compared with its image
_ELONGATED = 1.5  # aspect from which a text runs along the longer side: a slanted word has a square crop
_NARROW, _NARROW_SQUARE = 0.25, 0.15  # of the usual width per character, in such images and in others


def check_images(findings: DataFindings) -> None:
    """Report images that cannot be used, and what is odd about others."""
    table, plan = findings.images, findings.plan
    assert table is not None
    for one, rows in zip(findings.entries, findings.rows, strict=True):
        for i, row in enumerate(rows.tolist()):
            if row >= 0:
                _one_image(findings, table, row, one, i)
    usable = table.usable()
    sides = np.minimum(table.height, table.width)[usable]
    height, width = table.height[usable].astype(np.float64), table.width[usable].astype(np.float64)
    marks = {} if plan.image_shape is None else {"height of the model": float(plan.image_shape[0])}
    aspect = {} if plan.aspect is None else {"the model's images": plan.aspect}
    shapes = [
        histogram("sides", "Shorter sides of images", "pixels", [sides], marks, True),
        histogram("aspects", "Width / height of images", "ratio", [width / np.maximum(height, 1)], aspect),
    ]
    findings.histograms += filter(None, shapes)
    if plan.task == "rec":
        _narrow_images(findings, table)


def _one_image(findings: DataFindings, table: ImageTable, row: int, one: Entries, i: int) -> None:
    problems, min_side = findings.problems, findings.plan.min_side
    reason = table.reasons[table.reason[row]]
    flat = not reason and is_flat(float(table.contrast[row]))
    small = not reason and min(table.height[row], table.width[row]) < min_side
    turned = table.orientation[row] != 1
    if not (reason or flat or small or turned or row in table.damage or row in table.formats):
        return
    place, path = one.place(i), table.paths(row)
    name = short(path.name)
    if reason:
        problems.add(kind_of_reason(reason), place, f"{name}: {reason}", None, path)
        return
    size = f"{table.width[row]}×{table.height[row]}"
    if small:
        problems.add("image-too-small", place, f"{name} has {size} pixels, {min_side} per side are needed", image=path)
    elif flat:
        problems.add("image-near-empty", place, f"{name} has one color", image=path)
    if turned:
        what = f"{name} is rotated by EXIF orientation {table.orientation[row]}, to {size}"
        problems.add("image-exif", place, what, image=path)
    if row in table.damage:
        problems.add("image-damaged", place, f"{name}: {table.damage[row]}", image=path)
    if row in table.formats:
        problems.add("image-suffix", place, f"{name} is in the format {table.formats[row]}", image=path)


def _narrow_images(findings: DataFindings, table: ImageTable) -> None:
    """Report texts for which their image is much too narrow: a wrong label, or a cut box."""
    widths = [per_character(one, rows, table) for one, rows in zip(findings.entries, findings.rows, strict=True)]
    every = np.concatenate([some for some, _ in widths])
    if not np.isfinite(every).any():
        return
    usual = float(np.nanmedian(every))
    for one, rows, (some, elongated) in zip(findings.entries, findings.rows, widths, strict=True):
        for i in np.flatnonzero(some < usual * np.where(elongated, _NARROW, _NARROW_SQUARE)).tolist():
            row, text = int(rows[i]), one.text(i)
            what = (
                f"{short(text)} has {len(text)} characters on {table.width[row]}×{table.height[row]} pixels, "
                f"{some[i] / usual:.2f} of the usual width"
            )
            findings.problems.add("text-width", one.place(i), what, image=table.paths(row))


def per_character(
    one: Entries, rows: npt.NDArray[np.int64], table: ImageTable
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Aspect of each image divided by the characters of its text, NaN for short texts, and whether it is elongated."""
    lengths = np.concatenate([np.array([len(text) for text in texts]) for texts in one.texts()] or [np.zeros(0)])
    # Row -1, of an entry without an image, is the 0 at the end.
    height, width = (np.append(side, 0)[rows] for side in (table.height, table.width))
    ratio = np.maximum(height, width) / np.maximum(np.minimum(height, width), 1)
    usable = (height > 0) & (lengths >= _LEAST_CHARACTERS)
    return np.where(usable, ratio / np.maximum(lengths, 1), np.nan), ratio >= _ELONGATED


def repeated_images(
    findings: DataFindings, train: npt.NDArray[np.int64], val: npt.NDArray[np.int64], first: npt.NDArray[np.int64]
) -> None:
    """Report equal and nearly equal images, within the data and between training and validation.

    Args:
        findings: with the facts of the images.
        train: rows of the training images.
        val: rows of the validation images.
        first: the first entry of each row, by its number among all.
    """

    def place(row: int) -> Place:
        return findings.place_of(int(first[row]))

    table, problems = findings.images, findings.problems
    assert table is not None
    in_train, in_val = np.zeros(len(table), bool), np.zeros(len(table), bool)
    in_train[train], in_val[val] = True, True
    labels = _labels_by_row(findings, len(table))
    copies = np.zeros(len(table), bool)
    read = np.flatnonzero(table.content)
    for group in groups_of_equals(table.content[read]):
        rows = sorted(read[group].tolist(), key=lambda row: (not in_train[row], first[row]))
        for row in rows[1:]:
            copies[row] = True
            other = f"{short(table.paths(row).name)} is equal to {short(table.paths(rows[0]).name)} ({place(rows[0])})"
            if in_val[row] and not in_train[row] and in_train[rows[0]]:
                problems.add("leak-content", place(row), other, image=table.paths(row))
            else:
                problems.add("image-duplicate", place(row), other, image=table.paths(row))
            if labels is not None and labels[row] != labels[rows[0]]:
                problems.add("image-same-labels-differ", place(row), other, image=table.paths(row))
    _near(findings, table, in_train, in_val, copies, labels, first)


def _near(
    findings: DataFindings,
    table: ImageTable,
    in_train: npt.NDArray[np.bool_],
    in_val: npt.NDArray[np.bool_],
    copies: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int64] | None,
    first: npt.NDArray[np.int64],
) -> None:
    aspects = table.width / np.maximum(table.height, 1).astype(np.float64)
    useful = table.usable() & ~copies
    pairs = near_pairs(table.bits, np.maximum(aspects, 1e-3), useful)
    if labels is not None:  # crops of other texts are other images, however alike
        pairs = [(i, j) for i, j in pairs if labels[i] == labels[j]]

    def shape(row: int) -> tuple[int, int]:
        return int(table.height[row]), int(table.width[row])

    good, rest = confirmed(pairs, table.paths, shape, findings.plan.most_pairs)
    if rest:
        findings.not_looked.append(f"{rest} pairs of similar images (most_pairs={findings.plan.most_pairs})")
    leaked: set[int] = set()
    for i, j in good:
        a, b = sorted((i, j), key=lambda row: (not in_train[row], first[row]))  # a: the training image, or the earlier
        place = findings.place_of(int(first[b]))
        other = findings.place_of(int(first[a]))
        what = f"{short(table.paths(b).name)} is nearly equal to {short(table.paths(a).name)} ({other})"
        if in_train[a] and in_val[b] and not in_train[b]:
            if b not in leaked:
                findings.problems.add("leak-near", place, what, image=table.paths(b))
            leaked.add(b)
        else:
            findings.problems.add("image-near", place, what, image=table.paths(b))


def _labels_by_row(findings: DataFindings, rows: int) -> npt.NDArray[np.int64] | None:
    """A hash of the label of each image's first entry; None where labels are regions."""
    if findings.plan.task == "det":
        return None
    labels = np.zeros(rows, np.int64)
    for one, of_list in reversed(list(zip(findings.entries, findings.rows, strict=True))):
        known = of_list >= 0
        labels[of_list[known][::-1]] = label_hashes(one)[known][::-1]
    return labels
