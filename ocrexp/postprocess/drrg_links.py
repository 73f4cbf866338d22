"""DRRG's graph network in NumPy: which text components belong together (Zhang et al., arXiv 2003.07493, section 3.4).

It computes what `models.heads.links` does, from the parameters that the deployed network gives as one vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.components import (
    NORM_EPS,
    POOLED,
    WIDTHS,
    Floats,
    LocalGraphs,
    geometric_features,
    link_parameters,
    node_length,
    pooling_samples,
)

_GRAPHS = 64  # at once, so that many components do not take all memory


class LinkNetwork:
    """The network for maps with this number of channels.

    Args:
        vector: float32 (P,), its parameters, see `link_parameters`.
        channels: of the maps that components are pooled from.

    Raises ValueError if the vector has another length.
    """

    def __init__(self, vector: Floats, channels: int) -> None:
        shapes = link_parameters(node_length(channels))
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        if len(vector) != sum(sizes):
            raise ValueError(f"graph: expected {sum(sizes)} numbers for {channels} maps, got {len(vector)}")
        pieces = np.split(vector, np.cumsum(sizes)[:-1])
        self._values = {name: piece.reshape(shapes[name]) for name, piece in zip(shapes, pieces, strict=True)}
        self._scale = self._values["bn0.weight"] / np.sqrt(self._values["bn0._variance"] + NORM_EPS)
        self._shift = self._values["bn0.bias"] - self._values["bn0._mean"] * self._scale

    def __call__(self, features: Floats, graphs: LocalGraphs) -> Floats:
        """Probabilities (graphs · k,) of the links `graphs.pairs()`, from features (components, length)."""
        # The first layer is linear in the difference to the pivot: its products are those of the components.
        length = features.shape[1]
        weight = self._values["conv1.weight"]
        own, near = ((features * self._scale) @ weight[rows] for rows in (slice(length), slice(length, None)))
        own_shift, near_shift = (self._shift @ weight[rows] for rows in (slice(length), slice(length, None)))
        found = []
        for start in range(0, len(graphs.nodes), _GRAPHS):
            nodes = graphs.nodes[start : start + _GRAPHS]
            adjacency = graphs.adjacency[start : start + _GRAPHS]
            pivots = nodes[:, :1]
            x = own[nodes] - own[pivots] + own_shift
            x = np.maximum(x + adjacency @ (near[nodes] - near[pivots] + near_shift) + self._values["conv1.bias"], 0)
            for layer in range(2, len(WIDTHS) + 1):
                x = np.concatenate([x, adjacency @ x], axis=2) @ self._values[f"conv{layer}.weight"]
                x = np.maximum(x + self._values[f"conv{layer}.bias"], 0)
            asked = graphs.asked[start : start + _GRAPHS]
            found.append(self._classified(np.take_along_axis(x, asked[:, :, None], axis=1).reshape(-1, WIDTHS[-1])))
        return np.concatenate(found)

    def _classified(self, x: Floats) -> Floats:
        x = x @ self._values["classifier.0.weight"] + self._values["classifier.0.bias"]
        x = np.where(x > 0, x, x * self._values["classifier.1._weight"])
        logits = x @ self._values["classifier.2.weight"] + self._values["classifier.2.bias"]
        return np.asarray(1 / (1 + np.exp(np.clip(logits[:, 0] - logits[:, 1], -80, 80))), np.float32)


def component_features(maps: Floats, components: npt.NDArray[np.floating]) -> Floats:
    """Features (n, length) of components (n, 6): pooled maps of one image (C, H, W), and geometry."""
    channels, height, width = maps.shape
    bins = POOLED[0] * POOLED[1]
    rows = np.ascontiguousarray(maps.reshape(channels, -1).T)  # a pixel's channels side by side
    pooled = np.zeros((len(components), channels, bins), np.float32)
    for start in range(0, len(components), _GRAPHS):
        part = components[start : start + _GRAPHS]
        samples = pooling_samples(part, height, width)
        left, top = samples.x.astype(np.int64), samples.y.astype(np.int64)
        right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
        x, y = samples.x - left, samples.y - top
        read = np.zeros((len(left), channels), np.float32)
        for row, share in ((top, 1 - y), (below, y)):
            for column, part_of_it in ((left, 1 - x), (right, x)):
                read += rows[row * width + column] * (share * part_of_it * samples.weights)[:, None]
        starts = np.searchsorted(samples.bins, np.arange(len(part) * bins))
        sums = np.add.reduceat(read, starts, axis=0).reshape(len(part), bins, channels)
        pooled[start : start + _GRAPHS] = sums.transpose(0, 2, 1)
    return np.concatenate([pooled.reshape(len(components), -1), geometric_features(components)], axis=1)
