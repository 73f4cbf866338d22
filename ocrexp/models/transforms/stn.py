"""Rectification of ASTER (Shi et al., TPAMI 2018), which PaddleOCR's SVTR has in front: control points in 0..1, found
on a small copy of the image.

Names and shapes of the parameters are those of PaddleOCR's `STN_ON`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import Conv2D, full_precision
from ocrexp.models.transforms.sampling import sample

Points = npt.NDArray[np.float64]  # (n, 2), x then y, in 0..1

_MARGIN = 0.01  # of the control points at the start
_WIDTHS = (32, 64, 128, 256, 256, 256)
_HIDDEN = 512


class STN(nn.Layer):
    """Small image [N, C, *input_size] to control points [N, num_ctrlpoints, 2]."""

    def __init__(self, in_channels: int, num_ctrlpoints: int, input_size: Sequence[int], activation: str) -> None:
        super().__init__()
        layers: list[nn.Layer] = []
        for index, width in enumerate(_WIDTHS):
            if index:
                layers.append(nn.MaxPool2D(kernel_size=2, stride=2))
            draw = nn.initializer.Normal(mean=0.0, std=math.sqrt(2 / (9 * width)))
            conv = Conv2D(in_channels, width, 3, padding=1, weight_attr=draw, bias_attr=nn.initializer.Constant(0.0))
            layers.append(nn.Sequential(conv, nn.BatchNorm2D(width), nn.ReLU()))
            in_channels = width
        self.stn_convnet = nn.Sequential(*layers)
        shrink = 2 ** (len(_WIDTHS) - 1)
        features = in_channels * (input_size[0] // shrink) * (input_size[1] // shrink)
        self.stn_fc1 = nn.Sequential(
            nn.Linear(
                features,
                _HIDDEN,
                weight_attr=nn.initializer.Normal(0.0, 0.001),
                bias_attr=nn.initializer.Constant(0.0),
            ),
            nn.BatchNorm1D(_HIDDEN),
            nn.ReLU(),
        )
        start = _border_points(num_ctrlpoints, _MARGIN, _MARGIN)
        if activation == "sigmoid":
            start = -np.log(1 / start - 1)
        self.stn_fc2 = nn.Linear(
            _HIDDEN,
            num_ctrlpoints * 2,
            weight_attr=nn.initializer.Constant(0.0),
            bias_attr=nn.initializer.Assign(start.reshape(-1).astype(np.float32)),
        )
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.stn_fc1(self.stn_convnet(x).flatten(1))
        x = self.stn_fc2(0.1 * x)
        if self._activation == "sigmoid":
            x = F.sigmoid(x)
        return x.reshape([0, -1, 2])


class STNOn(nn.Layer):
    """Rectifies images before the backbone sees them.

    Args:
        tps_inputsize: height and width of the copy on which the points are found; multiples of 32.
        tps_outputsize: height and width of the rectified image: the backbone's img_size.
        num_control_points: points, half of them along the top, half along the bottom.
        tps_margins: of the points in the rectified image (x, y), as shares of its sides.
        stn_activation: `none`, or `sigmoid` to keep the points inside the image.
        in_channels: channels of the image.

    `forward(images [N, C, H, W])` of any size gives [N, C, *tps_outputsize].
    """

    def __init__(
        self,
        tps_inputsize: Sequence[int] = (32, 64),
        tps_outputsize: Sequence[int] = (32, 100),
        num_control_points: int = 20,
        tps_margins: Sequence[float] = (0.05, 0.05),
        stn_activation: Literal["none", "sigmoid"] = "none",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if stn_activation not in ("none", "sigmoid"):
            raise ValueError(f"stn_activation: expected none or sigmoid, got {stn_activation}")
        if any(side % 32 or side < 32 for side in tps_inputsize):
            raise ValueError(f"tps_inputsize: expected multiples of 32, got {list(tps_inputsize)}")
        if num_control_points < 4 or num_control_points % 2:
            raise ValueError(f"num_control_points: expected an even number, 4 or more, got {num_control_points}")
        self.stn_head = STN(in_channels, num_control_points, tps_inputsize, stn_activation)
        self._input_size = list(tps_inputsize)
        self._output_size = list(tps_outputsize)
        solution = _grid_matrix(tps_outputsize, _border_points(num_control_points, *tps_margins))
        # An array, not a buffer: a model that is cast to half precision takes its buffers with it.
        self._grid_matrix = solution.astype(np.float32)
        self.out_channels = in_channels

    def forward(self, image: Tensor) -> Tensor:
        points = self.stn_head(self._small(image))
        with full_precision():
            grid = paddle.matmul(paddle.to_tensor(self._grid_matrix), points.astype("float32")).clip(0, 1)
        return sample(image, (2.0 * grid - 1.0).reshape([0, *self._output_size, 2]), self.training)

    def _small(self, image: Tensor) -> Tensor:
        """The copy on which the points are found, by bilinear interpolation that keeps the corners."""
        if paddle.in_dynamic_mode():
            return F.interpolate(image, self._input_size, mode="bilinear", align_corners=True)
        # In exported graphs of paddle 3.3 oneDNN refuses interpolation; sizes are fixed there.
        rows, columns = map(_interpolation, self._input_size, image.shape[2:])
        return paddle.matmul(paddle.matmul(paddle.to_tensor(rows), image), paddle.to_tensor(columns.T))


def _interpolation(size: int, source: int) -> npt.NDArray[np.float32]:
    """[size, source]: linear interpolation from `source` values to `size`, the first and the last kept."""
    place = np.linspace(0, source - 1, size)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(source))).astype(np.float32)


def _border_points(count: int, margin_x: float, margin_y: float) -> Points:
    x = np.linspace(margin_x, 1.0 - margin_x, count // 2)
    top = np.stack([x, np.full_like(x, margin_y)], axis=1)
    bottom = np.stack([x, np.full_like(x, 1.0 - margin_y)], axis=1)
    return np.concatenate([top, bottom])


def _kernel(a: Points, b: Points) -> Points:
    """r² log r between all points, 0 at r = 0."""
    squared = ((a[:, None] - b) ** 2).sum(axis=2)
    return 0.5 * squared * np.log(np.where(squared > 0, squared, 1))


def _grid_matrix(size: Sequence[int], targets: Points) -> Points:
    """[height · width, n]: a source point of every pixel is this matrix times the n control points.

    The spline's system is solved once: the last three rows of its right side are 0, so only n columns matter.
    """
    count = len(targets)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(targets, targets)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = targets
    system[count + 1 :, :count] = targets.T
    y, x = np.mgrid[: size[0], : size[1]]
    pixels = np.stack([x / (size[1] - 1), y / (size[0] - 1)], axis=2).reshape(-1, 2)
    basis = np.concatenate([_kernel(pixels, targets), np.ones((len(pixels), 1)), pixels], axis=1)
    return (basis @ np.linalg.inv(system))[:, :count]
