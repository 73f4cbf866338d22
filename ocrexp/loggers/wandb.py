"""Weights & Biases: one W&B run a training run, also when it fails, is killed and resumed, or has no network."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocrexp.command_line import command
from ocrexp.loggers import wandb_artifacts, wandb_ids
from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo, SampleRow, one_line

log = logging.getLogger(__name__)

MODES = ("online", "offline", "disabled")
# W&B's own codes: its table of runs shows 255 as "killed", any other one but 0 as "failed".
EXIT_CODES = {"done": 0, "pruned": 0, "failed": 1, "interrupted": 255}
FINISH_SECONDS = 90.0
PROJECT = "ocrexp"  # where neither the configuration nor the environment names one
_BEST = "best/"
_FLUSH = "x_transaction_log_flush_interval"  # seconds of values that a kill takes from an offline run


class WandbLogger(BaseLogger):
    """Logs to W&B; it never asks for a key, and never waits longer than `init_timeout` for the network.

    Without a key or without an answer it writes `run_dir/wandb/offline-run-…` and reports how to send it later. The
    environment variable WANDB_MODE wins over `mode`. WANDB_PROJECT, WANDB_ENTITY, WANDB_NAME, WANDB_RUN_GROUP and
    WANDB_JOB_TYPE count where the argument is None. The id of the W&B run is kept in the checkpoint and, from the very
    start, in `run_dir/wandb_run.json`, so that a run that was killed is resumed in the same W&B run. W&B has the last
    word on the id: a run that `wandb agent` starts has the agent's (WANDB_RUN_ID).

    `step` is a value of its own that W&B draws all others over: values of training and evaluation may share a step,
    and steps that a resumed run makes again are not refused as W&B's internal step would be. The summary of a run has
    the values of its best evaluation under their own names, `val/hmean`, and as `best/hmean`.

    The run names what it was trained on as an artifact, a fingerprint without images; `log_model` adds the weights.

    Args:
        project, entity, name, group, job_type, tags, notes: as in W&B. If neither they nor the environment state it,
            the project is "ocrexp", the job type "train", and name and group are those of the run, under an agent the
            values that it has chosen; the run's tags are added.
        mode: online, offline or disabled.
        log_model: store the best checkpoint as an artifact, and what `ocrexp export` makes of it.
        init_timeout: seconds to wait for W&B's answer before going offline.
    """

    wants_samples = True

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
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
        self.job_type = job_type
        self.tags = list(tags)
        self.notes = notes
        self.mode = mode
        self.log_model = log_model
        self.init_timeout = init_timeout
        self._run: Any = None
        self._id = ""
        self._run_dir = Path()
        self._fingerprint: dict[str, Any] = {}
        self._defined: set[str] = set()
        self._best: dict[str, float] = {}

    def start(self, run: RunInfo) -> None:
        try:
            import wandb
        except ImportError:
            log.warning("wandb is not installed, so nothing is sent to W&B; run: pip install 'ocrexp[wandb]'")
            return
        if not hasattr(wandb, "init"):  # a folder called wandb/ beside the command is imported as a package
            log.warning("wandb is not installed, or a folder named wandb hides it, so nothing is sent to W&B")
            return
        self._run_dir = run.run_dir
        self._id = (wandb_ids.earlier_id(run) if run.resumed else None) or wandb_ids.asked_id(run) or new_id()
        wandb_ids.keep_run(run.run_dir, self._id)
        mode = os.environ.get("WANDB_MODE") or self.mode
        if mode == "online" and not wandb_ids.has_key(wandb):
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
        if mode == "disabled":
            return
        self._id = str(self._run.id)  # an agent's run: W&B ignores the id that it was given
        wandb_ids.keep_run(run.run_dir, self._id, entity=self._run.entity, project=self._run.project)
        wandb_artifacts.do_not_wait(self._run)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        self._fingerprint = dict(run.config.get("fingerprint") or {})
        if self._fingerprint:
            data = wandb_artifacts.data_artifact(wandb, self._fingerprint)
            try:
                wandb_artifacts.use(self._run, data)
            except (AttributeError, TypeError) as error:  # another version of W&B's client; the run is logged anyway
                log.warning("the data of this run are not recorded as an artifact: %s", one_line(error))
        if mode == "offline":  # every part of a resumed run has the id at the end of its folder's name
            parts = f"{shlex.quote(f'{run.run_dir}/wandb')}/offline-run-*-{self._id}"
            log.info("send it to W&B with: %s; or: wandb sync %s", command("wandb-sync", {"runs": run.run_dir}), parts)
        elif self._run.url:
            log.info("W&B: %s", self._run.url)

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._run is None:
            return
        for name in values.keys() - self._defined:
            self._defined.add(name)
            if name.startswith("val/") and not name.startswith("val/loss"):  # see log_summary
                self._run.define_metric(name, step_metric="step", summary="none")
        self._run.log({**values, "step": step})

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        if self._run is None:
            return
        import wandb

        pictures = [
            wandb.Image(image, caption=captions[index] if captions else None) for index, image in enumerate(images)
        ]
        self._run.log({name: pictures, "step": step})

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        if self._run is None:
            return
        import wandb

        table = wandb.Table(columns=["image", "file", "truth", "prediction", "score"])
        for row in rows:
            table.add_data(wandb.Image(row.picture), Path(row.path).name, row.truth, row.prediction, row.score)
        self._run.log({name: table, "step": step})

    def log_summary(self, values: dict[str, float]) -> None:
        if self._run is None:
            return
        best = {name.removeprefix(_BEST): value for name, value in values.items() if name.startswith(_BEST)}
        step = best.pop("step", None)
        self._best.update(best)
        own = {f"val/{name}": value for name, value in best.items()}
        self._run.summary.update({**values, **own, **({} if step is None else {"best/step": int(step)})})

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        if self._run is None or (kind == "model" and not self.log_model):
            return
        import wandb

        about = {**self._fingerprint, **self._best}
        artifact = wandb_artifacts.files_artifact(wandb, path, f"{name}-{self._id}", kind, about)
        self._run.log_artifact(artifact, aliases=["latest", "best"] if kind == "model" else None)

    def finish(self, state: str) -> None:
        if self._run is None:
            return
        run, self._run = self._run, None
        run.summary.update({"state": state})
        try:
            run.finish(exit_code=EXIT_CODES.get(state, 1))
        except TimeoutError as error:
            again = command("wandb-sync", {"runs": self._run_dir, "all": "true"})
            raise TimeoutError(f"{one_line(error)}; everything is on the disk, send it with: {again}") from error

    def state_dict(self) -> dict[str, Any]:
        return {"id": self._id} if self._id else {}

    def _init(self, wandb: Any, run: RunInfo, mode: str) -> Any:
        return wandb.init(
            id=self._id,
            # Offline there is nothing to resume from; the id joins the parts when they are sent.
            resume="allow" if run.resumed and mode == "online" else None,
            project=self.project or os.environ.get("WANDB_PROJECT") or PROJECT,
            entity=self.entity or os.environ.get("WANDB_ENTITY") or None,
            name=self.name or os.environ.get("WANDB_NAME") or wandb_ids.agents_name(run) or run.name,
            group=self.group or os.environ.get("WANDB_RUN_GROUP") or run.group,
            job_type=self.job_type or os.environ.get("WANDB_JOB_TYPE") or "train",
            tags=[*self.tags, *(tag for tag in run.tags if tag not in self.tags)],
            notes=self.notes,
            mode=mode,
            dir=str(run.run_dir),
            config={**run.config, **_origin(run)},
            allow_val_change=True,  # a resumed run may have other intervals or workers
            reinit="finish_previous",  # never write into the run that an earlier job of this process left open
            settings=settings(wandb, self.init_timeout),
        )


def settings(wandb: Any, timeout: float) -> Any:
    """W&B's settings of every run of ours; `timeout`: seconds to wait for an answer at the start."""
    return wandb.Settings(
        init_timeout=timeout,
        login_timeout=timeout,
        finish_timeout=FINISH_SECONDS,  # its default waits for a dead network without end
        finish_timeout_raises=True,
        console="off",  # capturing the terminal breaks progress bars; train.log has the text
        silent=True,
        # An agent stops its run by SIGTERM; W&B's own SIGINT on top would end it before it has saved.
        **({"stop_fn": _nothing} if wandb_ids.of_agent() else {}),
        **({_FLUSH: 1.0} if _FLUSH in wandb.Settings.model_fields else {}),
    )


def new_id() -> str:
    """An id for a W&B run."""
    return secrets.token_hex(4)


def _nothing() -> None:
    return None


def _origin(run: RunInfo) -> dict[str, Any]:
    """What the configuration in W&B has beside the run's own: overrides, versions and the state of the code."""
    environment = {name: value for name, value in run.environment.items() if name != "git"}
    git = run.environment.get("git") or {}
    if git:
        environment["git"] = {"commit": git.get("commit"), "branch": git.get("branch"),
                              "changed": git.get("changed")}  # fmt: skip
    found = {"environment": environment, "overrides": list(run.overrides), "run_folder": str(run.run_dir)}
    return {name: value for name, value in found.items() if value}
