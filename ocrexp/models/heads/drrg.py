"""The head of DRRG (Zhang et al., arXiv 2003.07493): maps of text and its geometry, and links between components.

Names and shapes of the parameters are those of PaddleOCR's `DRRGHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import paddle
from paddle import Tensor, nn

from ocrexp.data.targets.components import local_graphs, node_length
from ocrexp.models.heads.links import GCN, component_features
from ocrexp.models.layers import Conv2D, full_precision

MAPS = 6  # text, center of text, sin, cos, distances to the upper and the lower side


class DRRGHead(nn.Layer):
    """One convolution for the maps, and a graph network for the links between text components.

    Args:
        in_channels: channels of the neck's map (the model fills this in).
        local_graph_thr: of graphs of one text around near components with a larger overlap (IoU) one is learned.

    `forward(features [N, in_channels, H, W])` gives `maps` [N, 6, H, W]: logits of text and of its center, sin and cos
    of the direction from its bottom to its top (of any length), distances to its upper and its lower side in pixels.

    In evaluation also `features` [N, in_channels, H, W] and `graph` [P], the parameters of the graph network in one
    vector: which components are asked depends on the maps, which no static graph can express, so the postprocess runs
    the graph network. In training, with the targets' `gt_components`, also `links` [L, 2], logits of whether a pair of
    components belongs together, and `linked` int64 [L], whether it does. All are float32 in mixed precision too.
    """

    needs_targets = True
    output: ClassVar[str] = "maps"
    outputs: ClassVar[tuple[str, ...]] = ("maps", "features", "graph")

    def __init__(self, in_channels: int, local_graph_thr: float = 0.7) -> None:
        super().__init__()
        if not 0 <= local_graph_thr <= 1:
            raise ValueError(f"local_graph_thr: expected a number from 0 to 1, got {local_graph_thr}")
        self.local_graph_thr = local_graph_thr
        self.out_conv = Conv2D(in_channels, MAPS, 1)
        self.gcn = GCN(node_length(in_channels + MAPS))

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        maps = self.out_conv(x)
        with full_precision():
            maps, x = maps.astype("float32"), x.astype("float32")
            if not self.training:
                return {"maps": maps, "features": x, "graph": self.gcn.as_vector()}
            if targets is None:
                raise ValueError("DRRGHead needs the targets in training")
            return {"maps": maps, **self._links(paddle.concat([x, maps], axis=1), targets["gt_components"])}

    def _links(self, features: Tensor, components: Tensor) -> dict[str, Tensor]:
        links, linked = [], []
        for image, numbers in zip(features, components.numpy(), strict=True):
            numbers = numbers[: int(numbers[0, 0])]
            labels = numbers[:, 7].astype(np.int64)
            graphs = local_graphs(numbers[:, 1:3], labels, self.local_graph_thr)
            links.append(self.gcn(component_features(image, numbers[:, 1:7]), graphs))
            pivots, others = labels[graphs.pairs()].T
            linked.append(((pivots == others) & (pivots > 0)).astype(np.int64))
        return {"links": paddle.concat(links), "linked": paddle.to_tensor(np.concatenate(linked))}
