"""Weights & Biases: one W&B run a training run, also when it fails, is killed and resumed, or has no network."""

from __future__ import annotations

import json
import logging
import netrc
import os
import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ocrexp.files import write_json
from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo, one_line

log = logging.getLogger(__name__)

MODES = ("online", "offline", "disabled")
ID_FILE = "wandb_run.json"
EXIT_CODES = {"done": 0, "pruned": 0, "failed": 1, "interrupted": 130}
FINISH_SECONDS = 90.0
HIGHER_IS_BETTER = ("hmean", "accuracy")  # values whose best, not last, stands in W&B's table of runs
PROJECT = "ocrexp"  # where neither the configuration nor the environment names one


class WandbLogger(BaseLogger):
    """Logs to W&B; it never asks for a key, and never waits longer than `init_timeout` for the network.

    Without a key or without an answer it writes `run_dir/wandb/offline-run-…` and reports how to send it later. The
    environment variable WANDB_MODE wins over `mode`. WANDB_PROJECT, WANDB_ENTITY, WANDB_NAME and WANDB_RUN_GROUP count
    where the argument is None. The id of the W&B run is kept in the checkpoint and, from the very start, in
    `run_dir/wandb_run.json`, so that a run that was killed is resumed in the same W&B run. W&B has the last word on the
    id: a run that `wandb agent` starts has the agent's (WANDB_RUN_ID).

    `step` is a value of its own that W&B draws all others over: values of training and evaluation may share a step,
    and steps that a resumed run makes again are not refused as W&B's internal step would be.

    Args:
        project, entity, name, group, tags, notes: as in W&B. If neither they nor the environment state it, the project
            is "ocrexp", and name and group are those of the run; the run's tags are added.
        mode: online, offline or disabled.
        log_model: store the best checkpoint as an artifact.
        init_timeout: seconds to wait for W&B's answer before going offline.
    """

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        mode: str = "online",
        log_model: bool = False,
        init_timeout: float = 30.0,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
        if init_timeout <= 0:
            raise ValueError(f"init_timeout: expected a positive number of seconds, got {init_timeout}")
        self.project = project
        self.entity = entity
        self.name = name
        self.group = group
        self.tags = list(tags)
        self.notes = notes
        self.mode = mode
        self.log_model = log_model
        self.init_timeout = init_timeout
        self._run: Any = None
        self._id = ""
        self._summarized: set[str] = set()

    def start(self, run: RunInfo) -> None:
        try:
            import wandb
        except ImportError:
            log.warning("wandb is not installed, so nothing is sent to W&B; run: pip install 'ocrexp[wandb]'")
            return
        if not hasattr(wandb, "init"):  # a folder called wandb/ beside the command is imported as a package
            log.warning("wandb is not installed, or a folder named wandb hides it, so nothing is sent to W&B")
            return
        self._id = (_earlier_id(run) if run.resumed else None) or _asked_id(run) or secrets.token_hex(4)
        _keep_id(run.run_dir, self._id)
        mode = os.environ.get("WANDB_MODE") or self.mode
        if mode == "online" and not _has_key(wandb):
            mode = "offline"
            log.warning("no W&B account on this machine (wandb login, or WANDB_API_KEY); this run is written offline")
        try:
            self._run = self._init(wandb, run, mode)
        except Exception as error:  # wandb raises its own CommError, UsageError and, below them, anything of requests
            if mode != "online":
                raise
            mode = "offline"
            log.warning("W&B does not answer (%s); this run is written offline", one_line(error))
            wandb.teardown()  # what is left of the attempt holds the id
            self._run = self._init(wandb, run, mode)
        if mode != "disabled" and self._run.id != self._id:  # an agent's run: W&B ignores the id that it was given
            self._id = str(self._run.id)
            _keep_id(run.run_dir, self._id)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        if mode == "offline":  # every part of a resumed run has the id at the end of its folder's name
            folder = shlex.quote(f"{run.run_dir}/wandb")
            log.info("send it to W&B with: wandb sync %s/offline-run-*-%s", folder, self._id)
        elif self._run.url:
            log.info("W&B: %s", self._run.url)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._run is None:
            return
        for name in values.keys() - self._summarized:
            self._summarized.add(name)
            if name.endswith(HIGHER_IS_BETTER):
                self._run.define_metric(name, step_metric="step", summary="max")
        self._run.log({**values, "step": step})

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        if self._run is None:
            return
        import wandb

        pictures = [
            wandb.Image(image, caption=captions[index] if captions else None) for index, image in enumerate(images)
        ]
        self._run.log({name: pictures, "step": step})

    def log_summary(self, values: dict[str, float]) -> None:
        if self._run is not None:
            self._run.summary.update(values)

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        if self._run is None or (kind == "model" and not self.log_model):
            return
        import wandb

        artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", f"{name}-{self._id}"), type=kind)
        if path.is_dir():
            artifact.add_dir(str(path))
        else:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def finish(self, state: str) -> None:
        if self._run is None:
            return
        run, self._run = self._run, None
        run.finish(exit_code=EXIT_CODES.get(state, 1))

    def state_dict(self) -> dict[str, Any]:
        return {"id": self._id} if self._id else {}

    def _init(self, wandb: Any, run: RunInfo, mode: str) -> Any:
        settings = wandb.Settings(
            init_timeout=self.init_timeout,
            login_timeout=self.init_timeout,
            finish_timeout=FINISH_SECONDS,  # its default waits for a dead network without end
            finish_timeout_raises=True,
            console="off",  # capturing the terminal breaks progress bars; train.log has the text
            silent=True,
        )
        return wandb.init(
            id=self._id,
            # Offline there is nothing to resume from; the id joins the parts when they are sent.
            resume="allow" if run.resumed and mode == "online" else None,
            project=self.project or os.environ.get("WANDB_PROJECT") or PROJECT,
            entity=self.entity or os.environ.get("WANDB_ENTITY") or None,
            name=self.name or os.environ.get("WANDB_NAME") or run.name,
            group=self.group or os.environ.get("WANDB_RUN_GROUP") or run.group,
            tags=[*self.tags, *(tag for tag in run.tags if tag not in self.tags)],
            notes=self.notes,
            mode=mode,
            dir=str(run.run_dir),
            config=run.config,
            allow_val_change=True,  # a resumed run may have other intervals or workers
            reinit="finish_previous",  # never write into the run that an earlier job of this process left open
            settings=settings,
        )


def _has_key(wandb: Any) -> bool:
    """Whether a key is in the environment or in .netrc; asks nobody, neither a person nor the network."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(wandb.Settings().base_url).hostname or ""
    named = os.environ.get("NETRC")
    candidates = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in candidates:
        try:
            if path.is_file() and netrc.netrc(path).authenticators(host):
                return True
        except (netrc.NetrcParseError, OSError) as error:
            log.warning("%s cannot be read to find a W&B key: %s", path, one_line(error))
    return False


def _asked_id(run: RunInfo) -> str | None:
    """The id that the environment gives a new run; the jobs of a sweep are runs of their own and do not share it."""
    asked = os.environ.get("WANDB_RUN_ID")
    if asked and run.group is not None and not os.environ.get("WANDB_SWEEP_ID"):
        log.warning("WANDB_RUN_ID=%s is ignored, because each job of a sweep is a separate W&B run", asked)
        return None
    return asked or None


def _earlier_id(run: RunInfo) -> str | None:
    """The W&B id of the earlier part of this run: from the checkpoint, else (killed before one) from its file."""
    if run.state and isinstance(run.state.get("id"), str):
        return str(run.state["id"])
    path = run.run_dir / ID_FILE
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["id"])
    except (ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; this run starts a new W&B run", path)
        return None


def _keep_id(run_dir: Path, run_id: str) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / ID_FILE, {"id": run_id}, indent=None)
