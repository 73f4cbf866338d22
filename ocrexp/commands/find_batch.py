"""`ocrexp find-batch`: the largest batch that fits the memory, by trying batches in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from omegaconf import DictConfig

from ocrexp.config.places import file_to_write
from ocrexp.errors import ConfigError, printable
from ocrexp.files import exists, write_json
from ocrexp.logs import show_notices
from ocrexp.runs.adapt import fit_to_data
from ocrexp.runs.batch_search import AUTO, BatchFound, BatchLimits, BatchTry, find_batch, rate_line
from ocrexp.runs.composed import compose_training, verb_and_training

SUMMARY = "Find the largest batch that fits the memory"
USAGE = """
Usage
  python -m ocrexp find-batch model=db_mbv3 dataset=det_list dataset.root=DATA
  python -m ocrexp find-batch model=crnn_mbv3 memory=6 reserve=0.2 trainer.ema_decay=0.999
  python -m ocrexp loader.batch_size=auto ...          the same search before a training

Doubles the batch until it does not fit, then bisects. Each try is a process of its own, which trains two steps of the
given configuration (forward, loss, backward, optimizer) with the largest image size of its batches; a try that needs
too much memory is ended, and nothing else is. Prints the peak memory of each try and the override to use; the exit code
is 1 if not even one image fits."""

_GB = 2**30


def run(arguments: Sequence[str]) -> int:
    """Search, print the tries and the override; returns 0."""
    verb, _, overrides = verb_and_training("find-batch", arguments)
    limits = _limits(verb)
    output = None if verb.output is None else _new_file(Path(str(verb.output)))
    config = compose_training("find-batch", overrides)
    show_notices()
    if config.get("adapt") is not None and not config.get("overfit"):
        if config.loader.batch_size == AUTO:
            raise ConfigError("loader.batch_size=auto: adapt chooses the batch itself; remove one of the two")
        fit_to_data(config, overrides)
    found = find_batch(config, limits)
    print_tries(found)
    print(f"loader.batch_size={found.batch}   {found.reason}")
    print(rate_line(config, found.batch))
    if output is not None:
        write_json(output, {"batch_size": found.batch, **asdict(found)})
        print(f"written: {printable(str(output))}")
    return 0


def _limits(verb: DictConfig) -> BatchLimits:
    values = {field.name: verb[field.name] for field in fields(BatchLimits)}
    for name in ("memory", "reserve", "tolerance"):
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ConfigError(f"{name}: expected a number{' or null' if name == 'memory' else ''}, got {value!r}")
        if value is None and name != "memory":
            raise ConfigError(f"{name}: expected a share from 0 to below 1, got null")
    try:
        return BatchLimits(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _new_file(path: Path) -> Path:
    if exists(path):
        raise ConfigError(f"output={printable(str(path))}: exists and is not overwritten; choose another name")
    return file_to_write(path, "output")


def print_tries(found: BatchFound) -> None:
    """A table of the tries, by batch."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("batch", "image size", "peak memory", "seconds per step", "result"):
        table.add_column(name, justify="left" if name == "result" else "right")
    for one in sorted(found.tries, key=lambda one: one.batch):
        table.add_row(str(one.batch), _size(one), _memory(one), _seconds(one), "fits" if one.fits else one.why)
    Console().print(table)


def _size(one: BatchTry) -> str:
    return "–" if one.size is None else f"{one.size[0]}×{one.size[1]}"


def _memory(one: BatchTry) -> str:
    return "–" if one.peak is None else f"{one.peak / _GB:.2f} GB"


def _seconds(one: BatchTry) -> str:
    return "–" if one.seconds is None else f"{one.seconds:.3g}"
