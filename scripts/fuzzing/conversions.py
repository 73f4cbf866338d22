"""PaddleOCR's training files."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import yaml

from fuzzing.target import Input, Target, changed_yaml, check_lines


class Conversions(Target):
    """Training files of PaddleOCR as `convert-config` reads them."""

    name = "conversions"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        sys.path.append(str(Path(__file__).parents[2] / "tests" / "config"))
        import paddle  # noqa: F401 - prints what it prints now
        import paddleocr_files

        from ocrexp.config.compose import setup_hydra

        setup_hydra()
        made = paddleocr_files.detector(), paddleocr_files.recognizer()
        self.seeds = [yaml.safe_dump(tree, sort_keys=False).encode() for tree in made]

    def example(self, rng: Random) -> Input:
        return Input("file.yml", changed_yaml(rng, self.seeds))

    def run(self, given: Input) -> None:
        from ocrexp.config.paddleocr import convert

        check_lines(convert(self.write(given), "converted").lines())
