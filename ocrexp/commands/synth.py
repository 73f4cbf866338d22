"""`ocrexp synth out=DIR`: draw a labelled synthetic dataset into a new folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.task import LISTS, MODELS
from ocrexp.errors import ConfigError, printable


def run(arguments: Sequence[str]) -> int:
    """Draw the images and say where they are; returns 0."""
    from ocrexp.config.build import build
    from ocrexp.data.synth.dataset import write_dataset
    from ocrexp.data.synth.rec_dataset import SynthRec

    if not any(item.startswith("out=") for item in arguments):
        raise ConfigError("synth needs the folder to draw into: out=DIR")
    config = compose("synth", arguments)
    check(config)
    out = Path(config.out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"out={out} exists and is not overwritten: choose a new folder")
    source = build(config.dataset)
    write_dataset(out, source)
    choices = [f"model={MODELS[source.task]}", f"dataset={LISTS[source.task]}"]
    own_characters = isinstance(source, SynthRec) and (config.dataset.characters or config.dataset.dictionary)
    if own_characters:
        choices.append("charset=from_labels")  # other characters than the model's default
    print(f"drawn: {printable(str(out))} (train: {printable(command([*choices, f'dataset.root={out}']))})")
    return 0


def command(overrides: Sequence[str]) -> str:
    """What to type into a shell to train with these overrides, whatever characters their values hold."""
    typed = []
    for item in overrides:
        key, _, value = item.partition("=")
        if not re.fullmatch(r"[\w./~+-]+", value, re.ASCII):
            value = "'" + value.replace("'", "\\'") + "'"  # a quoted value of Hydra
        item = f"{key}={value}"
        readable = "'" in item and not re.search(r'["$`\\!]', item)
        typed.append(f'"{item}"' if readable else shlex.quote(item))
    return f"python -m ocrexp {' '.join(typed)}"
