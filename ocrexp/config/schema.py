"""Typed schemas of the closed config nodes: a wrong type or an unknown key fails before paddle is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

# Hydra reads the annotations of these classes at run time: plain types only.


@dataclass
class MultiScaleSchema:
    """Node `loader.multi_scale`."""

    sizes: list[list[int]] = MISSING  # height, width
    by_ratio: bool = False
    fix_batch: bool = False


@dataclass
class LoaderSchema:
    """Node `loader`."""

    batch_size: Any = 8  # a number or "auto"
    eval_batch_size: int = 1
    num_workers: Any = "auto"  # a number or "auto"
    prefetch: int = 2
    shuffle: bool = True
    drop_last: bool = False
    batch_shares: list[float] | None = None
    multi_scale: MultiScaleSchema | None = None
    max_pixels: int = (
        178_956_970  # equal to ocrexp.data.images.MAX_PIXELS, which is not imported here because it needs OpenCV
    )


@dataclass
class OptimSchema:
    """Node `optim`: the optimizer's values; its class and its schedule are open nodes, checked by signature."""

    lr: float = MISSING
    weight_decay: float = 0.0
    no_decay_names: list[str] = field(default_factory=list)
    no_decay_1d: bool = False
    clip_norm: float | None = None
    clip_scope: str = "global"
    reference_batch: int | None = None
    scale_lr: bool = False
    lr_scale: Any = None  # part → factor; a typed mapping would refuse new names
    layer_decay: float | None = None
    optimizer: Any = MISSING
    schedule: Any = MISSING


def schemas() -> dict[str, type]:
    """The closed nodes of a training configuration and their types."""
    from ocrexp.engine.settings import TrainerSettings

    return {"trainer": TrainerSettings, "loader": LoaderSchema, "optim": OptimSchema}


def register_schemas() -> None:
    """Register the schemas for `defaults: [_schema, _self_]` of the shipped files."""
    from hydra.core.config_store import ConfigStore

    groups = {"optim": "optimizer"}  # the group that fills a node, if it has another name
    for node, schema in schemas().items():
        ConfigStore.instance().store(group=groups.get(node, node), name="_schema", node=schema, package=node)
