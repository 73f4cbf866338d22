"""An export as an artifact of W&B, made from the weights of a run: the last link of data → run → model → export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrexp.loggers import wandb_artifacts, wandb_ids
from ocrexp.loggers.wandb import new_id, settings


def log_export(run_dir: Path, weights: Path, folder: Path, node: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Store an exported folder in a W&B run of its own, of the job type `export`, that reads the run's weights.

    Args:
        run_dir: the run, which was logged to W&B.
        weights: the exported .pdparams file: the same content is the same version of the run's model in W&B.
        folder: what was exported.
        node: the logger's options in the configuration of the run.
        about: values that describe the export.

    Returns where it is, in one line. Raises whatever W&B's client raises, and ValueError if the run is not known there.
    """
    import wandb as client

    wandb: Any = client
    kept = wandb_ids.kept_run(run_dir)
    if kept is None:
        raise ValueError(f"{run_dir} was not logged to W&B")
    mode = os.environ.get("WANDB_MODE") or str(node.get("mode", "online"))
    if mode == "online" and not wandb_ids.has_key(wandb):
        mode = "offline"
    own = new_id()
    run = wandb.init(
        id=own,
        project=kept.get("project") or node.get("project"),
        entity=kept.get("entity") or node.get("entity"),
        name=f"export of {kept['id']}",
        group=node.get("group"),
        job_type="export",
        mode=mode,
        dir=str(run_dir),
        config={"model_run": kept["id"], "run_folder": str(run_dir), **about},
        reinit="finish_previous",
        settings=settings(wandb, float(node.get("init_timeout", 30.0))),
    )
    try:
        model = wandb_artifacts.files_artifact(wandb, weights, f"{weights.stem}-{kept['id']}", "model", {})
        wandb_artifacts.use(run, model)
        made = wandb_artifacts.files_artifact(wandb, folder, f"export-{kept['id']}", "export", about)
        run.log_artifact(made)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish(exit_code=0)
    return f"stored in W&B as artifact export-{kept['id']}" + (" (written offline)" if mode == "offline" else "")
