"""ASTER's backbone (Shi et al., TPAMI 2018), which SEED has too: a ResNet45 and two LSTM layers over its columns.

Names and shapes of the parameters are those of PaddleOCR's `rec_resnet_aster`.
"""

from __future__ import annotations

from paddle import Tensor, nn

from ocrexp.errors import ConfigError
from ocrexp.models.backbones.resnet45 import CHANNELS, resnet45_stages
from ocrexp.models.layers import Conv2D

_STRIDES = ((2, 2), (2, 2), (2, 1), (2, 1), (2, 1))


class ResNetASTER(nn.Layer):
    """ASTER's backbone.

    Args:
        in_channels: channels of the image.
        with_lstm: whether two bidirectional LSTM layers follow the convolutions.

    `forward(images [N, in_channels, 32, W])` gives the sequence [N, W / 4, 512].
    """

    def __init__(self, in_channels: int = 3, with_lstm: bool = True) -> None:
        super().__init__()
        stem = Conv2D(in_channels, CHANNELS[0], 3, padding=1, bias_attr=False)
        self.layer0 = nn.Sequential(stem, nn.BatchNorm2D(CHANNELS[0]), nn.ReLU())
        self.layer1, self.layer2, self.layer3, self.layer4, self.layer5 = resnet45_stages(_STRIDES, True)
        self.rnn = None
        if with_lstm:
            self.rnn = nn.LSTM(CHANNELS[-1], CHANNELS[-1] // 2, direction="bidirect", num_layers=2)
        self.out_channels = CHANNELS[-1]

    def forward(self, x: Tensor) -> Tensor:
        for stage in (self.layer0, self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            x = stage(x)
        if x.shape[2] != 1:
            raise ConfigError(
                f"the backbone gives maps of height {x.shape[2]}, but a sequence needs 1; use images of height 32"
            )
        x = x.squeeze(2).transpose([0, 2, 1])
        return x if self.rnn is None else self.rnn(x)[0]
