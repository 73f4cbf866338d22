"""Outlines as Fourier coefficients, and the sides of a line of text: the geometry of FCENet (arXiv 2104.10442).

Numbers are those of PaddleOCR's FCENetTargets; nothing loops over the points of a polygon.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (n, 2), x then y
_SAMPLES = 400  # points at which an outline is sampled
_TOP = 8  # of the samples nearest to the middle column, the outline begins at the topmost
_SLOPE_EPS = 1e-8


def fourier_signature(polygon: Points, degree: int) -> npt.NDArray[np.complex128] | None:
    """Coefficients -degree to degree of an outline that begins at its top and runs clockwise on screen; None for one
    without a length."""
    samples = _sampled(polygon)
    if len(samples) <= 2 * degree:
        return None
    from_center = samples - samples.mean(axis=0)
    middle = np.argsort(np.abs(from_center[:, 0]))[:_TOP]
    start = int(middle[np.argmin(from_center[middle, 1])])
    points = np.concatenate([samples[start:], samples[:start]])
    spectrum = np.fft.fft(points[:, 0] + 1j * points[:, 1]) / len(points)
    signature = np.concatenate([spectrum[-degree:], spectrum[: degree + 1]])
    sizes = np.abs(signature)
    forward, backward = sizes[degree + 1], sizes[degree - 1]
    if forward == backward and degree > 1:
        forward, backward = sizes[degree + 2], sizes[degree - 2]
        return signature if forward > backward else signature[::-1]
    return signature if forward >= backward else signature[::-1]


def _sampled(polygon: Points) -> Points:
    """About `_SAMPLES` points along the outline: on each side whole steps from its start."""
    sides = _following(polygon) - polygon
    lengths = _norms(sides)
    counts = (lengths / (lengths.sum() + _SLOPE_EPS) * _SAMPLES).astype(np.int32)
    owners = np.repeat(np.arange(len(polygon)), counts)
    steps = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return polygon[owners] + sides[owners] / np.maximum(counts, 1)[owners, None] * steps[:, None]


def with_four_points(polygon: Points) -> Points:
    """A triangle gets a point in the middle of its longest side."""
    while len(polygon) < 4:
        lengths = np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1)
        longest = int(lengths.argmax())
        middle = (polygon[longest] + polygon[(longest + 1) % len(polygon)]) / 2
        polygon = np.insert(polygon, longest + 1, middle, axis=0)
    return polygon


def side_lines(points: Points, orientation: float = 2.0) -> tuple[Points, Points]:
    """The two long sides of a line of text, each in the polygon's order: the rest of the outline without its ends.

    Args:
        points: four or more.
        orientation: a quadrilateral that is this many times as high as wide is read downwards.
    """
    (_, first), (_, second) = _ends(points, orientation)
    if second < 1:
        second = len(points)
    twice = np.concatenate([points, points])
    one, other = twice[first:second], twice[second : first + len(points)]
    return (other, one) if (one.mean(axis=0) - other.mean(axis=0))[1] > 0 else (one, other)


def _ends(points: Points, orientation: float) -> tuple[list[int], list[int]]:
    """Indices of the points of the two short sides."""
    if len(points) == 4:
        return _ends_of_quadrilateral(points, orientation)
    count = len(points)
    score = _end_scores(points)
    places = np.arange(count - 3)
    distance = (places / float(count - 4) - 0.5) / 0.5
    bell = np.exp(-np.power(distance, 2.0) / 2)
    bell = bell / bell.max()
    pairs = score[:, None] + score[(np.arange(count)[:, None] + 2 + places) % count] * bell * 0.3
    head, gap = divmod(int(pairs.argmax()), count - 3)
    tail = (head + gap + 2) % count
    ends = [head, (head + 1) % count], [tail, (tail + 1) % count]
    return ends if ends[0][1] <= ends[1][1] else (ends[1], ends[0])


def _end_scores(points: Points) -> npt.NDArray[np.float64]:
    """How much each side looks like an end: it is turned against its neighbors, which run opposite to each other, and
    it is far from the center."""
    count = len(points)
    sides = _following(points) - points
    units = sides / (_norms(sides) + _SLOPE_EPS)[:, None]
    before, after = np.concatenate([units[-1:], units[:-1]]), _following(units)
    turns = _angles(units, before) + _angles(units, after)
    distances = _norms(points - points.mean(axis=0))
    far = np.maximum(_following(distances), distances)
    position = np.zeros(count)
    if count % 2 == 0:  # labels begin at the first letter, and have as many points above as below
        position[[count // 2 - 1, -1]] += 1
    score = 0.5 * (turns / np.pi) + 0.15 * (_angles(before, after) / np.pi)
    score = score + 0.35 * (far / far.max())
    return np.asarray(score + 0.1 * position)


def _angles(one: Points, other: Points) -> npt.NDArray[np.float64]:
    """Angles between unit vectors, row by row."""
    return np.asarray(np.arccos(np.clip((one * other).sum(axis=1), -1.0, 1.0)))


def _ends_of_quadrilateral(points: Points, orientation: float) -> tuple[list[int], list[int]]:
    sides = _following(points) - points
    slopes = np.abs(sides[:, 1] / (sides[:, 0] + _SLOPE_EPS))
    lengths = _norms(sides)
    level, upright = ([0, 1], [2, 3]), ([3, 0], [1, 2])
    level_length, upright_length = lengths[0] + lengths[2], lengths[1] + lengths[3]
    if slopes[0] + slopes[2] >= slopes[1] + slopes[3]:
        level, upright, level_length, upright_length = upright, level, upright_length, level_length
    return level if upright_length > level_length * orientation else upright


def resampled(line: Points, count: int) -> Points:
    """`count` + 1 points at equal steps along a line."""
    steps = line[1:] - line[:-1]
    lengths = _norms(steps)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.arange(1, count) * (lengths.sum() / (count + _SLOPE_EPS))
    edges = np.minimum(np.searchsorted(ends, wanted, side="right") - 1, len(lengths) - 1)
    share = (wanted - ends[edges]) / np.maximum(lengths[edges], np.finfo(np.float64).tiny)
    between = line[edges] + steps[edges] * share[:, None]
    return np.concatenate([line[:1], between, line[-1:]])


def center_boxes(polygon: Points, step: float, shrink: float) -> npt.NDArray[np.int32]:
    """The band around the middle line of a text, in quadrilaterals (n, 4, 2).

    Args:
        polygon: four or more points.
        step: length of a quadrilateral, in pixels.
        shrink: width of the band as a share of the text's height; its ends are a quarter of the height away from the
            text's ends.
    """
    top, bottom = side_lines(polygon)
    length = (_length(top) + _length(bottom)) / 2
    count = max(int(length / step), 1)
    top, bottom = resampled(top, count), resampled(bottom, count)[::-1]
    center = (top + bottom) / 2
    head, tail = (int(np.linalg.norm(top[i] - bottom[i]) / 4.0 // step) for i in (0, -1))
    if len(center) > head + tail + 2:
        kept = slice(head, len(center) - tail)
        center, top, bottom = center[kept], top[kept], bottom[kept]
    upper, lower = center + (top - center) * shrink, center + (bottom - center) * shrink
    return np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], axis=1).astype(np.int32)


def _length(line: Points) -> float:
    return float(_norms(line[1:] - line[:-1]).sum())


def _following(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each row's next one, the first after the last; `np.roll` takes four times as long for a few rows."""
    return np.concatenate([rows[1:], rows[:1]])


def _norms(vectors: Points) -> npt.NDArray[np.float64]:
    """Lengths of the rows."""
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=1)))
