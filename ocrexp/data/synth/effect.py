"""What happens to a drawn image after its text is on it: the parts of the config group `dataset/camera`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ocrexp.types import Image, Polygon


class Effect(ABC):
    """A change of a whole drawn image, such as a shadow, motion blur or the perspective of a camera."""

    @abstractmethod
    def __call__(
        self, image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
    ) -> tuple[Image, list[Polygon]]:
        """The changed image and the outlines of its texts in it.

        Args:
            image: (height, width, 3) uint8 BGR; not changed.
            polygons: outlines in pixels of the image; none for the image of one word.
            rng: random numbers; nothing else may be random.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that determines its result, as plain values: part of the name of the cache."""


def effects_of(given: Mapping[str, Effect | None] | None) -> tuple[Effect, ...]:
    """The effects of a config group in their order, without those that are null."""
    return tuple(effect for effect in (given or {}).values() if effect is not None)


def camera_settings(effects: Sequence[Effect]) -> dict[str, Any]:
    """The settings of all effects; nothing where there are none."""
    if not effects:
        return {}
    return {"camera": [{"part": type(effect).__name__, **effect.settings()} for effect in effects]}


def photographed(
    effects: Sequence[Effect], image: Image, polygons: Sequence[Polygon], rng: np.random.Generator
) -> tuple[Image, list[Polygon]]:
    """The image and its outlines after all effects."""
    found = list(polygons)
    for effect in effects:
        image, found = effect(image, found, rng)
    return image, found
