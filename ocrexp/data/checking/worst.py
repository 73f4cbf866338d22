"""The samples of a data set that are hardest to learn: for people to look at, whether anything is wrong or not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.image_check import per_character
from ocrexp.data.checking.images import ImageTable
from ocrexp.data.checking.plan import DataFindings
from ocrexp.data.label_format import short

_EACH = 6


def find_worst(findings: DataFindings) -> None:
    """Add images with little contrast, with few pixels, and with many characters for their width."""
    table = findings.images
    if table is None or not table.usable().any():
        return
    usable = table.usable()
    _lowest(findings, "lowest contrast", np.where(usable, table.contrast, np.nan), "{:.1f} gray levels")
    sides = np.where(usable, np.minimum(table.height, table.width), np.nan)
    _lowest(findings, "fewest pixels", sides, "{:.0f} pixels on the shorter side")
    if findings.plan.task == "rec":
        _lowest(findings, "most characters for the width", _crowded(findings, table), "{:.2f} heights per character")


def _lowest(findings: DataFindings, what: str, values: npt.NDArray[np.float64], shown: str) -> None:
    table = findings.images
    assert table is not None
    order = np.argsort(values, kind="stable")[:_EACH]
    for row in order[np.isfinite(values[order])].tolist():
        label = _label(findings, row)
        detail = shown.format(values[row]) + (f", label {label}" if label else "")
        findings.worst.append((what, table.paths(row), detail))


def _crowded(findings: DataFindings, table: ImageTable) -> npt.NDArray[np.float64]:
    values = np.full(len(table), np.nan)
    for one, rows in zip(findings.entries, findings.rows, strict=True):
        some, elongated = per_character(one, rows, table)
        good = (rows >= 0) & np.isfinite(some) & elongated
        values[rows[good]] = some[good]
    return values


def _label(findings: DataFindings, row: int) -> str:
    if findings.plan.task == "det":
        return ""
    for one, rows in zip(findings.entries, findings.rows, strict=True):
        places = np.flatnonzero(rows == row)
        if len(places):
            return short(one.text(int(places[0])))
    return ""
