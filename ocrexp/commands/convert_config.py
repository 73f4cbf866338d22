"""`ocrexp convert-config config=FILE.yml`: a PaddleOCR training file as an experiment file."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ocrexp.annotations import fits
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError, printable
from ocrexp.files import write_new, write_text

SUMMARY = "Convert a PaddleOCR training file to an experiment file"
USAGE = """
Usage
  python -m ocrexp convert-config config=FILE.yml [out=conf/experiment/NAME.yaml] [-o Global.epoch_num=5 ...]

Converts a training file of PaddleOCR 2.x to an experiment file: its parts, its values, and a comment for each key that
has another form here, is dropped, or is missing. Composes and checks the result before writing it. The exit code is 1
where something that changes the result could not be converted (with strict=false: 0)."""


EXPERIMENTS = Path("conf") / "experiment"


def run(arguments: Sequence[str]) -> int:
    """Convert, write, report; returns 0, or 1 if something that changes the result could not be converted."""
    from ocrexp.config.paddleocr import convert

    own, overrides = _split(list(arguments))
    if not any(item.startswith("config=") for item in own):
        raise ConfigError("config: is missing; add a PaddleOCR training file: config=FILE.yml")
    config = compose("convert-config", own)
    for key in ("strict", "overwrite"):
        if not fits(config[key], bool):
            raise ConfigError(f"{key}: expected true or false, got {config[key]}")
    source = Path(str(config.config))
    if not source.is_file():
        raise ConfigError(f"config={source}: there is no such file; give the path of a training file of PaddleOCR")
    out = EXPERIMENTS / f"{_name(source)}.yaml" if config.out is None else _out(str(config.out))
    exists = ConfigError(f"out={out}: exists and is not overwritten; name another file, or add overwrite=true")
    if out.exists() and not config.overwrite:
        raise exists
    conversion = convert(source, out.stem, overrides)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if config.overwrite:
            write_text(out, conversion.text)
        elif not write_new(out, conversion.text):  # another command has created it since the check
            raise exists
    except OSError as error:
        raise ConfigError(f"out={out}: cannot be written ({error.strerror}); name another file") from error
    for line in conversion.lines():
        print(printable(line))
    counts = Counter(note.kind for note in conversion.notes)
    figures = ", ".join(
        [
            f"{conversion.keys} keys",
            *(f"{counts[kind]} {kind}" for kind in ("changed", "assumed", "dropped", "missing")),
        ]
    )
    print(f"written: {printable(str(out))} (model {conversion.model}; {figures}); run: {printable(_command(out))}")
    return 1 if config.strict and not conversion.complete else 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own overrides, and those after `-o`, which are PaddleOCR's."""
    if "-o" not in arguments:
        return arguments, []
    at = arguments.index("-o")
    behind = [item for item in arguments[at + 1 :] if item != "-o"]
    if not behind:
        raise ConfigError(
            "-o: the value is missing; write Section.key=value after it, for example -o Global.epoch_num=5"
        )
    return arguments[:at], behind


def _out(given: str) -> Path:
    """The file to write; Hydra finds only files that end in .yaml, so .yml becomes .yaml."""
    out = Path(given).expanduser()
    if out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"out={given}: expected a file that ends in .yaml")
    if _name(out) != out.stem:
        raise ConfigError(
            f"out={given}: expected a name that begins with a letter and has only ASCII letters, digits, '_', '-' and "
            f"'.'; write for example out={out.with_name(_name(out))}.yaml"
        )
    if out.suffix == ".yml":
        print(
            f"ocrexp: out={printable(given)}: written as {out.stem}.yaml, because experiments end in .yaml",
            file=sys.stderr,
        )
    return out.with_suffix(".yaml")


def _name(path: Path) -> str:
    """A file's name as an experiment can have it: experiment=NAME must need no quotes."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)
    readable = name[:1].isalpha() and name.lower() not in ("null", "true", "false", "inf", "nan", "none")
    return name if readable else f"experiment_{name.strip('_.-')}".rstrip("_")


def _command(out: Path) -> str:
    """The command that trains with the file, from the current folder."""
    run = f"python -m ocrexp experiment={out.stem}"
    if out.parent.resolve() == EXPERIMENTS.resolve():
        return run
    return f"mkdir -p {EXPERIMENTS} && cp {shlex.quote(str(out))} {EXPERIMENTS}/ && {run}"
