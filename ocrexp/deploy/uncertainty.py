"""How certain a reading is, for people who correct it: a number for each image, and reasons that name a region.

A region is wrong with probability 1 - p, where p is the product of the probabilities of its characters, and without a
recognizer the detector's score. Their sum over an image is the expected number of its wrong regions, by which images
are sorted. Regions that the detector did not find are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ocrexp.types import Polygon

NEAR = 0.1  # a detector's score up to this much above its threshold is a reason
SURE = 0.9  # a character, a text or a region with at least this probability is no reason


@dataclass(frozen=True, slots=True)
class FoundRegion:
    """All that the models report of a region, also of one whose text is dropped for its score.

    Args:
        polygon: (n, 2) in pixels of the image; None for an image that is one line.
        text: None without a recognizer.
        text_score: the score of `text`, 0..1.
        char_scores: the probabilities of its characters.
        box_score: the detector's score, 0..1; None without a detector.
        box_thresh: regions with a lower score were dropped; None: not known.
        drop_score: texts with a lower score are dropped.
    """

    polygon: Polygon | None
    text: str | None = None
    text_score: float = 0.0
    char_scores: tuple[float, ...] = ()
    box_score: float | None = None
    box_thresh: float | None = None
    drop_score: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether the predictions contain it."""
        return self.text is None or self.text_score >= self.drop_score

    @property
    def wrong(self) -> float:
        """The probability that a person must correct it."""
        if self.text is None:
            return 1.0 - (self.box_score or 0.0)
        return 1.0 - math.prod(self.char_scores) if self.char_scores and self.kept else 1.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is uncertain about a region, or about the image.

    `number` is the place of the region in the image's order, from 0, as PPOCRLabel numbers them; None: the image.
    """

    number: int | None
    wrong: float
    reason: str
    region: FoundRegion | None = None

    def __str__(self) -> str:
        if self.region is None:
            return self.reason
        text = "" if self.region.text is None else f" {self.region.text!r}"
        return f"region {self.number}{text}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The expected number of wrong regions of an image, and its doubts, the greatest first."""

    expected: float
    doubts: list[Doubt] = field(default_factory=list)


def uncertainty_of(regions: Sequence[FoundRegion]) -> Uncertainty:
    """The uncertainty of an image with these regions; an image without regions counts as one wrong region."""
    if not regions:
        return Uncertainty(1.0, [Doubt(None, 1.0, "no text was found")])
    doubts = [
        Doubt(number, region.wrong, "; ".join(reasons), region)
        for number, region in enumerate(regions)
        if (reasons := _reasons(region))
    ]
    return Uncertainty(sum(region.wrong for region in regions), sorted(doubts, key=lambda doubt: -doubt.wrong))


def _reasons(region: FoundRegion) -> list[str]:
    reasons = []
    if region.text == "":
        reasons.append("no character was read")
    elif not region.kept:
        reasons.append(f"text score {region.text_score:.2f} is below drop_score={region.drop_score:g}")
    elif region.text is not None and region.text_score < SURE:
        reasons.append(f"text score {region.text_score:.2f}")
    # An entry of a dictionary may have several characters, so that scores do not belong to places in the text.
    if region.text and len(region.char_scores) == len(region.text):
        least = min(range(len(region.text)), key=region.char_scores.__getitem__)
        if region.char_scores[least] < SURE:
            character = region.text[least]
            reasons.append(f"character {least + 1} ({character!r}) has probability {region.char_scores[least]:.2f}")
    if region.box_score is not None:
        if region.box_thresh is not None and region.box_score < region.box_thresh + NEAR:
            reasons.append(f"region score {region.box_score:.2f} is near det_db_box_thresh={region.box_thresh:g}")
        elif region.text is None and region.box_score < SURE:
            reasons.append(f"region score {region.box_score:.2f}")
    return reasons
