"""`ocrexp synth out=DIR`: draw a labeled synthetic data set into a new folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from ocrexp.command_line import command
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.task import LISTS, MODELS
from ocrexp.errors import ConfigError, printable
from ocrexp.logs import show_notices

SUMMARY = "Draw a labeled synthetic data set"
USAGE = """
Usage
  python -m ocrexp synth out=DIR [dataset.train_pages=500] [dataset.seed=1] ...
  python -m ocrexp synth dataset=synth_rec out=DIR [dataset.train_words=5000] ...

Draws a labeled data set (images, train_list.txt, val_list.txt in PaddleOCR's format) into a new folder: pages for a
detector, words for a recognizer or a classifier."""


def run(arguments: Sequence[str]) -> int:
    """Draw the images and print their folder; returns 0."""
    from ocrexp.config.build import build
    from ocrexp.data.synth.dataset import write_dataset
    from ocrexp.data.synth.rec_dataset import SynthRec

    show_notices()
    if not any(item.startswith("out=") for item in arguments):
        raise ConfigError("out: is missing; add the folder to draw into: out=DIR")
    config = compose("synth", arguments)
    check(config)
    out = Path(config.out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"out={out}: exists and is not overwritten; choose a new folder")
    source = build(config.dataset)
    write_dataset(out, source)
    for line in source.report():
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
    choices: dict[str, object] = {"model": MODELS[source.task], "dataset": LISTS[source.task]}
    if isinstance(source, SynthRec):
        choices |= _charset(config.dataset, source.characters)
    print(f"drawn: {printable(str(out))} (train: {command('train', {**choices, 'dataset.root': out})})")
    return 0


def _charset(dataset: DictConfig, characters: str) -> dict[str, object]:
    """The charset of a recognizer that can write the drawn texts, where it is not the model's default."""
    if dataset.dictionary:
        space = {"charset.use_space_char": "true"} if dataset.use_space_char else {}
        return {"charset": "dictionary", "charset.path": dataset.dictionary, **space}
    if dataset.characters:
        return {"charset": "characters", "charset.characters": characters}
    return {"charset.use_space_char": "true"} if dataset.use_space_char else {}
