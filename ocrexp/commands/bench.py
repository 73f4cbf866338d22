"""`ocrexp bench`: time the parts (medians of several runs), side by side with PaddleOCR if it is installed."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from ocrexp.bench.measures import MEASURES, Row
from ocrexp.bench.options import check_options
from ocrexp.config.compose import compose
from ocrexp.environment import available_cores
from ocrexp.errors import printable

SUMMARY = "Time the data pipeline, the training step, metric and postprocessing"
USAGE = """
Usage
  python -m ocrexp bench what=[pipeline,rec_pipeline,shards,step,rec_step,metric,postprocess,start,memory] [key=value]
  python -m ocrexp bench what=[inference] det=DIR rec=DIR [images=DIR] [backends=[onnx]] [batch_sizes=[1,6]] ...

Times the parts, each as the median of several runs; prints a table and writes JSON (output=FILE). With
paddleocr=PYTHON, the Python of an environment that has paddleocr 2.10, it measures PaddleOCR's parts side by side;
exported models (inference) side by side with paddleocr3=PYTHON (3.7) and rapidocr=PYTHON (3.10)."""


PEERS = {"paddleocr": "PaddleOCR", "paddleocr3": "PaddleOCR 3", "rapidocr": "RapidOCR"}


def run(arguments: Sequence[str]) -> int:
    """Run the measurements in `what`, print the table, write JSON; returns 0."""
    config = compose("bench", arguments)
    chosen = check_options(config, MEASURES)
    rows: list[Row] = []
    for name in chosen:
        print(f"ocrexp: measuring {name} …", file=sys.stderr, flush=True)
        rows += MEASURES[name](config)
    print_table(rows)
    if config.output:
        machine = {"machine": platform.processor() or platform.machine(), "cores": available_cores()}
        Path(config.output).write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
        print(f"written: {printable(str(config.output))}")
    return 0


def print_table(rows: list[Row]) -> None:
    """The figures side by side."""
    from rich.console import Console
    from rich.table import Table

    beside = [name for name in PEERS if any(row.get(name) is not None for row in rows)]
    table = Table()
    for name in ("what", "ocrexp", *(PEERS[name] for name in beside), "unit"):
        table.add_column(name, justify="left" if name in ("what", "unit") else "right")
    for row in rows:
        figures = [row["ocrexp"], *(row.get(name) for name in beside)]
        table.add_row(row["what"], *("–" if value is None else _shown(value) for value in figures), row["unit"])
    Console().print(table)


def _shown(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
