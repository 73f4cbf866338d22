"""Tiny exported models, see `tiny_models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_models import stripes, write_cls, write_ct, write_det, write_rec


@pytest.fixture
def make_det(tmp_path: Path) -> Callable[..., Path]:
    """`write_det` into a folder of this name."""
    return lambda name="det", **resize: write_det(tmp_path / name, **resize)


@pytest.fixture
def ct_folder(tmp_path: Path) -> Path:
    """A folder of `write_ct`."""
    return write_ct(tmp_path / "ct")


@pytest.fixture
def make_rec(tmp_path: Path) -> Callable[..., Path]:
    """`write_rec` into a folder of this name."""
    return lambda name="rec", **options: write_rec(tmp_path / name, **options)


@pytest.fixture
def make_cls(tmp_path: Path) -> Callable[..., Path]:
    """`write_cls` into a folder of this name."""
    return lambda name="cls": write_cls(tmp_path / name)


@pytest.fixture
def line() -> Callable[..., np.ndarray]:
    """`stripes`."""
    return stripes
