"""Reading an image at the points of a grid."""

from __future__ import annotations

from typing import Literal

from paddle import Tensor
from paddle.nn import functional as F

from ocrexp.models.layers import full_precision


def sample(image: Tensor, grid: Tensor, training: bool, padding: Literal["zeros", "border"] = "zeros") -> Tensor:
    """Bilinear values (float32) of [N, C, H, W] at grid [N, h, w, 2] (x, y in -1..1, corners at ±1; outside 0, or as at
    the border)."""
    if training and image.stop_gradient:
        # Paddle 3.3's backward crashes (SIGSEGV) where only the grid has a gradient.
        image = image.detach()
        image.stop_gradient = False
    with full_precision():
        return F.grid_sample(image.astype("float32"), grid, padding_mode=padding)
