"""What is said of a model at the start: parameters as published, multiply-accumulates as counted by hand."""

import pytest
from paddle import nn

from ocrexp.assemble import assemble
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError
from ocrexp.models.summary import summarize


class Small(nn.Layer):
    """A convolution of stride 2, a transposed one, a depthwise one, and a linear layer, on images as bytes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2D(8)
        self.depthwise = nn.Conv2D(8, 8, 3, padding=1, groups=8)
        self.up = nn.Conv2DTranspose(8, 4, 2, stride=2)
        self.fc = nn.Linear(4, 5)

    def forward(self, images):
        x = self.up(self.depthwise(self.norm(self.conv(images.transpose([0, 3, 1, 2]).astype("float32")))))
        return self.fc(x.transpose([0, 2, 3, 1]))


def test_multiply_accumulates_are_those_of_a_count_by_hand():
    half = 4 * 6
    by_hand = half * (8 * 3 * 9) + half * 8 * 9 + half * 8 * (4 * 4) + 8 * 12 * (4 * 5)
    summary = summarize(Small(), (8, 12))
    assert summary.macs == by_hand
    assert summary.parameters == (8 * 27 + 8) + 16 + (72 + 8) + (8 * 4 * 4 + 4) + 25
    assert list(summary.parts) == ["conv", "norm", "depthwise", "up", "fc"]


@pytest.mark.parametrize("stated", [[4, 8], [4]])
def test_maps_that_a_backbone_does_not_state_are_one_line(stated):
    class Maps(nn.Layer):
        out_channels = stated

        def forward(self, x):
            return [x[:, :, :4, :1], x[:, :3]]

    model = nn.Layer()
    model.backbone = Maps()
    model.forward = lambda images: model.backbone(images.transpose([0, 3, 1, 2]))
    with pytest.raises(ConfigError, match=r"Maps gives 2 maps of \[3, 3\] channels and states out_channels \[4"):
        summarize(model, (32, 32))


@pytest.mark.parametrize(
    ("model", "millions", "gmac", "few"),
    [
        ("db_mbv3", 1.84, 9.98, ["dataset.train_pages=2", "dataset.val_pages=1"]),
        ("cls_mbv3", 0.13, 0.0163, ["dataset.words.train_words=8", "dataset.words.val_words=4"]),
    ],
)
def test_a_models_figures_are_the_published_ones_whatever_kernels_train_it(model, millions, gmac, few):
    parts = assemble(compose("train", [f"model={model}", *few]))
    line = parts.describe()
    assert f"{millions} M parameters; {gmac} GMAC" in line
    assert parts.model.training


def test_statistics_and_mode_stay_as_they_are():
    model = Small()
    model.eval()
    before = model.norm._mean.numpy().copy()
    summarize(model, (8, 8))
    assert not model.training and (model.norm._mean.numpy() == before).all()
