"""Deployed models as a start for training: the layers with weights of an ONNX file or of a Paddle inference model.

Nothing of a file is executed, and no library that runs it is imported: the few messages that are needed are read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ocrexp.weights.deployed.items import Array, Item
from ocrexp.weights.deployed.onnx import read_onnx
from ocrexp.weights.deployed.paddle2 import read_paddle2
from ocrexp.weights.deployed.paddle3 import read_paddle3

__all__ = ["Array", "Deployed", "Item", "read_deployed"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed network.

    Args:
        path: of the ONNX file or of the program.
        items: its layers with weights, in their order of execution.
        characters: of a recognizer in class order, without blank, where the file itself states them.
    """

    path: Path
    items: list[Item]
    characters: tuple[str, ...] | None = None


def read_deployed(program: Path, parameters: Path | None = None) -> Deployed:
    """A network from `NAME.onnx`, or from `NAME.pdmodel` or `NAME.json` and its parameters.

    Raises CheckpointError, in one line: damaged, quantized, half-precision, optimized for a runtime.
    """
    if program.suffix == ".onnx":
        items, characters = read_onnx(program)
        return Deployed(program, items, characters)
    assert parameters is not None
    read = read_paddle3 if program.suffix == ".json" else read_paddle2
    return Deployed(program, read(program, parameters))
