"""From DRRG's maps to text regions (Zhang et al., arXiv 2003.07493): components, their links, and outlines."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.components import local_graphs
from ocrexp.postprocess.drrg_components import Proposals, Proposer
from ocrexp.postprocess.drrg_links import LinkNetwork, component_features
from ocrexp.postprocess.source import to_source
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

LONGEST_LINK = 50.0  # pixels between the centers of two components
Map = npt.NDArray[np.float32]
Boxes = npt.NDArray[np.int32]  # (n, 4, 2)
Points = npt.NDArray[np.float64]  # (n, 2)


class DRRGPostprocess:
    """Regions of each image from the outputs of `DRRGHead`: `maps` [N, 6, H, W], `features` [N, C, H, W], and `graph`
    [P], the parameters of the network that links components.

    Args:
        link_thr: components are joined where the mean probability of their link is at least this.
        text_region_thr, center_region_thr: a pixel is text, or a center of text, if its probability is above it.
        center_region_area_thr: centers of up to this number of pixels are dropped.
        comp_score_thr: a pixel of a center proposes a component if its probability of text is above it.
        nms_thr: IoU above which neighboring components become one.
        comp_shrink_ratio: height of a component as a share of the text's.
        comp_ratio: width of a component as a share of its height.
        min_comp_width, max_comp_width: of a component, pixels.
        box_type: `poly` gives outlines; `quad` rotated rectangles of four points.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2) in the direction of reading, clipped to [0, width] and [0, height]; their scores are the mean
    probabilities of text. A component that is linked to no other one is dropped. Raises ValueError.
    """

    def __init__(
        self,
        link_thr: float = 0.8,
        text_region_thr: float = 0.3,
        center_region_thr: float = 0.4,
        center_region_area_thr: int = 50,
        comp_score_thr: float = 0.3,
        nms_thr: float = 0.3,
        comp_shrink_ratio: float = 1.03,
        comp_ratio: float = 0.4,
        min_comp_width: float = 8.0,
        max_comp_width: float = 24.0,
        box_type: str = "poly",
    ) -> None:
        thresholds = {
            "link_thr": link_thr,
            "text_region_thr": text_region_thr,
            "center_region_thr": center_region_thr,
            "comp_score_thr": comp_score_thr,
            "nms_thr": nms_thr,
        }
        for name, value in thresholds.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
        if not 0 < min_comp_width < max_comp_width:
            raise ValueError(
                f"min_comp_width: expected a number between 0 and max_comp_width={max_comp_width}, got {min_comp_width}"
            )
        if box_type not in ("quad", "poly"):
            raise ValueError(f"box_type: expected quad or poly, got {box_type!r}")
        self.link_thr = link_thr
        self.box_type = box_type
        self._propose = Proposer(
            text_region_thr,
            center_region_thr,
            center_region_area_thr,
            comp_score_thr,
            comp_shrink_ratio,
            comp_ratio,
            (min_comp_width, max_comp_width),
            nms_thr,
        )

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        maps, features = (np.asarray(outputs[name], np.float32) for name in ("maps", "features"))
        network = LinkNetwork(np.asarray(outputs["graph"], np.float32), maps.shape[1] + features.shape[1])
        shapes = np.asarray(batch["shape"], np.float64)
        return [self._regions(*image, network) for image in zip(maps, features, shapes, strict=True)]

    def _regions(self, maps: Map, features: Map, shape: npt.NDArray[np.float64], network: LinkNetwork) -> DetPrediction:
        maps = np.nan_to_num(maps, posinf=0.0, neginf=0.0)  # of a network that has diverged
        found = self._propose(np.concatenate([_sigmoid(maps[:2]), maps[2:]]))
        outlines, scores = [], []
        for members in self._texts(found, np.concatenate([features, maps]), network):
            outline = _around(found.boxes[members].astype(np.int32))
            if self.box_type == "quad":
                outline = cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32)))
            outlines.append(outline.astype(np.float64))
            scores.append(float(found.scores[members].mean()))
        return DetPrediction(polygons=to_source(outlines, shape), scores=scores)

    def _texts(self, found: Proposals, maps: Map, network: LinkNetwork) -> list[npt.NDArray[np.intp]]:
        """Indices of the components of each text."""
        count = len(found.boxes)
        if count < 2:
            return []
        graphs = local_graphs(found.numbers[:, :2])
        pairs = np.sort(graphs.pairs(), axis=1)
        scores = network(component_features(maps, found.numbers), graphs)
        centers = found.boxes.mean(axis=1)
        scores[np.linalg.norm(centers[pairs[:, 0]] - centers[pairs[:, 1]], axis=1) > LONGEST_LINK] = 0
        labels = _connected(count, _linked(pairs, scores, self.link_thr))
        return [members for members in _groups(labels) if len(members) > 1]


def _sigmoid(logits: Map) -> Map:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def _linked(pairs: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], threshold: float) -> list[tuple[int, int]]:
    """Pairs whose score is at least the threshold; a pair's later scores are averaged with what it has before."""
    means: dict[tuple[int, int], float] = {}
    for (one, other), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        before = means.get((one, other))
        means[one, other] = score if before is None else 0.5 * (before + score)
    return [pair for pair, score in means.items() if score >= threshold]


def _connected(count: int, links: list[tuple[int, int]]) -> npt.NDArray[np.intp]:
    """For each of `count` components the smallest index of those that it is connected with."""
    roots = list(range(count))

    def root(index: int) -> int:
        while roots[index] != index:
            roots[index] = roots[roots[index]]
            index = roots[index]
        return index

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        roots[second] = first
    return np.array([root(index) for index in range(count)])


def _groups(labels: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _around(boxes: Boxes) -> npt.NDArray[np.int64]:
    """The outline of the boxes of one text, along its upper side and back along its lower one."""
    boxes = boxes[_chain(boxes.mean(axis=1).astype(np.int64).astype(np.float64))]
    upper, lower = (boxes[:, corners].mean(axis=1).astype(np.int64) for corners in ([0, 1], [2, 3]))
    run = np.diff(boxes.mean(axis=1), axis=0).sum(axis=0)
    along = (boxes[:, 1] + boxes[:, 2] - boxes[:, 0] - boxes[:, 3]).sum(axis=0)
    if run @ along < 0:
        boxes, upper, lower = boxes[::-1], upper[::-1], lower[::-1]
    contour = np.concatenate([upper, lower[::-1]]).astype(np.int32)
    head, tail = _corners(boxes[0], contour), _corners(boxes[-1], contour)
    upper = np.concatenate([head[:1], upper, tail[:1]])
    lower = np.concatenate([head[1:], lower, tail[1:]])
    return np.concatenate([upper, lower[::-1]])


def _corners(box: npt.NDArray[np.int32], contour: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Upper and lower corner (2, 2) of an outer box at a side that is not inside of the outline; (0, 2) without one."""
    for corners in ([0, 3], [1, 2]):
        x, y = (box[corners].sum(axis=0) / 2).astype(int).tolist()
        if cv2.pointPolygonTest(contour, (x, y), False) <= 0:
            return box[corners].astype(np.int64)
    return np.zeros((0, 2), np.int64)


def _chain(centers: Points) -> list[int]:
    """All points in one line: from the first one, the point that is nearest to either end is added there."""
    left = np.ones(len(centers), bool)
    left[0] = False
    chain = [0]
    while left.any():
        others = np.flatnonzero(left)
        to_head, to_tail = (np.linalg.norm(centers[others] - centers[end], axis=1) for end in (chain[0], chain[-1]))
        if to_head.min() <= to_tail.min():
            chosen = int(others[to_head.argmin()])
            chain.insert(0, chosen)
        else:
            chosen = int(others[to_tail.argmin()])
            chain.append(chosen)
        left[chosen] = False
    return chain
