"""Classes of the kinds of recognition heads: where the characters stand among the special tokens, as in PaddleOCR."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal[
    "ctc", "attention", "nrtr", "sar", "parseq", "vitstr", "cppd", "visionlan", "abinet", "satrn", "rfl", "spin", "srn",
    "pren", "seed",
]  # fmt: skip
Ids = npt.NDArray[np.int64]


class Codec:
    """Characters' positions to labels and classes back to positions.

    A label of n characters is `start`, the characters, `end`, as far as the kind has them, and `padding` to its width.
    """

    kind: ClassVar[str]
    decoder: ClassVar[str]  # PaddleOCR's name of its decoder
    before: ClassVar[int]  # special classes in front of the characters
    after: ClassVar[int]  # and behind them
    surplus: ClassVar[int] = 0  # outputs of a network beyond the classes; below 0: the last classes are never predicted
    sequential: ClassVar[bool] = False  # a character depends on those read before it: what follows the end is arbitrary

    @classmethod
    def of_outputs(cls, outputs: int) -> Codec:
        """The codec of a network with that many outputs per step."""
        return cls(outputs - cls.surplus - cls.before - cls.after)

    def __init__(self, characters: int) -> None:
        self.characters = characters
        self.classes = self.before + characters + self.after
        self.start: int | None = None
        self.end: int | None = None
        self.padding = 0

    def width(self, max_text_length: int) -> int:
        """Width of the label of texts of up to `max_text_length` characters."""
        return max_text_length + (self.start is not None) + (self.end is not None)

    def label(self, positions: Sequence[int], max_text_length: int) -> Ids:
        """Label [width]; raises ValueError if the text is longer.

        PaddleOCR's attention label becomes one too long for a batch at max_text_length - 1 characters, and its other
        kinds take one to three characters less than max_text_length: here all take that many.
        """
        if len(positions) > max_text_length:
            raise ValueError(f"{len(positions)} characters, at most {max_text_length} fit")
        ids = [position + self.before for position in positions]
        if self.start is not None:
            ids.insert(0, self.start)
        if self.end is not None:
            ids.append(self.end)
        label = np.full(self.width(max_text_length), self.padding, dtype=np.int64)
        label[: len(ids)] = ids[: len(label)]  # kinds with a step per character have no room for the end of a full text
        return label

    def is_character(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which classes are characters."""
        return (ids >= self.before) & (ids < self.before + self.characters)

    def position(self, ids: Ids) -> Ids:
        """Positions of classes that are characters."""
        return ids - self.before


class CTCCodec(Codec):
    """Blank, characters. A label has neither start nor end and is padded with the blank."""

    kind = "ctc"
    decoder = "CTCLabelDecode"
    before, after = 1, 0
    blank = 0

    @staticmethod
    def steps_needed(positions: Sequence[int]) -> int:
        """Steps that a model must emit for a text: a blank is needed between equal neighbors."""
        return len(positions) + sum(a == b for a, b in pairwise(positions))


class AttentionCodec(Codec):
    """`sos`, characters, `eos`; padded with `sos`."""

    kind = "attention"
    decoder = "AttnLabelDecode"
    before, after = 1, 1
    sequential = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.start, self.end = 0, self.classes - 1


class NRTRCodec(Codec):
    """`blank` (padding), `<unk>`, `<s>`, `</s>`, characters."""

    kind = "nrtr"
    decoder = "NRTRLabelDecode"
    before, after = 4, 0
    surplus = 1
    sequential = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.start, self.end = 2, 3


class SARCodec(Codec):
    """Characters, `<UKN>`, `<BOS/EOS>`, `<PAD>`; the last is never predicted."""

    kind = "sar"
    decoder = "SARLabelDecode"
    before, after = 0, 3
    surplus = -1
    sequential = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.start = self.end = characters + 1
        self.padding = characters + 2


class ParseQCodec(Codec):
    """`[E]`, characters, `[B]`, `[P]`; the last two are never predicted."""

    kind = "parseq"
    decoder = "ParseQLabelDecode"
    before, after = 1, 2
    surplus = -2
    sequential = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.start, self.end = characters + 1, 0
        self.padding = characters + 2


class ViTSTRCodec(Codec):
    """`<s>` (also the padding), `</s>`, characters."""

    kind = "vitstr"
    decoder = "ViTSTRLabelDecode"
    before, after = 2, 0

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.start, self.end = 0, 1


class CPPDCodec(Codec):
    """`</s>`, characters; padded with -100, which is no class."""

    kind = "cppd"
    decoder = "CPPDLabelDecode"
    before, after = 1, 0

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.end, self.padding = 0, -100


class VisionLANCodec(Codec):
    """The end (also the padding), characters."""

    kind = "visionlan"
    decoder = "VLLabelDecode"
    before, after = 1, 0

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.end = 0


class ABINetCodec(CPPDCodec):
    """As CPPD's."""

    kind = "abinet"
    decoder = "ABINetLabelDecode"


class SATRNCodec(SARCodec):
    """As SAR's."""

    kind = "satrn"
    decoder = "SATRNLabelDecode"


class RFLCodec(AttentionCodec):
    """As the attention head's."""

    kind = "rfl"
    decoder = "RFLLabelDecode"


class SPINCodec(ViTSTRCodec):
    """`sos` (also the padding), `eos`, characters."""

    kind = "spin"
    decoder = "SPINLabelDecode"
    sequential = True


class SRNCodec(Codec):
    """Characters, begin, end (also the padding). A text of `max_text_length` characters has no end."""

    kind = "srn"
    decoder = "SRNLabelDecode"
    before, after = 0, 2

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.end = self.padding = characters + 1

    def width(self, max_text_length: int) -> int:
        """As many steps as characters."""
        return max_text_length


class PRENCodec(Codec):
    """`<PAD>`, `<EOS>`, `<UNK>`, characters. A text of `max_text_length` characters has no end."""

    kind = "pren"
    decoder = "PRENLabelDecode"
    before, after = 3, 0

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.end = 1

    def width(self, max_text_length: int) -> int:
        """As many steps as characters."""
        return max_text_length


class SEEDCodec(Codec):
    """Characters, `eos`, `padding`, `unknown`."""

    kind = "seed"
    decoder = "SEEDLabelDecode"
    before, after = 0, 3
    sequential = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.end, self.padding = characters, characters + 1


_CODECS: tuple[type[Codec], ...] = (
    CTCCodec,
    AttentionCodec,
    NRTRCodec,
    SARCodec,
    ParseQCodec,
    ViTSTRCodec,
    CPPDCodec,
    VisionLANCodec,
    ABINetCodec,
    SATRNCodec,
    RFLCodec,
    SPINCodec,
    SRNCodec,
    PRENCodec,
    SEEDCodec,
)
KINDS: dict[str, type[Codec]] = {codec.kind: codec for codec in _CODECS}
