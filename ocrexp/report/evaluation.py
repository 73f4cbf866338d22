"""Pictures of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from ocrexp.drawing import Picture

SHEET = 30  # recognized crops on a sheet


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture, RGB uint8, and what it shows."""

    picture: Picture
    caption: str
    name: str  # for a file
