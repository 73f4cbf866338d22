"""A question to a data set: which samples, in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.browsing.search import containing, matching
from ocrexp.nearest import expected_one_of

Numbers = npt.NDArray[np.int64]
SORTS = ("list", "length", "area", "width", "height", "aspect")
ANY, NONE = "any", "none"  # of problems
_MEASURES = ("length", "width", "height")
_MOST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Query:
    """Filters, all of which must hold, and the order.

    Args:
        split: "train" or "val"; "": both.
        text: part of the text; with `regex` a regular expression.
        match_case: whether capital and small letters differ.
        problem: a kind of `check-data`, `any` or `none`; "": not asked.
        bounds: least and most `length`, `width` or `height`, both included.
        sort: one of SORTS; `list` is the order of the lists. Samples whose value is unknown come last.
    """

    split: str = ""
    text: str = ""
    regex: bool = False
    match_case: bool = False
    problem: str = ""
    bounds: tuple[tuple[str, int, int], ...] = ()
    sort: str = "list"
    descending: bool = False


def read_query(values: Mapping[str, str]) -> Query:
    """The question in the parameters of an address. Raises ValueError for an invalid value."""
    split, sort = values.get("split", ""), values.get("sort", "list")
    if split not in ("", "train", "val"):
        raise ValueError(f"split: expected train or val, got {split!r}")
    if sort not in SORTS:
        raise ValueError(f"sort: {expected_one_of(sort, SORTS)}")
    bounds = []
    for name in _MEASURES:
        least, most = whole(values, f"min_{name}", 0), whole(values, f"max_{name}", _MOST)
        if f"min_{name}" in values or f"max_{name}" in values:
            bounds.append((name, least, most))
    return Query(
        split, values.get("text", ""), _is_on(values, "regex"), _is_on(values, "case"), values.get("problem", ""),
        tuple(bounds), sort, _is_on(values, "descending"),
    )  # fmt: skip


def whole(values: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the parameters. Raises ValueError for anything else."""
    text = values.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:12]) <= _MOST):
        raise ValueError(f"{name}: expected a whole number, got {text[:40]!r}")
    return int(text)


def _is_on(values: Mapping[str, str], name: str) -> bool:
    return values.get(name) == "1"


def select(
    index: DataIndex, query: Query, with_problem: Callable[[str], Numbers], seconds: float = 3.0
) -> tuple[Numbers, int]:
    """The numbers of the samples that a query asks for, in its order; and how many of them it could not judge, because
    their text or size is not read yet.

    Args:
        index: of the data set.
        query: the question.
        with_problem: numbers of the samples with a problem of a kind, or with `any`.
        seconds: that a regular expression may take.

    Raises ValueError for an invalid expression, or one that takes longer.
    """
    kept = np.ones(len(index), bool)
    if query.split:
        kept[:] = False
        own = index.range_of(query.split)
        kept[own.start : own.stop] = True
    unknown = np.zeros(len(index), bool)
    if query.problem:
        found = np.zeros(len(index), bool)
        found[with_problem(ANY if query.problem == NONE else query.problem)] = True
        kept &= found if query.problem != NONE else ~found
    for name, least, most in query.bounds:
        values = {"length": index.lengths, "width": index.widths, "height": index.heights}[name]
        unknown |= values < (0 if name == "length" else 1)
        kept &= (values >= least) & (values <= most) | unknown
    if query.text:
        has = np.zeros(len(index), bool)
        packed, known = index.packed_texts()
        if known:
            has[:known] = (
                matching(packed, query.text, query.match_case, seconds)
                if query.regex
                else containing(packed, query.text, query.match_case)
            )
        unknown[known:] = True
        kept &= has | unknown
    numbers = np.flatnonzero(kept & ~unknown)
    return _ordered(index, query, numbers), int((kept & unknown).sum())


def _ordered(index: DataIndex, query: Query, numbers: Numbers) -> Numbers:
    if query.sort == "list":
        return numbers[::-1] if query.descending else numbers
    heights, widths = index.heights[numbers].astype(np.float64), index.widths[numbers].astype(np.float64)
    values = {
        "length": index.lengths[numbers].astype(np.float64),
        "area": heights * widths,
        "width": widths,
        "height": heights,
        "aspect": np.divide(widths, heights, out=np.zeros_like(widths), where=heights > 0),
    }[query.sort]
    unknown = values < 0 if query.sort == "length" else values <= 0
    return numbers[np.lexsort((numbers, -values if query.descending else values, unknown))]
