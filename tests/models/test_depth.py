"""Depth of a backbone's blocks: counted as they are executed, from 1 without a gap."""

import functools
from collections.abc import Callable

import paddle
import pytest
from paddle import nn

from ocrexp.models.backbones.efficientnet import EfficientNetB3
from ocrexp.models.backbones.lcnet_v3 import PPLCNetV3
from ocrexp.models.backbones.lcnet_v4 import PPLCNetV4
from ocrexp.models.backbones.mobilenet_v1_enhance import MobileNetV1Enhance
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.backbones.mtb import MTB
from ocrexp.models.backbones.rec_mobilenet_v3 import RecMobileNetV3
from ocrexp.models.backbones.rec_resnet_vd import RecResNetVd
from ocrexp.models.backbones.repvit import RepViT
from ocrexp.models.backbones.resnet31 import ResNet31
from ocrexp.models.backbones.resnet45 import ResNet45
from ocrexp.models.backbones.resnet_aster import ResNetASTER
from ocrexp.models.backbones.resnet_fpn import ResNetFPN
from ocrexp.models.backbones.resnet_vd import ResNetVd
from ocrexp.models.backbones.svtrnet import SVTRNet
from ocrexp.models.backbones.svtrv2_paddle import PaddleSVTRv2
from ocrexp.models.backbones.vit import ViTParseQ, ViTSTR
from ocrexp.models.depth import depths

# backbone, shape of an image, number of blocks
BACKBONES: dict[str, tuple[Callable[[], nn.Layer], tuple[int, int, int], int]] = {
    "MobileNetV3": (lambda: MobileNetV3("small", 0.35), (3, 32, 32), 13),
    "ResNetVd": (lambda: ResNetVd(18), (3, 32, 32), 11),
    "PPLCNetV3 det": (lambda: PPLCNetV3(0.25, det=True), (3, 32, 32), 19),
    "PPLCNetV3 rec, fused": (lambda: PPLCNetV3(0.25, fused=True), (3, 48, 64), 15),
    "PPLCNetV4 det": (lambda: PPLCNetV4("tiny", det=True), (3, 32, 32), 14),
    "PPLCNetV4 rec, fused": (lambda: PPLCNetV4("tiny", fused=True), (3, 48, 64), 11),
    "RepViT": (lambda: RepViT(), (3, 48, 64), 14),
    "PaddleSVTRv2": (lambda: PaddleSVTRv2((8, 16, 16), (1, 2, 1), (1, 1, 0), (1, 2, 2)), (3, 48, 64), 4),
    "MobileNetV1Enhance": (lambda: MobileNetV1Enhance(0.25), (3, 48, 64), 14),
    "RecMobileNetV3": (lambda: RecMobileNetV3("small", 0.35), (3, 32, 64), 13),
    "RecResNetVd": (lambda: RecResNetVd(34), (3, 32, 64), 19),
    "ResNet31": (lambda: ResNet31(), (3, 32, 64), 17),
    "ResNet45": (lambda: ResNet45(), (3, 32, 64), 23),
    "MTB": (lambda: MTB(), (1, 32, 64), 2),
    "ResNetFPN": (lambda: ResNetFPN(layers=18), (1, 32, 64), 14),
    "ResNetASTER": (lambda: ResNetASTER(with_lstm=False), (3, 32, 64), 23),
    "EfficientNetB3": (lambda: EfficientNetB3(), (3, 32, 64), 27),
    "SVTRNet": (lambda: SVTRNet(), (3, 32, 100), 16),
    "ViTParseQ": (lambda: ViTParseQ(embed_dim=48, num_heads=2), (3, 32, 128), 13),
    "ViTSTR": (lambda: ViTSTR(), (1, 224, 224), 13),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_blocks_are_counted_as_they_are_executed(name: str) -> None:
    make, shape, blocks = BACKBONES[name]
    backbone = make()
    backbone.eval()
    found = depths(backbone)
    assert set(found) == {key for key, _ in backbone.named_parameters()}
    own = [key for key, _ in backbone.named_parameters(include_sublayers=False)]  # positions and the like
    executed: list[int] = []

    def note(depth: int, *_: object) -> None:
        executed.append(depth)

    for prefix, layer in backbone.named_sublayers():
        mine = {found[f"{prefix}.{key}"] for key, _ in layer.named_parameters()}
        if len(mine) == 1:  # a block, or a part of one
            layer.register_forward_post_hook(functools.partial(note, mine.pop()))
    backbone(paddle.zeros([1, *shape]))
    assert executed == sorted(executed)
    assert set(executed) == set(range(1, blocks + 1)) == set(found.values())
    assert {found[key] for key in own} <= {1}


def test_a_backbone_without_layers_has_depth_1() -> None:
    class Plain(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.weight = self.create_parameter([2])

    assert depths(Plain()) == {"weight": 1}
