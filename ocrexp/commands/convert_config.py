"""`ocrexp convert-config config=FILE.yml`: a PaddleOCR training file as an experiment file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ocrexp.config.check import fits
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError, printable


def run(arguments: Sequence[str]) -> int:
    """Convert, write, report; returns 0, or 1 where something that changes the result was left behind."""
    from ocrexp.config.paddleocr import convert

    own, overrides = _split(list(arguments))
    if not any(item.startswith("config=") for item in own):
        raise ConfigError("convert-config needs a PaddleOCR training file: config=FILE.yml")
    config = compose("convert-config", own)
    for key in ("strict", "overwrite"):
        if not fits(config[key], bool):
            raise ConfigError(f"{key}={config[key]}: write true or false")
    source = Path(str(config.config))
    if not source.is_file():
        raise ConfigError(f"config={source}: there is no such file")
    out = Path("conf/experiment") / f"{_name(source)}.yaml" if config.out is None else Path(str(config.out))
    if _name(out) != out.stem:
        raise ConfigError(f"out={out}: an experiment's name has letters, digits, '_', '-' and '.' only")
    if out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"out={out}: name a file that ends in .yaml")
    if out.exists() and not config.overwrite:
        raise ConfigError(f"out={out} is there already: name another file, or add overwrite=true")
    conversion = convert(source, out.stem, overrides)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(conversion.text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"out={out}: cannot be written ({error.strerror})") from error
    for line in conversion.lines():
        print(printable(line))
    counts = Counter(note.kind for note in conversion.notes)
    figures = (
        f"{conversion.keys} keys, {counts['changed']} changed, {counts['dropped']} dropped, {counts['missing']} missing"
    )
    print(f"written: {printable(str(out))} (model {conversion.model}; {figures}); run: {printable(_command(out))}")
    return 1 if config.strict and not conversion.complete else 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own overrides, and those behind `-o`, which are PaddleOCR's."""
    if "-o" not in arguments:
        return arguments, []
    at = arguments.index("-o")
    behind = [item for item in arguments[at + 1 :] if item != "-o"]
    if not behind:
        raise ConfigError("-o: write Section.key=value behind it, as -o Global.epoch_num=5")
    return arguments[:at], behind


def _name(path: Path) -> str:
    """A file's name as an experiment can have it: experiment=NAME must need no quotes."""
    return re.sub(r"[^\w.-]+", "_", path.stem)


def _command(out: Path) -> str:
    if out.parent == Path("conf/experiment"):
        return f"python -m ocrexp experiment={out.stem}"
    return f"put it into conf/experiment, then python -m ocrexp experiment={out.stem}"
