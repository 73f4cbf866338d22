"""What fuzz.py feeds: each target makes damaged files from valid ones and reads them as ocrexp's commands do."""

from fuzzing.checkpoints import Checkpoints, Weights
from fuzzing.conversions import Conversions
from fuzzing.data import Dictionaries, Labels, Lists, Lmdb
from fuzzing.exports import Descriptions
from fuzzing.pictures import Images
from fuzzing.runs import RunConfigs
from fuzzing.target import Input, Target

TARGETS: dict[str, type[Target]] = {
    target.name: target
    for target in (
        Weights,
        Checkpoints,
        Descriptions,
        RunConfigs,
        Conversions,
        Images,
        Lmdb,
        Labels,
        Lists,
        Dictionaries,
    )
}

__all__ = ["TARGETS", "Input", "Target"]
