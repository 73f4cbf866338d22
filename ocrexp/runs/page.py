"""The page of `ocrexp report`: what is known of some runs, put together for the template."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocrexp.engine.samples import read_samples
from ocrexp.report.differences import Card, region_card, text_card
from ocrexp.report.importance import importances
from ocrexp.report.page import as_script, embedded_file, render
from ocrexp.report.page_plots import Plot, color, curve_plots, importance_plot, key_plots, parallel_plot
from ocrexp.report.tables import shown
from ocrexp.report.text_report import SHOWN_CONFUSIONS
from ocrexp.runs.catalog import RunRecord
from ocrexp.runs.compared import RunTable, as_value, columns_of
from ocrexp.runs.page_runs import PageRun, differing_config, pictures, read_page_run

MOST_PICTURES = 4  # of the best run; of others one
LONGEST = 1100  # pixels of a picture's side
REPORT_PICTURES = {
    "confusions": f"The {SHOWN_CONFUSIONS} most frequent confusions of characters",
    "accuracy_by_length": "Accuracy by length",
}


class PictureBytes:
    """How many bytes the pictures may still take; counts those that do not fit."""

    def __init__(self, megabytes: float) -> None:
        self.left = round(megabytes * 1e6)
        self.dropped = 0

    def take(self, address: str | None) -> str | None:
        """The picture if it fits."""
        if address is None:
            return None
        if (size := len(address) * 3 // 4) > self.left:
            self.dropped += 1
            return None
        self.left -= size
        return address


def make_page(
    table: RunTable, comparisons: Sequence[str], *, title: str, limit: int, pictures_mb: float, worst: int
) -> str:
    """The HTML page. Raises ImportError without the packages of the extra `report`.

    Args:
        table: the runs, the best first.
        comparisons: lines about pairs of runs.
        title: of the page.
        limit: number of runs of which curves, pictures and configuration are shown.
        pictures_mb: how much the pictures may take.
        worst: number of wrong images of the best run.
    """
    from plotly.offline import get_plotlyjs

    metric = next((row["metric"] for row in table.rows if row["metric"]), "best")
    runs = [read_page_run(row["runs"][0]) for row in table.rows[:limit]]
    values = [{**row, **{key: as_value(row.get(key)) for key in table.keys}} for row in table.rows]
    plots = curve_plots([(run.record.name, run.series) for run in runs], metric)
    swept = key_plots(table.keys, values, metric)
    swept += filter(None, [parallel_plot(table.keys, values, metric)])
    found = _importance(table.keys, values)
    importance = None
    if found is not None:
        importance = {"explained": found[1], "runs": sum(row["best"] is not None for row in values)}
        swept.append(importance_plot([(one.key, one.share, one.deviation) for one in found[0]]))
    space = PictureBytes(pictures_mb)
    worst_part = _worst(runs[0].record, worst, space)
    return render(
        "report.html",
        title=title,
        made=time.strftime("%Y-%m-%d %H:%M"),
        metric=metric,
        best=_best(table, metric),
        table=_cells(table),
        comparisons=list(comparisons),
        notes=[(r.name, n) for row in table.rows for r in row["runs"] for n in r.status.get("notes") or ()],
        errors=[(r.name, e) for row in table.rows for r in row["runs"] if (e := r.status.get("error"))],
        curves=plots,
        swept=swept,
        importance=importance,
        configuration=_configuration(runs),
        galleries=[_gallery(run, MOST_PICTURES if index == 0 else 1, space) for index, run in enumerate(runs)],
        pictures=_report_pictures(runs[0].record.path, space),
        worst=worst_part,
        runs=runs,
        others=max(0, len(table.rows) - limit),
        dropped=space.dropped,
        colors=[color(index) for index in range(len(runs))],
        script=get_plotlyjs(),
        plots=as_script({plot["id"]: _for_script(plot) for plot in [*plots, *swept]}),
    )


def _for_script(plot: Plot) -> dict[str, Any]:
    return {"traces": plot["traces"], "layout": plot["layout"]}


def _importance(keys: Sequence[str], rows: Sequence[dict[str, Any]]) -> Any:
    some = [row for row in rows if row["best"] is not None]
    return importances(keys, [[row.get(key) for key in keys] for row in some], [row["best"] for row in some])


def _best(table: RunTable, metric: str) -> str:
    row = table.rows[0]
    if row["best"] is None:
        return "No run has a value yet."
    values = ", ".join(f"{key}={row[key]}" for key in table.keys if row.get(key) is not None)
    return f"Best: {row['run']} with {metric} {row['best']:.4f}" + (f" ({values})" if values else "") + "."


def _cells(table: RunTable) -> dict[str, Any]:
    """The table's headers and cells; of each cell the value to sort by as well."""
    columns = columns_of(table)
    rows = [[(shown(column, row), row.get(column.name), column.left) for column in columns] for row in table.rows]
    return {"headers": [(column.header, column.left) for column in columns], "rows": rows}


def _configuration(runs: Sequence[PageRun]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Of each key that differs: its values, and whether each differs from the best run's."""
    return [
        (key, [(run.config.get(key, "–"), run.config.get(key) != runs[0].config.get(key)) for run in runs])
        for key in differing_config(list(runs))
    ]


def _gallery(run: PageRun, most: int, space: PictureBytes) -> dict[str, Any]:
    paths = pictures(run.record.path, run.record.status.get("best_step"))
    found = [space.take(embedded_file(path, LONGEST, 72)) for path in paths[:most]]
    return {"name": run.record.name, "pictures": [one for one in found if one]}


def _report_pictures(run_dir: Path, space: PictureBytes) -> list[tuple[str, str]]:
    found = [
        (caption, space.take(embedded_file(run_dir / "plots" / f"{name}.png", LONGEST, 80)))
        for name, caption in REPORT_PICTURES.items()
    ]
    return [(caption, picture) for caption, picture in found if picture]


def _worst(record: RunRecord, most: int, space: PictureBytes) -> dict[str, Any] | None:
    """The images of a run with the worst outcomes; None where the run has not kept them."""
    samples = read_samples(record.path)
    if samples is None or not samples.rows:
        return None
    wrong = [row for row in samples.rows if row["hits"] < row["of"]]
    wrong.sort(key=lambda row: (row["hits"] / row["of"], -_number(row.get("score")), -row["of"]))
    cards: list[Card] = []
    for row in wrong[:most]:
        card = text_card(row) if "label" in row else region_card(row)
        kept = [one for one in card.pictures if space.take(one)]
        cards.append(Card(card.name, card.path, kept, card.lines, card.missing))
    texts = "label" in samples.rows[0]
    return {"wrong": len(wrong), "known": len(samples.rows), "images": samples.images, "cards": cards, "texts": texts}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
