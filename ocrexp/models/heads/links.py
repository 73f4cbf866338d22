"""The graph network of DRRG (Zhang et al., arXiv 2003.07493, section 3.4): which text components belong together.

Names and shapes of the parameters are those of PaddleOCR's `GCN`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.data.targets.components import (
    HIDDEN,
    NORM_EPS,
    POOLED,
    WIDTHS,
    LocalGraphs,
    geometric_features,
    link_parameters,
    pooling_samples,
)
from ocrexp.models.layers import relu


class GraphConv(nn.Layer):
    """Each node's features beside those of its neighbors' mean, one linear layer, and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = self.create_parameter(
            [2 * in_channels, out_channels], default_initializer=initializer.XavierUniform()
        )
        self.bias = self.create_parameter([out_channels], is_bias=True)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Of nodes [graphs, nodes, in_channels] and the normalized adjacency [graphs, nodes, nodes]."""
        x = paddle.concat([x, paddle.bmm(adjacency, x)], axis=2)
        return relu(paddle.matmul(x, self.weight) + self.bias)


class GCN(nn.Layer):
    """Four graph convolutions, and a classifier for the links of each graph's pivot.

    Args:
        length: features of a component.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self._names = tuple(link_parameters(length))
        # Neither its statistics nor its scales are learned, as in PaddleOCR.
        fixed = {name: paddle.ParamAttr(trainable=False) for name in ("weight_attr", "bias_attr")}
        self.bn0 = nn.BatchNorm1D(length, epsilon=NORM_EPS, use_global_stats=True, **fixed)
        self._convolutions = []
        before = length
        for layer, width in enumerate(WIDTHS, start=1):
            self._convolutions.append(self.add_sublayer(f"conv{layer}", GraphConv(before, width)))
            before = width
        self.classifier = nn.Sequential(nn.Linear(before, HIDDEN), nn.PReLU(HIDDEN), nn.Linear(HIDDEN, 2))

    def forward(self, features: Tensor, graphs: LocalGraphs) -> Tensor:
        """Logits [graphs · k, 2] of the links `graphs.pairs()`, from features [components, length]."""
        count, nodes = graphs.nodes.shape
        x = features.index_select(paddle.to_tensor(graphs.nodes.reshape(-1))).reshape([count, nodes, self.length])
        x = self.bn0((x - x[:, :1]).reshape([-1, self.length])).reshape([count, nodes, self.length])
        adjacency = paddle.to_tensor(graphs.adjacency)
        for convolution in self._convolutions:
            x = convolution(x, adjacency)
        asked = graphs.asked + np.arange(count)[:, None] * nodes
        return self.classifier(x.reshape([count * nodes, -1]).index_select(paddle.to_tensor(asked.reshape(-1))))

    def as_vector(self) -> Tensor:
        """All parameters one after another, see `link_parameters`."""
        state = self.state_dict()
        return paddle.concat([state[name].flatten() for name in self._names])


def component_features(maps: Tensor, components: npt.NDArray[np.floating]) -> Tensor:
    """Features [n, length] of components (n, 6): pooled maps of one image [C, H, W], and geometry."""
    channels, height, width = maps.shape
    samples = pooling_samples(components, height, width)
    # Places as grid_sample takes them: -1 is the first pixel, 1 the last.
    places = np.stack([2 * samples.x / max(width - 1, 1) - 1, 2 * samples.y / max(height - 1, 1) - 1], axis=1)
    grid = paddle.to_tensor(places.astype(np.float32)).reshape([1, -1, 1, 2])
    read = F.grid_sample(maps.unsqueeze(0), grid, padding_mode="border", align_corners=True)
    weighted = read.reshape([channels, -1]).transpose([1, 0]) * paddle.to_tensor(samples.weights).unsqueeze(1)
    bins = POOLED[0] * POOLED[1]
    pooled = paddle.geometric.segment_sum(weighted, paddle.to_tensor(samples.bins))
    pooled = pooled.reshape([len(components), bins, channels]).transpose([0, 2, 1]).reshape([len(components), -1])
    return paddle.concat([pooled, paddle.to_tensor(geometric_features(components))], axis=1)
