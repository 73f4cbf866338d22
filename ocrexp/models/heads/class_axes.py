"""Which axis of a head's parameter stands for the classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassAxis:
    """The classes of tokens of `kind` lie along `axis`, from `offset` on."""

    kind: str
    axis: int
    offset: int = 0
