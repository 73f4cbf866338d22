"""`ocrexp compare RUN… | SWEEP | PATTERN`: runs side by side, and whether they differ by more than chance."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.config.places import file_to_write
from ocrexp.errors import ConfigError, explain_import_error, printable
from ocrexp.files import exists, write_text
from ocrexp.report import tables
from ocrexp.runs.catalog import find_runs, read_runs
from ocrexp.runs.compared import RunTable, columns_of, make_table

if TYPE_CHECKING:
    from ocrexp.report.paired import PairedResult

SUMMARY = "Compare runs: a table, what differs, and whether it is more than chance"
USAGE = """
Usage
  python -m ocrexp compare RUN_OR_SWEEP ... [key=value ...]
  python -m ocrexp compare outputs/sweeps/lr/DATE_TIME sort=val_loss format=markdown
  python -m ocrexp compare outputs/sweeps/lr/DATE_TIME group=seed 'filter=[state=done,best>0.5]'
  python -m ocrexp compare RUN_A RUN_B gallery=differences.html

Prints a table of the runs, the best first: metric, best step, time, images per second, parameters, GMACs, memory and
the overrides that differ. Runs that evaluated the same images are compared image by image with the first row: the
difference of the metric, and the probability p of such a difference by chance. The exit code is 0."""

FORMATS = ("table", "csv", "json", "markdown", "latex")


@dataclass(frozen=True)
class CompareSettings:
    """The keys of conf/compare.yaml."""

    runs: list[str]
    sort: str
    filter: list[str]
    group: list[str]
    columns: list[str]
    limit: int | None
    paired_test: int
    format: str
    output: str | None
    gallery: str | None
    gallery_images: int
    overwrite: bool


def run(arguments: Sequence[str]) -> int:
    """Print or write the table; returns 0."""
    settings = _settings(arguments)
    records = read_runs(find_runs(settings.runs))
    table = make_table(records, filters=settings.filter, sort=settings.sort, group=settings.group, limit=settings.limit)
    if not table.rows:
        raise ConfigError(f"filter: none of the {len(records)} runs fulfills all conditions; remove one of them")
    lines = compare_pairs(table, settings.paired_test)
    columns = columns_of(table, settings.columns)
    if settings.gallery is not None:
        _write_gallery(table, Path(settings.gallery), settings.gallery_images, lines)
    if settings.format == "table" and settings.output is None:
        _print(columns, table, lines)
    else:
        text = _as_text(settings.format, columns, table)
        if settings.output is None:
            print(text, end="")
        else:
            write_text(Path(settings.output), text)
            print(f"table: {printable(settings.output)}")
    return 0


def _settings(arguments: Sequence[str]) -> CompareSettings:
    config = compose("compare", arguments)
    values = dict(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    for name in ("runs", "filter", "group", "columns"):
        given = values[name]
        values[name] = [] if given is None else [str(item) for item in (given if isinstance(given, list) else [given])]
    settings = CompareSettings(**{str(key): value for key, value in values.items()})
    if not settings.runs:
        raise ConfigError(
            "runs: no run is named; write run folders, a sweep or a pattern: python -m ocrexp compare outputs/NAME/*"
        )
    if settings.format not in FORMATS:
        raise ConfigError(f"format: expected one of {', '.join(FORMATS)}, got {settings.format!r}")
    for name, least in (("limit", 1), ("paired_test", 0), ("gallery_images", 1)):
        value = getattr(settings, name)
        if not (value is None and name == "limit") and (type(value) is not int or value < least):
            raise ConfigError(f"{name}: expected a whole number, {least} or more, got {value!r}")
    for name in ("output", "gallery"):
        if (value := getattr(settings, name)) is None:
            continue
        if exists(Path(value)) and not settings.overwrite:
            raise ConfigError(f"{name}={printable(value)}: exists and is not overwritten; add overwrite=true")
        file_to_write(Path(value), name)
    return settings


def compare_pairs(table: RunTable, most: int) -> list[str]:
    """Compare the first row with the next `most` on the images that both have; adds `difference` and `p` to the rows.

    Returns a line for each comparison.
    """
    rows = [row for row in table.rows[1 : most + 1] if row["metric"] == table.rows[0]["metric"]]
    if not rows:
        return []
    from ocrexp.engine.samples import read_samples
    from ocrexp.report.paired import averaged, counts_of, holm, matched, paired_test

    def counts(row: dict[str, object]) -> dict[tuple[str, int], tuple[float, float]]:
        found = [read_samples(record.path) for record in row["runs"]]  # type: ignore[attr-defined]
        return averaged([counts_of(one.rows) for one in found if one]) if all(found) else {}

    first = counts(table.rows[0])
    results = [(row, paired_test(*matched(first, counts(row)))) for row in rows] if first else []
    known = [(row, result) for row, result in results if result is not None]
    lines = []
    for (row, result), p in zip(known, holm([result.p for _, result in known]), strict=True):
        row["difference"], row["p"] = result.difference, p
        lines.append(_sentence(table.rows[0]["run"], row["run"], row["metric"], result, p, len(known)))
    return lines


def _sentence(first: str, second: str, metric: str, result: PairedResult, p: float, count: int) -> str:
    chance = "more than chance" if p < 0.05 else "not more than chance"
    among = f", corrected for {count} comparisons" if count > 1 else ""
    return (
        f"{second} against {first} on {result.images} common images: {metric} {result.difference:+.4f} (95 % interval "
        f"{result.low:+.4f} to {result.high:+.4f}), better on {result.gained} images, worse on {result.lost}; "
        f"p = {p:.2g}{among}: {chance}"
    )


def _write_gallery(table: RunTable, path: Path, most: int, lines: Sequence[str]) -> None:
    if len(table.rows) != 2 or any(len(row["runs"]) != 1 for row in table.rows):
        raise ConfigError(f"gallery: expected two runs, got {len(table.rows)}; name two runs, or choose two by filter")
    from ocrexp.engine.samples import read_samples

    records = [row["runs"][0] for row in table.rows]
    samples = [read_samples(record.path) for record in records]
    for record, found in zip(records, samples, strict=True):
        if found is None:
            raise ConfigError(
                f"gallery: {printable(str(record.path))} has no samples.jsonl, which a run writes at its best "
                "evaluation (callbacks.report, trainer.keep_outcomes); choose another run"
            )
    assert samples[0] is not None and samples[1] is not None
    try:
        from ocrexp.report.differences import differences_page
        from ocrexp.report.page import write_page

        names = str(records[0].path), str(records[1].path)
        page = differences_page(samples[0].rows, samples[1].rows, names, " ".join(lines), most)
    except ImportError as error:
        raise ConfigError(f"gallery: {explain_import_error(error) or error}") from None
    write_page(path, page)
    print(f"gallery: {printable(str(path))}", file=sys.stderr)


def _as_text(form: str, columns: Sequence[tables.Column], table: RunTable) -> str:
    if form in ("csv", "json"):
        raw = [*columns, tables.Column("metric", "metric"), tables.Column("folders", "folders"),
               tables.Column("error", "error"), tables.Column("notes", "notes")]  # fmt: skip
        rows = [
            {
                **row,
                "folders": " ".join(str(record.path) for record in row["runs"]),
                "error": " ".join(filter(None, (record.status.get("error") for record in row["runs"]))),
                "notes": " ".join(note for record in row["runs"] for note in record.status.get("notes") or ()),
            }
            for row in table.rows
        ]
        return tables.as_csv(raw, rows) if form == "csv" else tables.rows_as_json(raw, rows)
    return tables.as_latex(columns, table.rows) if form == "latex" else tables.as_markdown(columns, table.rows)


_LEAST = ("peak_memory_mb", "gmacs", "zero_shot", "images_per_second", "parameters", "step", "val_loss", "best_step")


def fitting(
    columns: Sequence[tables.Column], rows: Sequence[tables.Row], width: int
) -> tuple[list[tables.Column], list[str]]:
    """The columns that a terminal of this width has room for, and the headers of the others, the least important."""
    kept, dropped = list(columns), []
    for name in _LEAST:
        widths = (
            max(len(column.header), *(len(tables.shown(column, row)) for row in rows)) + 3
            for column in kept
        )  # fmt: skip
        if sum(widths) + 1 <= width:
            break
        dropped += [column.header for column in kept if column.name == name]
        kept = [column for column in kept if column.name != name]
    return kept, dropped


def _print(columns: Sequence[tables.Column], table: RunTable, lines: Sequence[str]) -> None:
    """The table on the screen; below it comparisons, errors and what the curves show."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=10_000)  # a file or a pipe takes lines of any length
    columns, dropped = fitting(columns, table.rows, console.width)
    screen = Table()
    for column in columns:  # everything is Text: rich would read a value such as [a.txt] as markup
        screen.add_column(Text(printable(column.header)), justify="left" if column.left else "right", overflow="fold")
    for row in table.rows:
        screen.add_row(*(Text(tables.shown(column, row)) for column in columns))
    console.print(screen)
    below = list(lines)
    if dropped:
        below.insert(0, f"not shown for lack of width: {', '.join(dropped)} (choose with columns=[…], or format=csv)")
    for row in table.rows:
        for record in row["runs"]:
            below += [f"{record.name}: {text}" for text in (record.status.get("error"),) if text]
            below += [f"{record.name}: {note}" for note in record.status.get("notes") or ()]
    for line in below:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
