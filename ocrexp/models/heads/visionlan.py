"""VisionLAN's head (Wang et al., arXiv 2108.09661): it learns language by reading words with an occluded character.

Names and shapes of the parameters are those of PaddleOCR's `VLHead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.models.heads.class_axes import ClassAxis
from ocrexp.models.heads.visionlan_encoder import VisionLANEncoder

TrainingStep = Literal["LF_1", "LF_2", "LA"]
STEPS: tuple[TrainingStep, ...] = ("LF_1", "LF_2", "LA")


class ParallelPrediction(nn.Layer):
    """Attends to a sequence [N, positions, channels] once for each character: [N, characters, channels]."""

    def __init__(self, channels: int, positions: int, characters: int) -> None:
        super().__init__()
        self.f0_embedding = nn.Embedding(characters, channels)
        self.w0 = nn.Linear(characters, positions)
        self.wv = nn.Linear(channels, channels)
        self.we = nn.Linear(channels, characters)

    def forward(self, x: Tensor) -> Tensor:
        order = paddle.matmul(self.w0.weight, self.f0_embedding.weight, transpose_x=True) + self.w0.bias.unsqueeze(1)
        energy = self.we(F.tanh(order + self.wv(x)))
        return paddle.matmul(F.softmax(energy.transpose([0, 2, 1]), axis=-1), x)


class Prediction(nn.Layer):
    """Classes of the characters: of the text, and with other weights of its parts: one character, and the rest."""

    def __init__(self, channels: int, positions: int, characters: int, classes: int) -> None:
        super().__init__()
        self.pp = ParallelPrediction(channels, positions, characters)
        self.pp_share = ParallelPrediction(channels, positions, characters)
        self.w_vrm = nn.Linear(channels, classes)
        self.w_share = nn.Linear(channels, classes)


class MaskedLanguage(nn.Layer):
    """Finds a character by its index (`forward`: its mask), and encodes the map without it and it alone (`parts`)."""

    def __init__(self, channels: int, positions: int, max_text_length: int) -> None:
        super().__init__()
        self.MLM_SequenceModeling_mask = VisionLANEncoder(channels, positions, layers=2)
        self.MLM_SequenceModeling_WCL = VisionLANEncoder(channels, positions, layers=1)
        self.pos_embedding = nn.Embedding(max_text_length, channels)
        self.w0_linear = nn.Linear(1, positions)
        self.wv = nn.Linear(channels, channels)
        self.we = nn.Linear(channels, 1)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        """Mask [N, positions, 1], near 1 where the character with the index `place` [N] is in [N, positions, C]."""
        order = self.pos_embedding(place).unsqueeze(1) * self.w0_linear.weight.reshape([1, -1, 1])
        order = order + self.w0_linear.bias.reshape([1, -1, 1])
        return F.sigmoid(self.we(F.tanh(order + self.wv(self.MLM_SequenceModeling_mask(x)))))

    def parts(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The rest of the text and the character, each [N, positions, C]."""
        return self.MLM_SequenceModeling_WCL(x * (1 - mask)), self.MLM_SequenceModeling_WCL(x * mask)


class MaskedLanguageAndVision(nn.Layer):
    """The parts of the head under PaddleOCR's names; see VLHead."""

    def __init__(self, channels: int, positions: int, layers: int, max_text_length: int, classes: int) -> None:
        super().__init__()
        self.MLM = MaskedLanguage(channels, positions, max_text_length)
        self.SequenceModeling = VisionLANEncoder(channels, positions, layers)
        self.Prediction = Prediction(channels, positions, max_text_length + 1, classes)


class VLHead(nn.Layer):
    """VisionLAN's head.

    Args:
        in_channels: channels of the map (the model fills this in); a multiple of 8.
        out_channels: classes, the end first (from the charset).
        n_layers: layers of the encoder that evaluation uses.
        n_position: positions of the map; one size of images fits.
        max_text_length: characters at most.
        training_step: what is learned: `LF_1` the vision model alone, `LF_2` the masks too, `LA` also to read texts of
            which a character is occluded, in half of the batch.

    `forward(map [N, C, H, W], targets)` gives `{"visionlan": [N, max_text_length + 1, out_channels]}`, logits in
    training, probabilities in evaluation. In training with `LF_2` and `LA` it also gives `visionlan_place` [N], the
    index of the occluded character, drawn from paddle's generator below the `length` of the targets, and the logits
    `visionlan_rest` (the text without it) and `visionlan_character` (the character), of the same shape as the text's.
    """

    needs_targets = True
    token_kind: ClassVar[str] = "visionlan"
    output: ClassVar[str] = "visionlan"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_layers: int = 3,
        n_position: int = 256,
        max_text_length: int = 25,
        training_step: TrainingStep = "LA",
    ) -> None:
        super().__init__()
        if training_step not in STEPS:
            raise ValueError(f"training_step: expected one of {', '.join(STEPS)}, got {training_step!r}")
        self.MLM_VRM = MaskedLanguageAndVision(in_channels, n_position, n_layers, max_text_length, out_channels)
        self.positions = n_position
        self.out_channels = out_channels
        self._step = training_step
        if training_step == "LF_1":
            prediction = self.MLM_VRM.Prediction
            for part in (self.MLM_VRM.MLM, prediction.pp_share, prediction.w_share):
                for parameter in part.parameters():
                    parameter.stop_gradient = True

    def forward(self, x: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        height, width = x.shape[2:]
        if paddle.in_dynamic_mode() and height * width != self.positions:
            raise ConfigError(
                f"the backbone's map has {height} × {width} positions, but the head VLHead expects {self.positions}; "
                "set n_position of the head, image_shape of the model, or the backbone's strides"
            )
        x = x.transpose([0, 3, 2, 1]).flatten(1, 2)  # column by column
        parts = self.MLM_VRM
        outputs: dict[str, Tensor] = {}
        seen = x
        if self.training and self._step != "LF_1":
            if targets is None:
                raise ValueError("VLHead needs targets in training")
            length = targets["length"].astype("float32")
            place = (paddle.rand(length.shape) * length).astype("int64").clip(max=targets["length"].astype("int64") - 1)
            mask = parts.MLM(x, place)
            rest, character = (
                parts.Prediction.w_share(parts.Prediction.pp_share(part)) for part in parts.MLM.parts(x, mask)
            )
            outputs = {"visionlan_place": place, "visionlan_rest": rest, "visionlan_character": character}
            if self._step == "LA":
                half = max(x.shape[0] // 2, 1)
                seen = paddle.concat([x[:half] * (1 - mask[:half].detach()), x[half:]])
        logits = parts.Prediction.w_vrm(parts.Prediction.pp(parts.SequenceModeling(seen)))
        return {"visionlan": logits if self.training else F.softmax(logits, axis=-1), **outputs}

    def class_axes(self) -> dict[str, ClassAxis]:
        """Which axes of which parameters are the classes."""
        names = [f"MLM_VRM.Prediction.{layer}" for layer in ("w_vrm", "w_share")]
        weights = {f"{name}.weight": ClassAxis("visionlan", 1) for name in names}
        return weights | {f"{name}.bias": ClassAxis("visionlan", 0) for name in names}

    def drop_training_branches(self) -> None:
        """Without the parts that learn language: evaluation does not use them."""
        del self.MLM_VRM.MLM, self.MLM_VRM.Prediction.pp_share, self.MLM_VRM.Prediction.w_share
