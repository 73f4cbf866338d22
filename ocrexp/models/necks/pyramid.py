"""What a feature pyramid gives to a head that learns from its levels too."""

from __future__ import annotations

from dataclasses import dataclass

from paddle import Tensor

from ocrexp.models.cpu.upsample import TwoLevels


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The joined map at stride 4, and the levels at strides 4, 8 and 16 that it was made of."""

    joined: Tensor | TwoLevels
    levels: tuple[Tensor, Tensor, Tensor]

    def index_select(self, rows: Tensor) -> Pyramid:
        """The same of some images of the batch."""
        p2, p3, p4 = (level.index_select(rows) for level in self.levels)
        return Pyramid(self.joined.index_select(rows), (p2, p3, p4))
