"""PaddleOCR's SVTRv2: its keys of stages, of which ours have other forms."""

from __future__ import annotations

from itertools import groupby

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

_MIXER = [["Conv"] * 3, ["Conv"] * 3 + ["Global"] * 3, ["Global"] * 3]
_STRIDES = [[1, 1], [2, 1], [1, 1]]


def take_stages(experiment: Experiment, backbone: Section) -> None:
    """Convert `mixer`, the kinds of all blocks, to their number before attention, and `sub_k` to strides.

    Raises ConfigError for a stage that has attention before a convolution, or another kind of block.
    """
    mixer = backbone.get("mixer", _MIXER)
    stages = mixer if isinstance(mixer, list) else [mixer]
    local = []
    for number, stage in enumerate(stages):
        kinds = [kind for kind, _ in groupby(stage)] if isinstance(stage, list) else []
        if kinds not in (["Conv"], ["Global"], ["Conv", "Global"]):
            raise ConfigError(
                f"{backbone.key('mixer')}[{number}]: expected a list of Conv, then Global, got {stage!r}; other orders "
                "are not supported"
            )
        local.append(stage.count("Conv"))
    experiment.set("model.backbone.conv_blocks", local, f"{backbone.key('mixer')}: blocks of Conv", implied=True)
    strides = backbone.get("sub_k", _STRIDES)
    between = strides[: len(stages) - 1] if isinstance(strides, list) else strides
    experiment.set("model.backbone.strides", between, f"{backbone.key('sub_k')}: the last is of no use", implied=True)
    if backbone.get("use_pool") is not True:
        why = "a CTC branch needs the map of height 1 that it gives"
        experiment.report("missing", backbone.key("use_pool"), backbone.get("use_pool"), why, "set use_pool: true")
