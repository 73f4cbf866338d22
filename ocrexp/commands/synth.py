"""`ocrexp synth out=DIR`: draw a labeled synthetic data set into a new folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ocrexp.command_line import command
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.places import new_folder_to_write
from ocrexp.config.task import DATASETS, training_on
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.logs import show_notices
from ocrexp.nearest import expected_one_of

SUMMARY = "Draw a labeled synthetic data set"
USAGE = """
Usage
  python -m ocrexp synth out=DIR [dataset.train_pages=500] [dataset.seed=1] ...
  python -m ocrexp synth dataset=synth_rec out=DIR [dataset.train_words=5000] ...
  python -m ocrexp synth dataset=synth_rec out=DIR dataset/text=corpus dataset.text.corpus.path=texts.txt to=lmdb
  python -m ocrexp synth out=DIR crops=true

Draws a labeled data set (images, train_list.txt, val_list.txt in PaddleOCR's format, or LMDB, or tar shards) into a new
folder: pages for a detector, words for a recognizer or a classifier, or both from the same pages."""

_TO = ("paddleocr", "lmdb", "shards")


def run(arguments: Sequence[str]) -> int:
    """Draw the images and print their folder; returns 0."""
    from ocrexp.assemble.data import build_source
    from ocrexp.data.synth.drawn import DrawnData, write_dataset
    from ocrexp.data.synth.rec_dataset import SynthRec
    from ocrexp.data.synth.style.dataset import StyledRec
    from ocrexp.deploy.drawn import DrawnOutput, write_drawn

    show_notices()
    with nothing_done():
        config = compose("synth", arguments)
        if OmegaConf.is_missing(config, "out"):
            raise ConfigError("out: is missing; add the folder to draw into: out=DIR")
        check(config)
        out = Path(config.out).expanduser()
        _check_output(config)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"out={out}: exists and is not overwritten; choose a new folder")
        new_folder_to_write(out.absolute(), "out")
        source = build_source(config.dataset)
        if not isinstance(source, DrawnData) or source.task is None:
            raise ConfigError("dataset: is not drawn; choose one of synth_det, synth_rec, synth_cls, rec_styled")
        if config.crops and source.task != "det":
            raise ConfigError(
                "crops=true: the data set has images of one text; choose dataset=synth_det, or crops=false"
            )
        if config.to == "lmdb" and source.task == "det" and not config.crops:
            raise ConfigError("to=lmdb: LMDB holds words, not pages; set crops=true, or to=paddleocr or to=shards")
        source.description()  # reads corpora, words, fonts, backgrounds, real images
    root = out
    if config.to == "paddleocr" and not config.crops:
        write_dataset(out, source)
    else:
        output = DrawnOutput(config.to, bool(config.crops), float(config.crop_margin))
        for line in write_drawn(out, source, output):
            print(f"ocrexp: {printable(line)}", file=sys.stderr)
        root = out / "det" if config.crops else out
    for line in source.drawn_report() if isinstance(source, StyledRec) else source.report():
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
    written = "paddleocr" if config.crops and config.to == "lmdb" else config.to  # pages are lists then
    if source.task not in DATASETS[written]:
        print(f"drawn: {printable(str(out))}")
        return 0
    choices = training_on(root, written, source.task, [part for part, count in source.counts.items() if count])
    if isinstance(source, SynthRec):
        choices |= _charset(config.dataset, source.characters)
    elif isinstance(source, StyledRec):
        choices["charset"] = "from_labels"
    print(f"drawn: {printable(str(out))} (train: {command('train', choices)})")
    return 0


def _check_output(config: DictConfig) -> None:
    """Raises ConfigError for an output that does not exist."""
    if config.to not in _TO:
        raise ConfigError(f"to: {expected_one_of(config.to, _TO)}")
    if not isinstance(config.crops, bool):
        raise ConfigError(f"crops: expected true or false, got {config.crops!r}")
    margin = config.crop_margin
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin <= 1:
        raise ConfigError(f"crop_margin: expected a number from 0 to 1, got {margin!r}")


def _charset(dataset: DictConfig, characters: str) -> dict[str, object]:
    """The charset of a recognizer that can write the drawn texts, where it is not the model's default."""
    from ocrexp.data.synth.rec_texts import PRINTABLE

    if dataset.dictionary:
        space = {"charset.use_space_char": "true"} if dataset.use_space_char else {}
        return {"charset": "dictionary", "charset.path": dataset.dictionary, **space}
    if dataset.characters:
        return {"charset": "characters", "charset.characters": characters}
    found = set(characters)
    if not found <= {*PRINTABLE, " "}:  # those of a corpus or of other scripts
        return {"charset": "from_labels"}
    return {"charset.use_space_char": "true"} if " " in found else {}
