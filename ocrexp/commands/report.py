"""`ocrexp report RUN… | SWEEP`: one HTML page about runs, which works offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from ocrexp.commands.compare import compare_pairs
from ocrexp.config.compose import compose
from ocrexp.config.places import file_to_write
from ocrexp.errors import ConfigError, printable
from ocrexp.runs.catalog import find_runs, read_runs
from ocrexp.runs.compared import make_table

SUMMARY = "Write one HTML page about runs or a sweep: curves, keys, pictures, origin"
USAGE = """
Usage
  python -m ocrexp report RUN_OR_SWEEP ... [key=value ...]
  python -m ocrexp report outputs/sweeps/lr/DATE_TIME limit=10
  python -m ocrexp report RUN_A RUN_B output=two.html

Writes one self-contained page that works offline: the table of the runs, zoomable curves, the metric by each swept key
with its importance, configurations with their differences marked, predictions beside ground truth, worst samples, data,
environment, git commit, and the commands that repeat the runs. It needs pip install 'ocrexp[report]'."""

MARK = b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="generator" content="ocrexp">'
PAGE = "report.html"
COMPARED = 10  # runs that are compared with the best one on the same images


@dataclass(frozen=True)
class ReportSettings:
    """The keys of conf/report.yaml."""

    runs: list[str]
    filter: list[str]
    limit: int
    output: str | None
    overwrite: bool
    pictures_mb: float
    worst: int


def run(arguments: Sequence[str]) -> int:
    """Write the page; returns 0."""
    settings = _settings(arguments)
    folders = find_runs(settings.runs)
    output = _output(settings)
    records = read_runs(folders)
    table = make_table(records, filters=settings.filter)
    if not table.rows:
        raise ConfigError(f"filter: none of the {len(records)} runs fulfills all conditions; remove one of them")
    from ocrexp.report.page import write_page
    from ocrexp.runs.page import make_page

    lines = compare_pairs(table, COMPARED)
    html = make_page(
        table, lines, title=_title(settings, folders), limit=settings.limit, pictures_mb=settings.pictures_mb,
        worst=settings.worst,
    )  # fmt: skip
    write_page(output, html)
    print(f"page: {printable(str(output))} ({output.stat().st_size / 1e6:.1f} MB, {len(table.rows)} runs)")
    return 0


def _settings(arguments: Sequence[str]) -> ReportSettings:
    config = compose("report", arguments)
    values = dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    for name in ("runs", "filter"):
        given = values[name]
        values[name] = [] if given is None else [str(item) for item in (given if isinstance(given, list) else [given])]
    settings = ReportSettings(**{str(key): value for key, value in values.items()})
    if not settings.runs:
        raise ConfigError("runs: no run is named; write run folders or a sweep: python -m ocrexp report outputs/NAME/*")
    for name, least in (("limit", 1), ("worst", 0)):
        value = getattr(settings, name)
        if type(value) is not int or value < least:
            raise ConfigError(f"{name}: expected a whole number, {least} or more, got {value!r}")
    size = settings.pictures_mb
    if isinstance(size, bool) or not isinstance(size, int | float) or not size >= 0:
        raise ConfigError(f"pictures_mb: expected a number, 0 or more, got {size!r}")
    return settings


def _output(settings: ReportSettings) -> Path:
    """Where the page goes. Raises ConfigError where another file is in its place."""
    single = Path(settings.runs[0]).expanduser() if len(settings.runs) == 1 else None
    path = Path(settings.output) if settings.output else (single / PAGE if single and single.is_dir() else Path(PAGE))
    file_to_write(path, "output")
    if path.is_file() and not settings.overwrite:
        with path.open("rb") as file:
            ours = file.read(len(MARK)) == MARK
        if not ours:
            raise ConfigError(
                f"output={printable(str(path))}: exists and is not a page of ocrexp; choose another file, or add "
                "overwrite=true"
            )
    return path


def _title(settings: ReportSettings, folders: Sequence[Path]) -> str:
    if len(settings.runs) > 1:
        return f"{len(folders)} runs"
    from ocrexp.report.title import run_title

    return run_title(folders[0]) if len(folders) == 1 else f"Runs in {settings.runs[0]}"
