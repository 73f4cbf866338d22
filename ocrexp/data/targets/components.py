"""Text components of DRRG (Zhang et al., arXiv 2003.07493): small rotated boxes along a text, and their local graphs.

What targets, head and postprocess share, with PaddleOCR's numbers. A component is (x, y, height, width, cos, sin): its
center, its size in pixels, and the direction from its bottom to its top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

NEAREST = 8  # components that a graph asks whether they are of its pivot's text
SECOND_HOP = 4  # of the nearest of each of these are in the graph too
LINKED = 3  # of its nearest each component is connected to in the graph
POOLED = (4, 3)  # bins of a component's features
GEOMETRY = 120  # numbers of a component's geometric features
WIDTHS = (512, 256, 128, 64)  # channels of the graph convolutions
HIDDEN = 32  # channels of the classifier of links
NORM_EPS = 1e-5
_WAVES = GEOMETRY // 6
_BASE = 1000
_ROWS = 256  # components whose distances are sorted at once


def node_length(channels: int) -> int:
    """Features of a component, from maps with this number of channels."""
    return POOLED[0] * POOLED[1] * channels + GEOMETRY


def link_parameters(length: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of the network that links components, by their names and in their order.

    `length` is that of the features of a component. As an output of a deployed network they are one vector.
    """
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("bn0.weight", "bn0.bias", "bn0._mean", "bn0._variance"), (length,)
    )
    for layer, width in enumerate(WIDTHS, start=1):
        shapes |= {f"conv{layer}.weight": (2 * length, width), f"conv{layer}.bias": (width,)}
        length = width
    return shapes | {
        "classifier.0.weight": (length, HIDDEN),
        "classifier.0.bias": (HIDDEN,),
        "classifier.1._weight": (HIDDEN,),
        "classifier.2.weight": (HIDDEN, 2),
        "classifier.2.bias": (2,),
    }


def component_boxes(
    centers: npt.NDArray[np.floating],
    top: npt.NDArray[np.floating],
    bottom: npt.NDArray[np.floating],
    direction: npt.NDArray[np.floating],
    ratio: float,
    limits: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Corners (n, 4, 2) of components, clockwise from the top left.

    Args:
        centers: (n, 2), x and y.
        top, bottom: (n,), distances to the upper and the lower side of the text.
        direction: (n, 2), unit vectors (cos, sin) from bottom to top.
        ratio: of width to height.
        limits: smallest and largest width.
    """
    upper = centers + top[:, None] * direction
    lower = centers - bottom[:, None] * direction
    half = np.clip((top + bottom) * ratio, *limits) / 2
    along = half[:, None] * direction[:, ::-1] * (-1, 1)  # a quarter turn: from left to right
    return np.stack([upper - along, upper + along, lower + along, lower - along], axis=1)


@dataclass(frozen=True)
class LocalGraphs:
    """Graphs around some components (their pivots); rows are padded to the largest graph with the pivot.

    Args:
        nodes: (graphs, nodes), indices of components, the pivot first.
        adjacency: float32 (graphs, nodes, nodes), normalized, 0 for padding.
        asked: (graphs, k), places of the pivot's nearest components in `nodes`, the nearest first.
    """

    nodes: Indices
    adjacency: Floats
    asked: Indices

    def pairs(self) -> Indices:
        """Pivot and nearest component of each link (graphs · k, 2)."""
        neighbors = np.take_along_axis(self.nodes, self.asked, axis=1)
        return np.stack(np.broadcast_arrays(self.nodes[:, :1], neighbors), axis=2).reshape(-1, 2)


def local_graphs(
    centers: npt.NDArray[np.floating], labels: npt.NDArray[np.integer] | None = None, overlap: float = 0.7
) -> LocalGraphs:
    """The graphs of two or more components by their centers (n, 2).

    With `labels` (n,), the numbers of the components' texts from 1 (0: none), a graph is dropped where the graph of a
    near component of the same text shares more than `overlap` (IoU) of its nodes.
    """
    count = len(centers)
    order = _by_distance(np.asarray(centers, np.float64))
    nearest = order[:, 1 : NEAREST + 1]
    members = np.zeros((count, count), bool)  # of each one's graph, without itself
    rows = np.arange(count)[:, None]
    members[rows, nearest] = True
    members[rows, order[:, 1 : SECOND_HOP + 1][nearest].reshape(count, -1)] = True
    np.fill_diagonal(members, False)
    pivots = np.arange(count) if labels is None else _distinct(members, nearest, np.asarray(labels), overlap)
    nodes, valid = _padded(members[pivots], pivots)
    linked = np.zeros((count, count), bool)
    linked[rows, order[:, 1 : LINKED + 1]] = True
    linked |= linked.T
    adjacency = linked[nodes[:, :, None], nodes[:, None, :]] & valid[:, :, None] & valid[:, None, :]
    asked = (nodes[:, None, :] == nearest[pivots][:, :, None]).argmax(axis=2)
    return LocalGraphs(nodes, _normalized(adjacency, valid), asked)


def _by_distance(centers: npt.NDArray[np.float64]) -> Indices:
    """For each component itself and the `NEAREST` others, the nearest first; fewer if there are fewer."""
    found = []
    for start in range(0, len(centers), _ROWS):
        own = np.arange(start, min(start + _ROWS, len(centers)))
        x, y = (centers[own, axis, None] - centers[None, :, axis] for axis in (0, 1))
        distances = x * x + y * y
        distances[own - start, own] = -1
        found.append(np.argsort(distances, axis=1, kind="stable")[:, : NEAREST + 1])
    return np.concatenate(found)


def _distinct(
    members: npt.NDArray[np.bool_], nearest: Indices, labels: npt.NDArray[np.integer], overlap: float
) -> Indices:
    """Pivots whose graphs none of those before them replaces."""
    count = len(members)
    shared = members.astype(np.float32) @ members.T.astype(np.float32)
    sizes = members.sum(axis=1)
    near = np.zeros((count, count), bool)
    near[np.arange(count)[:, None], nearest] = True
    same = (labels[:, None] == labels) & (labels > 0)
    replaces = (shared / (sizes[:, None] + sizes - shared + 1e-8) > overlap) & near & same  # [earlier, later]
    taken = np.zeros(count, bool)
    for pivot in range(count):
        taken[pivot] = not (replaces[:pivot, pivot] & taken[:pivot]).any()
    return np.flatnonzero(taken)


def _padded(members: npt.NDArray[np.bool_], pivots: Indices) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Nodes (graphs, nodes), the pivot first, and which of them are no padding."""
    sizes = members.sum(axis=1) + 1
    places = np.arange(int(sizes.max()))
    valid = places < sizes[:, None]
    nodes = np.repeat(pivots[:, None], len(places), axis=1)
    nodes[:, 1:][valid[:, 1:]] = np.nonzero(members)[1]
    return nodes, valid


def _normalized(adjacency: npt.NDArray[np.bool_], valid: npt.NDArray[np.bool_]) -> Floats:
    """D^-1/2 (A + I) D^-1/2 of each graph."""
    count = adjacency.shape[1]
    matrices = adjacency.astype(np.float32)
    diagonal = np.arange(count)
    matrices[:, diagonal, diagonal] += valid
    degrees = matrices.sum(axis=1)
    scale = np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0).astype(np.float32)
    return matrices * scale[:, :, None] * scale[:, None, :]


def geometric_features(components: npt.NDArray[np.floating]) -> Floats:
    """Features (n, 120) of components (n, 6): their numbers on waves of 20 lengths.

    PaddleOCR takes the sine for every second component and the cosine for the others, where DRRG alternates by wave;
    its weights have learned this.
    """
    lengths = np.power(_BASE, 2.0 * (np.arange(_WAVES) // 2) / _WAVES)
    angles = np.asarray(components, np.float64)[:, None, :] / lengths[:, None]
    angles[::2], angles[1::2] = np.sin(angles[::2]), np.cos(angles[1::2])
    return angles.reshape(len(angles), -1).astype(np.float32)


@dataclass(frozen=True)
class PoolingSamples:
    """Places at which maps are read for the features of components, those of a bin one after another.

    Args:
        x, y: float32 (n,), in pixels of the map, within it.
        weights: float32 (n,), 1 / number of places of the bin; 0 outside of the map, and for a component without size.
        bins: int64 (n,), number of the bin: 12 for each component, row by row.
    """

    x: Floats
    y: Floats
    weights: Floats
    bins: Indices


def pooling_samples(components: npt.NDArray[np.floating], height: int, width: int) -> PoolingSamples:
    """The places of a rotated RoI alignment, as many in each bin as it has pixels.

    `components` are (n, 6). As in PaddleOCR a box is as wide as its component is high, and turned by arccos(cos) with
    the sign of sin.
    """
    numbers = np.asarray(components, np.float64)
    angle = np.arccos(np.clip(numbers[:, 4], -1, 1)) * np.sign(numbers[:, 5])
    rows, columns = POOLED
    size = np.stack([numbers[:, 3] / rows, numbers[:, 2] / columns], axis=1)  # height and width of a bin
    counts = np.maximum(np.ceil(np.float32(size)), 1).astype(np.int64)
    per_bin = counts.prod(axis=1)
    bins = np.repeat(np.arange(len(numbers) * rows * columns), np.repeat(per_bin, rows * columns))
    starts = np.cumsum(np.repeat(per_bin, rows * columns)) - np.repeat(per_bin, rows * columns)
    within = np.arange(len(bins)) - starts[bins]
    owner, place = np.divmod(bins, rows * columns)
    row, column = np.divmod(place, columns)
    step_row, step_column = np.divmod(within, counts[owner, 1])
    down = size[owner, 0] * (row + (step_row + 0.5) / counts[owner, 0] - rows / 2)
    right = size[owner, 1] * (column + (step_column + 0.5) / counts[owner, 1] - columns / 2)
    cosine, sine = np.cos(angle)[owner], np.sin(angle)[owner]
    y = down * cosine - right * sine + numbers[owner, 1] - 0.5
    x = down * sine + right * cosine + numbers[owner, 0] - 0.5
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width) & (size[owner] > 0).all(axis=1)
    return PoolingSamples(
        np.clip(x, 0, width - 1).astype(np.float32),
        np.clip(y, 0, height - 1).astype(np.float32),
        (inside / per_bin[owner]).astype(np.float32),
        bins,
    )
