"""SRN's head (Yu et al., arXiv 2003.12294): all characters at once, then corrected by those before and after them.

Names and shapes of the parameters are those of PaddleOCR's `SRNHead`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.heads.srn_encoder import CharacterEncoder, VisualEncoder

_NEVER = -1e9


class ParallelVisualAttention(nn.Layer):
    """Attends to the map once for each character: [N, positions, C] to [N, steps, C]."""

    def __init__(self, channels: int, num_heads: int, layers: int, positions: int, steps: int) -> None:
        super().__init__()
        self.wrap_encoder_for_feature = VisualEncoder(channels, num_heads, layers, positions)
        self.fc0 = nn.Linear(channels, channels)
        self.emb = nn.Embedding(steps, channels)
        self.fc1 = nn.Linear(channels, 1, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc0(self.wrap_encoder_for_feature(x))
        # Expanded: oneDNN in paddle 3.3.1 adds wrongly where both tensors are repeated and there are several images.
        seen = x.unsqueeze(1).expand([-1, self.emb.weight.shape[0], -1, -1])
        energy = self.fc1(F.tanh(seen + self.emb.weight.unsqueeze([0, 2]))).squeeze(3)
        return paddle.matmul(F.softmax(energy, axis=-1), x)


class SemanticReasoning(nn.Layer):
    """Reads each character from those before and those after it, as the visual features alone show them."""

    def __init__(self, channels: int, classes: int, num_heads: int, layers: int, steps: int) -> None:
        super().__init__()
        self.fc0 = nn.Linear(channels, classes)
        # A class more: what is before the first character.
        self.wrap_encoder0 = CharacterEncoder(classes + 1, channels, num_heads, layers, steps)
        self.wrap_encoder1 = CharacterEncoder(classes + 1, channels, num_heads, layers, steps)
        self._nothing = classes
        masked = np.triu(np.full((steps, steps), _NEVER, np.float32), 1)
        self._after, self._before = masked, np.ascontiguousarray(masked.T)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features [N, steps, C], and logits of the visual features and of the semantic ones."""
        seen = self.fc0(x)
        characters = seen.argmax(axis=2)
        nothing = paddle.full([x.shape[0], 1], self._nothing, dtype="int64")
        before = self.wrap_encoder0(paddle.concat([nothing, characters[:, :-1]], axis=1), paddle.to_tensor(self._after))
        after = self.wrap_encoder1(characters, paddle.to_tensor(self._before))[:, 1:]
        features = before + paddle.concat([after, paddle.zeros_like(before[:, :1])], axis=1)
        read = paddle.matmul(features, self.wrap_encoder0.prepare_decoder.emb0.weight, transpose_y=True)
        return features, seen, read


class WeighedFusion(nn.Layer):
    """Visual and semantic features, weighed channel by channel, to logits."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc0 = nn.Linear(2 * channels, channels)
        self.fc1 = nn.Linear(channels, classes)

    def forward(self, visual: Tensor, semantic: Tensor) -> Tensor:
        share = F.sigmoid(self.fc0(paddle.concat([visual, semantic], axis=2)))
        return self.fc1(share * visual + (1.0 - share) * semantic)


class SRNHead(nn.Layer):
    """SRN's head.

    Args:
        in_channels: channels of the map, and of all layers (the model fills this in).
        out_channels: classes, begin and end last (from the charset).
        max_text_length: characters, and steps: a text of that many has no end.
        num_heads: heads of the attentions.
        num_encoder_TUs: layers of the encoder of the map.
        num_decoder_TUs: layers of the encoders of the characters.
        n_position: positions of the map; one size of images fits.

    `forward(map [N, C, H, W])` gives `{"srn": [N, max_text_length, out_channels]}`: probabilities in evaluation, logits
    in training, where there are also logits of the visual features alone, `srn_visual`, of the same shape, and of the
    characters around each one, `srn_semantic`, with a class more.
    """

    needs_targets = False
    token_kind: ClassVar[str] = "srn"
    output: ClassVar[str] = "srn"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        max_text_length: int = 25,
        num_heads: int = 8,
        num_encoder_TUs: int = 2,
        num_decoder_TUs: int = 4,
        n_position: int = 256,
    ) -> None:
        super().__init__()
        self.pvam = ParallelVisualAttention(in_channels, num_heads, num_encoder_TUs, n_position, max_text_length)
        self.gsrm = SemanticReasoning(in_channels, out_channels, num_heads, num_decoder_TUs, max_text_length)
        self.vsfd = WeighedFusion(in_channels, out_channels)
        # One embedding for both directions.
        self.gsrm.wrap_encoder1.prepare_decoder.emb0 = self.gsrm.wrap_encoder0.prepare_decoder.emb0
        self.positions = n_position
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        height, width = x.shape[2:]
        if paddle.in_dynamic_mode() and height * width != self.positions:
            raise ConfigError(
                f"the backbone's map has {height} × {width} positions, but the head SRNHead expects {self.positions}; "
                "set n_position of the head or image_shape of the model"
            )
        visual = self.pvam(x.flatten(2).transpose([0, 2, 1]))
        semantic, seen, read = self.gsrm(visual)
        logits = self.vsfd(visual, semantic)
        if self.training:
            return {"srn": logits, "srn_visual": seen, "srn_semantic": read}
        return {"srn": F.softmax(logits, axis=-1)}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        embeddings = [f"gsrm.wrap_encoder{side}.prepare_decoder.emb0.weight" for side in (0, 1)]
        axes = {name: ClassAxis("srn", 0) for name in embeddings}
        for layer in ("gsrm.fc0", "vsfd.fc1"):
            axes |= {f"{layer}.weight": ClassAxis("srn", 1), f"{layer}.bias": ClassAxis("srn", 0)}
        return axes
