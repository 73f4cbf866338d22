"""Thin-plate spline rectification of RARE (Shi et al., arXiv 1603.03915): fiducial points found by a small network.

Names and shapes of the parameters are those of PaddleOCR's `tps`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.models.layers import ConvBN, full_precision
from ocrexp.models.transforms.sampling import sample

Points = npt.NDArray[np.float64]  # (n, 2), x then y

_SIZES = {"large": ((64, 128, 256, 512), 256), "small": ((16, 32, 64, 128), 64)}
_EPS = 1e-6


class LocalizationNetwork(nn.Layer):
    """Image to fiducial points [N, num_fiducial, 2] in -1..1; at the start the wedge of the paper's figure 6a."""

    def __init__(self, in_channels: int, num_fiducial: int, loc_lr: float, model_name: str) -> None:
        super().__init__()
        widths, hidden = _SIZES[model_name]
        for index, width in enumerate(widths):
            self.add_sublayer(f"loc_conv{index}", ConvBN(in_channels, width, 3))
            in_channels = width
        self._convs = len(widths)
        slow = paddle.ParamAttr(learning_rate=loc_lr)
        self.fc1 = nn.Linear(in_channels, hidden, weight_attr=slow)
        self.fc2 = nn.Linear(
            hidden,
            num_fiducial * 2,
            weight_attr=paddle.ParamAttr(learning_rate=loc_lr, initializer=nn.initializer.Constant(0.0)),
            bias_attr=paddle.ParamAttr(
                learning_rate=loc_lr, initializer=nn.initializer.Assign(initial_points(num_fiducial).reshape(-1))
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        for index in range(self._convs):
            x = getattr(self, f"loc_conv{index}")(x)
            if index < self._convs - 1:
                x = F.max_pool2d(x, kernel_size=2, stride=2)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = self.fc2(F.relu(self.fc1(x)))
        return x.reshape([0, -1, 2])


class GridGenerator(nn.Layer):
    """Fiducial points to the sampling grid.

    Its linear layer adds the affine part in PaddleOCR, is 0 and never learns (rate 0, no gradient); it is kept for
    the names and is loaded.
    """

    def __init__(self, num_fiducial: int) -> None:
        super().__init__()
        never = paddle.ParamAttr(learning_rate=0.0, initializer=nn.initializer.Constant(0.0))
        self.fc = nn.Linear(num_fiducial * 2, 6, weight_attr=never, bias_attr=never)
        self._targets = _target_points(num_fiducial)
        # Arrays, not buffers: a model that is cast to half precision takes its buffers with it.
        self._inverse = np.linalg.inv(_spline_matrix(self._targets)).astype(np.float32)
        self._bases: dict[tuple[int, int], npt.NDArray[np.float32]] = {}

    def forward(self, points: Tensor, height: int, width: int) -> Tensor:
        """Grid [N, height, width, 2] for points [N, num_fiducial, 2]."""
        with paddle.no_grad():
            affine = self.fc(points.flatten(1)).reshape([0, 3, 2])
        points, affine = points.astype("float32"), affine.astype("float32")
        # Two products in single precision, as PaddleOCR: the system is so badly conditioned that one product, though
        # nearer to the exact grid, differs from what its weights were trained with.
        with full_precision():
            spline = paddle.matmul(paddle.to_tensor(self._inverse), paddle.concat([points, affine], axis=1))
            grid = paddle.matmul(paddle.to_tensor(self._basis(height, width)), spline)
        return grid.reshape([0, height, width, 2])

    def _basis(self, height: int, width: int) -> npt.NDArray[np.float32]:
        """[height · width, num_fiducial + 3]: 1, x, y and r² log r to each target point at every pixel."""
        if (height, width) not in self._bases:
            x = (np.arange(-width, width, 2) + 1.0) / width
            y = (np.arange(-height, height, 2) + 1.0) / height
            pixels = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
            distance = np.linalg.norm(pixels[:, None] - self._targets, axis=2)
            kernel = distance**2 * np.log(distance + _EPS)
            basis = np.concatenate([np.ones((len(pixels), 1)), pixels, kernel], axis=1)
            self._bases[height, width] = basis.astype(np.float32)
        return self._bases[height, width]


class TPS(nn.Layer):
    """Rectifies images before the backbone sees them.

    Args:
        num_fiducial: points, half of them along the top, half along the bottom.
        loc_lr: share of the learning rate at which the points are learned.
        model_name: `small` or `large` localization network.
        in_channels: channels of the image.

    `forward(images [N, C, H, W])` gives images of the same shape.
    """

    def __init__(
        self,
        num_fiducial: int = 20,
        loc_lr: float = 0.1,
        model_name: Literal["small", "large"] = "small",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if model_name not in _SIZES:
            raise ValueError(f"model_name: expected small or large, got {model_name}")
        if num_fiducial < 4 or num_fiducial % 2:
            raise ValueError(f"num_fiducial: expected an even number, 4 or more, got {num_fiducial}")
        self.loc_net = LocalizationNetwork(in_channels, num_fiducial, loc_lr, model_name)
        self.grid_generator = GridGenerator(num_fiducial)
        self.out_channels = in_channels

    def forward(self, image: Tensor) -> Tensor:
        grid = self.grid_generator(self.loc_net(image), image.shape[2], image.shape[3])
        return sample(image, grid, self.training)


def initial_points(count: int) -> Points:
    """The paper's wedge of points (count, 2), float32, where the points begin."""
    half = count // 2
    x = np.linspace(-1.0, 1.0, half)
    top = np.stack([x, np.linspace(0.0, -1.0, half)], axis=1)
    bottom = np.stack([x, np.linspace(1.0, 0.0, half)], axis=1)
    return np.concatenate([top, bottom]).astype(np.float32)


def _target_points(count: int) -> Points:
    x = np.linspace(-1.0, 1.0, count // 2)
    ones = np.ones_like(x)
    return np.concatenate([np.stack([x, -ones], axis=1), np.stack([x, ones], axis=1)])


def _spline_matrix(points: Points) -> Points:
    """[n + 3, n + 3] system of the spline through n points, whose unknowns are 1, x, y and the kernel weights."""
    count = len(points)
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distance, 1)  # r² log r is 0 at r = 0, as at r = 1
    matrix = np.zeros((count + 3, count + 3))
    matrix[:count] = np.concatenate([np.ones((count, 1)), points, distance**2 * np.log(distance)], axis=1)
    matrix[count : count + 2, 3:] = points.T
    matrix[count + 2, 3:] = 1
    return matrix
