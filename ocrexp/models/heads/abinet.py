"""ABINet's head (Fang et al., arXiv 2103.06495): a reading of the image, corrected by a language model in turns.

Names and shapes of the parameters are those of PaddleOCR's `ABINetHead`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.heads.nrtr import Layer, PositionalEncoding
from ocrexp.models.layers import Conv2D

END = 0  # the class `</s>`
_MAP_STRIDE = 4  # of the map that ResNet45 gives
_LANGUAGE_LAYERS = 4
_KEY_CHANNELS = 64
_STRIDES = ((1, 2), (2, 2), (2, 2), (2, 2))  # of the encoder of the attention's keys; their product is (8, 16)


class PositionAttention(nn.Layer):
    """One vector for each position of the text: attention to a map through keys of a small U-Net.

    `forward(map [N, C, H, W])` gives [N, steps, C].
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.k_encoder = nn.Sequential(
            *(_down(channels if index == 0 else _KEY_CHANNELS, stride) for index, stride in enumerate(_STRIDES))
        )
        self.k_decoder = nn.Sequential(
            *(
                _up(channels if index == len(_STRIDES) - 1 else _KEY_CHANNELS, stride)
                for index, stride in enumerate(reversed(_STRIDES))
            )
        )
        self.pos_encoder = PositionalEncoding(channels, 0.0, steps)
        self.project = nn.Linear(channels, channels)
        self._scale = channels**-0.5

    def forward(self, x: Tensor) -> Tensor:
        key, levels = x, []
        for layer in self.k_encoder:
            key = layer(key)
            levels.append(key)
        last = len(self.k_decoder) - 1
        for index, layer in enumerate(self.k_decoder):  # no zip with strict: graphs for an export know none
            key = layer(key)
            if index < last:
                key = key + levels[last - 1 - index]
        # Expanded: an exported graph takes the first factor's size for that of the batch.
        query = self.project(self.pos_encoder.pe.transpose([1, 0, 2])).expand([x.shape[0], -1, -1])
        weights = F.softmax(paddle.matmul(query, key.flatten(2)) * self._scale, axis=-1)
        return paddle.matmul(weights, x.flatten(2), transpose_y=True)


def _down(in_channels: int, stride: tuple[int, int]) -> nn.Sequential:
    conv = Conv2D(in_channels, _KEY_CHANNELS, 3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2D(_KEY_CHANNELS), nn.ReLU())


def _up(out_channels: int, factors: tuple[int, int]) -> nn.Sequential:
    conv = Conv2D(_KEY_CHANNELS, out_channels, 3, padding=1)
    return nn.Sequential(Repeat(factors), conv, nn.BatchNorm2D(out_channels), nn.ReLU())


class Repeat(nn.Layer):
    """Nearest upsampling of [N, C, H, W] by whole factors (height, width)."""

    def __init__(self, factors: tuple[int, int]) -> None:
        super().__init__()
        self._factors = factors

    def forward(self, x: Tensor) -> Tensor:
        (high, wide), (_, channels, height, width) = self._factors, x.shape
        expanded = x.reshape([0, channels, height, 1, width, 1]).expand([-1, -1, -1, high, -1, wide])
        return expanded.reshape([0, channels, height * high, width * wide])


class BCNLanguage(nn.Layer):
    """The language model: each position is read from all others, with what was read of them before.

    `forward(probabilities [N, L, classes], lengths [N])` gives features [N, L, channels] and logits [N, L, classes].
    """

    def __init__(self, channels: int, num_heads: int, hidden: int, drop: float, steps: int, classes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(classes, channels, bias_attr=False)
        self.token_encoder = PositionalEncoding(channels, 0.1, steps)
        self.pos_encoder = PositionalEncoding(channels, 0.0, steps)
        self.decoder = nn.LayerList(
            [
                Layer(channels, num_heads, hidden, drop, cross=True, self_attention=False, attention_drop=drop)
                for _ in range(_LANGUAGE_LAYERS)
            ]
        )
        self.cls = nn.Linear(channels, classes)
        self._steps = steps

    def forward(self, probabilities: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.token_encoder(self.proj(probabilities.detach()))
        x = self.pos_encoder(paddle.zeros_like(memory))
        hidden = (paddle.arange(self._steps) >= lengths.unsqueeze(1)).unsqueeze(1)  # behind the end
        own = paddle.eye(self._steps).astype("bool")
        never = paddle.full([1], float("-inf"))
        mask = paddle.where(hidden | own, never, paddle.zeros([1])).unsqueeze(1)
        for layer in self.decoder:
            x = layer(x, memory, memory_mask=mask)
        return x, self.cls(x)


class ABINetHead(nn.Layer):
    """ABINet's encoder, position attention, language model and fusion.

    Args:
        in_channels: channels of the map, and of all layers (the model fills this in).
        out_channels: charset with the end, class 0 (from the charset).
        max_text_length: characters at most.
        nhead: heads of the attentions.
        num_layers: layers of the encoder.
        dim_feedforward: hidden channels of the MLPs.
        dropout: of layers and attentions.
        use_lang: correct the reading by the language model.
        iter_size: how often.
        image_size: height and width of the images, multiples of 32 and 64; the map has a quarter of each.

    `forward(map [N, C, H, W])` gives in training `abinet` (logits [N, L, out_channels] of the last fusion, L =
    max_text_length + 1), `abinet_vision` (the first reading's), and with the language model `abinet_align` and
    `abinet_lang` [iter_size, N, L, out_channels] (each fusion's and each correction's); in evaluation `abinet`
    (probabilities) alone.
    """

    needs_targets = False
    token_kind: ClassVar[str] = "abinet"
    output: ClassVar[str] = "abinet"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        max_text_length: int = 25,
        nhead: int = 8,
        num_layers: int = 3,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        use_lang: bool = True,
        iter_size: int = 3,
        image_size: Sequence[int] = (32, 128),
    ) -> None:
        super().__init__()
        if in_channels % nhead:
            raise ConfigError(f"nhead: expected a divisor of the {in_channels} channels of ABINetHead, got {nhead}")
        if image_size[0] % 32 or image_size[1] % 64:
            raise ValueError(
                f"image_size: expected a height that is a multiple of 32 and a width of 64, got {list(image_size)}"
            )
        if iter_size < 1:
            raise ValueError(f"iter_size: expected 1 or more, got {iter_size}")
        steps, channels = max_text_length + 1, in_channels
        positions = image_size[0] // _MAP_STRIDE * (image_size[1] // _MAP_STRIDE)
        self.pos_encoder = PositionalEncoding(channels, 0.1, positions)
        self.encoder = nn.LayerList(
            [
                Layer(channels, nhead, dim_feedforward, dropout, cross=False, attention_drop=dropout)
                for _ in range(num_layers)
            ]
        )
        self.decoder = PositionAttention(channels, steps)
        self.cls = nn.Linear(channels, out_channels)
        self._iterations = iter_size if use_lang else 0
        if use_lang:
            self.language = BCNLanguage(channels, nhead, dim_feedforward, dropout, steps, out_channels)
            self.w_att_align = nn.Linear(2 * channels, channels)
            self.cls_align = nn.Linear(channels, out_channels)
        self._steps, self.positions = steps, positions
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        _, _, height, width = x.shape
        if paddle.in_dynamic_mode() and height * width != self.positions:
            raise ConfigError(
                f"ABINetHead: the backbone gives a map of {height}x{width}, which has not the {self.positions} "
                "positions of model.head.image_size; set it to the size of the images, and strides of the backbone "
                "whose product is 4"
            )
        features = self.pos_encoder(x.flatten(2).transpose([0, 2, 1]))
        for layer in self.encoder:
            features = layer(features)
        vision = self.decoder(features.transpose([0, 2, 1]).reshape([0, -1, height, width]))
        logits = first = self.cls(vision)
        corrected, fused = [], []
        for _ in range(self._iterations):
            lengths = self._lengths(logits).clip(min=2)
            language, own = self.language(F.softmax(logits, axis=-1), lengths)
            share = F.sigmoid(self.w_att_align(paddle.concat([language, vision], axis=-1)))
            logits = self.cls_align(share * vision + (1 - share) * language)
            corrected.append(own)
            fused.append(logits)
        if not self.training:
            return {"abinet": F.softmax(logits, axis=-1)}
        outputs = {"abinet": logits, "abinet_vision": first}
        if fused:
            outputs |= {"abinet_align": paddle.stack(fused), "abinet_lang": paddle.stack(corrected)}
        return outputs

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        layers = ["cls", "language.cls", "cls_align"] if self._iterations else ["cls"]
        axes = {f"{layer}.{name}": axis for layer in layers for name, axis in (("weight", 1), ("bias", 0))}
        if self._iterations:
            axes["language.proj.weight"] = 0
        return {name: ClassAxis("abinet", axis) for name, axis in axes.items()}

    def _lengths(self, logits: Tensor) -> Tensor:
        """Steps [N] (int64) up to the first end, that one included; all if there is none."""
        places = paddle.arange(1, self._steps + 1)
        ends = paddle.where(logits.argmax(axis=-1) == END, places, paddle.full_like(places, self._steps))
        return ends.min(axis=1)
