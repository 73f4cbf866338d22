"""Batch norms become synchronized ones, but for those that are frozen."""

from paddle import nn

from ocrexp.engine.distributed import synchronize_norms
from ocrexp.models.freezing import freeze


class Pair(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2D(3, 4, 1), nn.Sequential(nn.BatchNorm2D(4)))
        self.head = nn.Sequential(nn.Conv2D(4, 4, 1), nn.BatchNorm2D(4))


def test_frozen_norms_stay_frozen_and_others_keep_their_parameters() -> None:
    model = Pair()
    freeze(model, ["backbone"])
    before = dict(model.named_parameters())
    assert synchronize_norms(model) is model
    assert type(model.backbone[1][0]) is nn.BatchNorm2D
    assert model.backbone[1][0]._use_global_stats
    assert type(model.head[1]) is nn.SyncBatchNorm
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    assert {name for name, p in after.items() if p.stop_gradient} == {
        *(name for name in before if name.startswith("backbone")),
        "head.1._mean",
        "head.1._variance",
    }
