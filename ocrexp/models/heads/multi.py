"""PP-OCRv3's and v4's head: CTC, guided in training by a second head on the same features (GTC, arXiv 2002.01276).

Names and shapes of the parameters are those of PaddleOCR's `MultiHead`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F
from paddle.nn import initializer

from ocrexp.located import located
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.hooks import token_kind


class MultiHead(nn.Layer):
    """CTC with its neck, and a guide head in training.

    Args:
        in_channels: channels of the backbone's map (the model fills this in).
        out_channels: classes by kind of tokens: `ctc` and the guide's `sar` or `nrtr` (from the charset).
        neck: partial of the CTC branch's neck (SVTREncoder).
        ctc: partial of the CTC head.
        guide: partial of SARHead or NRTRHead.
        nrtr_dim: channels to which the map is projected for an NRTR guide; SAR reads the map itself.
        pool: the map is the sequence of a transformer over three rows, [N, C, 1, 3 W]: average them, and each two
            columns, to [N, C, 1, W / 2].
        positions: steps of the NRTR guide's map that get a learned position; 0: none do.

    `forward(map [N, C, 1, W], targets)` gives in training `ctc` (logits [N, W, classes]), `ctc_neck` [N, W, dims] and
    the guide's output (`sar` or `nrtr`); in evaluation `ctc` (probabilities) alone.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "multi"
    output: ClassVar[str] = "ctc"

    def __init__(
        self,
        in_channels: int,
        out_channels: Mapping[str, int],
        neck: Callable[..., nn.Layer],
        ctc: Callable[..., nn.Layer],
        guide: Callable[..., nn.Layer],
        nrtr_dim: int = 384,
        pool: bool = False,
        positions: int = 0,
    ) -> None:
        super().__init__()
        if positions < 0:
            raise ValueError(f"positions: expected 0 or more, got {positions}")
        self._pool = pool
        with located("neck", neck):
            self.ctc_encoder = neck(in_channels=in_channels)
        self.ctc_head = ctc(in_channels=self.ctc_encoder.out_channels, out_channels=out_channels["ctc"])
        kind = token_kind(guide)
        self._kind = str(kind)
        if kind == "sar":
            with located("guide", guide):
                self.sar_head = guide(in_channels=in_channels, out_channels=out_channels["sar"])
        elif kind == "nrtr":
            embedding = [PositionEmbedding(nrtr_dim, positions)] if positions else []
            self.before_gtc = nn.Sequential(nn.Flatten(2), TransposedLinear(in_channels, nrtr_dim), *embedding)
            with located("guide", guide):
                self.gtc_head = guide(in_channels=nrtr_dim, out_channels=out_channels["nrtr"])
        else:
            raise ValueError("guide: expected SARHead or NRTRHead")
        self.out_channels = dict(out_channels)

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if self._pool:
            x = F.avg_pool2d(x.reshape([0, x.shape[1], 3, -1]), [3, 2])
        sequence = self.ctc_encoder(x)
        outputs: dict[str, Tensor] = self.ctc_head(sequence)
        if not self.training:
            return outputs
        outputs["ctc_neck"] = sequence
        if self._kind == "sar":
            return outputs | self.sar_head(x, targets)
        return outputs | self.gtc_head(self.before_gtc(x), targets)

    @property
    def guide_kind(self) -> str:
        """Kind of the guide's tokens, `sar` or `nrtr`."""
        return self._kind

    def drop_training_branches(self) -> None:
        """Leaves CTC and its neck alone, which is all that evaluation uses."""
        if self._kind == "sar":
            del self.sar_head
        else:
            del self.before_gtc, self.gtc_head

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        parts = {"ctc_head": self.ctc_head}
        parts |= {"sar_head": self.sar_head} if self._kind == "sar" else {"gtc_head": self.gtc_head}
        return {f"{part}.{name}": axis for part, head in parts.items() for name, axis in head.class_axes().items()}


class TransposedLinear(nn.Layer):
    """[N, C, L] to [N, L, out_channels], without bias."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, out_channels, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.transpose([0, 2, 1]))


class PositionEmbedding(nn.Layer):
    """[N, L, channels] plus a learned vector for each of up to `steps` positions."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        drawn = paddle.ParamAttr(initializer=initializer.TruncatedNormal(std=0.02))
        self.dec_pos_embed = self.create_parameter([1, steps, channels], attr=drawn)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dec_pos_embed[:, : x.shape[1]]
