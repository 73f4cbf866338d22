"""What a run is about, for the title of a plot: model and data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrexp.errors import printable
from ocrexp.files import read_text
from ocrexp.yaml_text import read_yaml

_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # of a class's name


def data_name(dataset: Mapping[str, Any]) -> str:
    """The validation data as the configuration names it: folder and lists, or what draws it, as `synth_det`."""
    kind = _WORD_BEGINS.sub("_", str(dataset.get("_target_", "")).rpartition(".")[2]).lower()
    lists = dataset.get("val_labels", dataset.get("val"))
    root = dataset.get("root")
    share = dataset.get("val_split")
    if share is not None:
        lists = dataset.get("train_labels", dataset.get("train"))
    if lists is None:
        return f"{root} ({kind})" if root else kind
    names = ", ".join(str(name) for name in ([lists] if isinstance(lists, str) else lists))
    if share is not None:
        names = f"{names}, val_split={share}"
    return names if root in (None, ".") else f"{root} ({names})"


def run_title(run_dir: Path) -> str:
    """`crnn_mbv3 on data/receipts (val_list.txt), run 2024-05-01_10-00-00`; else the folder's name."""
    try:
        config = read_yaml(read_text(run_dir / "config_resolved.yaml").encode())
        model, data = str(config["model"]["name"]), data_name(config["dataset"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return run_dir.name
    return f"{model} on {data}, run {run_dir.name}"


def plain(text: str) -> str:
    """A text in a plot as it is: no mathematics of matplotlib, and control characters as escapes."""
    return printable(text).replace("$", r"\$")
