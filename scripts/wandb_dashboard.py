"""Builds a workspace and a report of a W&B project for OCR, or writes their definitions to files without an account.

    pip install 'ocrexp[wandb]' wandb-workspaces
    python scripts/wandb_dashboard.py receipts --task rec                # saves both and prints their addresses
    python scripts/wandb_dashboard.py receipts --keys optim.lr seed      # the keys that a sweep changes
    python scripts/wandb_dashboard.py receipts --out dashboard/          # workspace.json, report.json; no account

The panels: the validation metric and its parts, both losses, the best value against each swept key, parallel
coordinates, importance of the keys, predictions and tables of samples, learning rate, throughput, time spent on waiting
for data, memory and processors, and the configurations side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

METRICS = {
    "det": ["hmean", "precision", "recall"],
    "rec": ["accuracy", "norm_edit_dis"],
    "cls": ["accuracy"],
}
PICTURES = {
    "det": ["val/predictions"],
    "rec": ["val/predictions", "val/confusions", "val/worst"],
    "cls": ["val/predictions"],
}


def sections(task: str, keys: list[str]) -> dict[str, list[Any]]:
    """The panels under their headings."""
    import wandb_workspaces.reports.v2 as wr

    main = METRICS[task][0]

    def line(title: str, *metrics: str, **more: Any) -> Any:
        return wr.LinePlot(title=title, x="step", y=list(metrics), **more)

    best = f"summary:best/{main}"
    columns = [wr.ParallelCoordinatesPlotColumn(metric=f"c::{key}") for key in keys]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=best))
    return {
        "Validation": [
            *(line(name, f"val/{name}") for name in METRICS[task]),
            line("loss in validation", "val/loss"),
            wr.BarPlot(title=f"best {main}", metrics=[f"best/{main}"]),
        ],
        "Training": [
            line("loss", "train/loss", log_y=True),
            line("learning rate", "train/lr"),
            line("images per second", "train/images_per_second"),
            line("share of time that waits for data", "train/data_wait"),
        ],
        "Sweep": [
            wr.ParallelCoordinatesPlot(title="keys of the sweep", columns=columns),
            wr.ParameterImportancePlot(with_respect_to=f"best/{main}"),
            *(wr.ScatterPlot(title=f"{key} against best {main}", x=f"c::{key}", y=best, log_x=key.endswith(".lr"))
              for key in keys),
        ],
        "Predictions": [
            wr.MediaBrowser(title="predictions beside the truth", media_keys=PICTURES[task], num_columns=2),
            wr.WeavePanelSummaryTable(table_name="val/samples"),
        ],
        "Machine": [wr.LinePlot(title=title, x="RelativeTime(Wall)", y=[metric]) for title, metric in SYSTEM],
        "Configuration": [wr.RunComparer(diff_only="split")],
    }  # fmt: skip


SYSTEM = (
    ("processors (%)", "system/cpu"),
    ("memory (%)", "system/memory_percent"),
    ("GPU (%)", "system/gpu.0.gpu"),
    ("GPU memory (%)", "system/gpu.0.memoryAllocated"),
)


def make_workspace(entity: str, project: str, task: str, keys: list[str]) -> Any:
    """The saved view of a project: its panels, and a table of runs with the best value and the keys first."""
    import wandb_workspaces.workspaces as ws

    main = METRICS[task][0]
    made = [ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections(task, keys).items()]
    pinned = ["run:displayName", f"summary:best/{main}", "summary:best/step", *(f"config:{key}.value" for key in keys)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"OCR: {task}",
        sections=made,
        settings=ws.WorkspaceSettings(x_axis="step", max_runs=30),
        runset_settings=ws.RunsetSettings(
            order=[ws.Ordering(ws.Summary(f"best/{main}"), ascending=False)], pinned_columns=pinned
        ),
    )


def make_report(entity: str, project: str, task: str, keys: list[str]) -> Any:
    """The same panels as a page to write in, each with a heading."""
    import wandb_workspaces.reports.v2 as wr

    texts = {
        "Validation": "Which run reads best, and when. The values in the table are those of the best evaluation.",
        "Training": "A training loss that falls while the validation loss rises shows overfitting.",
        "Sweep": "Which key decides. Runs of one sweep are in one group.",
        "Predictions": "What the best weights see: the images, and a table with truth, prediction and score.",
        "Machine": "A processor or GPU that is not busy waits for data: raise loader.num_workers.",
        "Configuration": "The keys in which runs differ.",
    }
    blocks: list[Any] = [wr.TableOfContents()]
    for name, panels in sections(task, keys).items():
        blocks += [wr.H1(name), wr.P(texts[name])]
        order = [wr.OrderBy(wr.SummaryMetric(f"best/{METRICS[task][0]}"), ascending=False)]
        blocks.append(wr.PanelGrid(runsets=[wr.Runset(name="runs", order=order)], panels=panels))
    return wr.Report(
        entity=entity, project=project, title=f"{project}: {task}", blocks=blocks, width="fluid",
        description="Made by ocrexp's scripts/wandb_dashboard.py.",
    )  # fmt: skip


def as_json(model: Any) -> str:
    """The definition as W&B stores it."""
    return json.dumps(json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True)), indent=1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project")
    parser.add_argument("--entity", default=os.environ.get("WANDB_ENTITY", ""), help="default: your default entity")
    parser.add_argument("--task", choices=METRICS, default="det")
    parser.add_argument(
        "--keys", nargs="*", default=["optim.lr", "loader.batch_size", "seed"], help="keys of the sweep"
    )
    parser.add_argument("--out", type=Path, help="write the definitions to this folder and send nothing")
    given = parser.parse_args(arguments)
    try:
        import wandb
        import wandb_workspaces.reports.v2  # noqa: F401
    except ImportError as error:
        print(f"wandb_dashboard: {error.name} is not installed: pip install wandb wandb-workspaces", file=sys.stderr)
        return 2
    from ocrexp.loggers.wandb_ids import has_key

    if given.out is None and not has_key(wandb):
        print("wandb_dashboard: no W&B account on this machine; run wandb login, or give --out FOLDER", file=sys.stderr)
        return 2
    entity = given.entity or ("" if given.out else wandb.Api().default_entity)
    workspace = make_workspace(entity or "ENTITY", given.project, given.task, given.keys)
    report = make_report(entity or "ENTITY", given.project, given.task, given.keys)
    if given.out is None:
        print(f"workspace: {workspace.save().url}")
        print(f"report: {report.save().url}")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    for name, made in (("workspace", workspace), ("report", report)):
        path = given.out / f"{name}.json"
        path.write_text(as_json(made._to_model()), encoding="utf-8")
        print(f"{name}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
