"""MLflow: runs in a database, a folder or on a server, for `mlflow ui`."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ocrexp.environment import START_FOLDER
from ocrexp.files import write_json
from ocrexp.loggers.background import Background
from ocrexp.loggers.base import BaseLogger, RgbImage, RunInfo
from ocrexp.loggers.hyperparameters import hyperparameters

log = logging.getLogger(__name__)

ID_FILE = "mlflow_run.json"
EXPERIMENT = "ocrexp"  # where neither the configuration nor the environment names one
STATES = {"done": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_OTHER = re.compile(r"[^\w\-./: ]", re.ASCII)  # characters that MLflow refuses in names
_MOST_PARAMS = 100  # in one call
_MOST_LENGTH = 6000  # of a parameter's value
_DISK = re.compile(r"(?:file:.*|[^:]+)")


class MLflowLogger(BaseLogger):
    """Logs to MLflow: values, pictures, the configuration as parameters, the state of the code, and how the run ended.

    Everything is sent from a thread of its own: a server that does not answer costs the training no time. A resumed run
    continues the same MLflow run, whose id is in the checkpoint and in `run_dir/mlflow_run.json`. A killed run stays
    RUNNING in MLflow until it is resumed. Without the package it warns once, naming the extra, and does nothing.

    Args:
        tracking_uri: a database (`sqlite:///mlflow.db`), a folder, or a server (`http://…`); None: the environment
            variable MLFLOW_TRACKING_URI, else `mlflow.db` in the start folder.
        experiment: None: MLFLOW_EXPERIMENT_NAME, else "ocrexp".
        log_model: store the best checkpoint as an artifact.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str | None = None, log_model: bool = False) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.log_model = log_model
        self._client: Any = None
        self._background: Background | None = None
        self._id = ""

    def start(self, run: RunInfo) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            missing = (error.name or "").partition(".")[0]
            log.warning(
                "%s is not installed, so nothing is logged to MLflow; run: pip install 'ocrexp[mlflow]'", missing
            )
            return
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it reports each step of creating a database
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _default_uri()
        if _DISK.fullmatch(uri):  # MLflow takes a folder only from those who say that they mean it
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # its thread may keep a process from ending
        self._id = (_earlier_id(run) if run.resumed else None) or ""
        self._background = Background("mlflow")
        self._background.do(lambda: self._open(MlflowClient(tracking_uri=uri), run))

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self._background is not None:
            now = int(time.time() * 1000)
            self._background.do(lambda: self._send(values, step, now))

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:  # noqa: ARG002 (MLflow shows no captions)
        if self._background is not None:
            for index, image in enumerate(images):
                self._background.do(partial(self._send_image, image, f"{_name(name)}/{index}", step))

    def log_summary(self, values: dict[str, float]) -> None:
        self.log_metrics(values, 0)

    def log_artifact(self, path: Path, name: str, kind: str) -> None:  # noqa: ARG002 (files keep their own names)
        if self._background is not None and (kind != "model" or self.log_model):
            self._background.do(lambda: self._client.log_artifact(self._id, str(path), kind))

    def finish(self, state: str) -> None:
        if self._background is None:
            return
        background, self._background = self._background, None
        background.do(lambda: self._client.set_tag(self._id, "state", state))
        background.do(lambda: self._client.set_terminated(self._id, STATES.get(state, "FAILED")))
        background.close()

    def state_dict(self) -> dict[str, Any]:
        return {"id": self._id} if self._id else {}

    def _open(self, client: Any, run: RunInfo) -> None:
        from mlflow.entities import Param, RunTag

        self._client = client
        if self._id:
            client.update_run(self._id, status="RUNNING")
            return
        experiment = _experiment(client, self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)
        created = client.create_run(experiment, run_name=run.name, tags=_tags(run))
        self._id = str(created.info.run_id)
        write_json(run.run_dir / ID_FILE, {"id": self._id}, indent=None)
        values = hyperparameters(run.config)
        params = [Param(_name(name), str(value)[:_MOST_LENGTH]) for name, value in values.items()]
        for first in range(0, len(params), _MOST_PARAMS):
            client.log_batch(self._id, params=params[first : first + _MOST_PARAMS])
        if run.overrides:
            client.log_batch(self._id, tags=[RunTag("overrides", " ".join(run.overrides)[:_MOST_LENGTH])])
        if run.environment:
            client.log_dict(self._id, run.environment, "environment.json")

    def _send(self, values: Mapping[str, float], step: int, now: int) -> None:
        from mlflow.entities import Metric

        self._client.log_batch(
            self._id, metrics=[Metric(_name(name), float(value), now, step) for name, value in values.items()]
        )

    def _send_image(self, image: RgbImage, key: str, step: int) -> None:
        self._client.log_image(self._id, image, key=key, step=step)


def _name(name: str) -> str:
    return _OTHER.sub("_", name)[:250]


def _default_uri() -> str:
    return f"sqlite:///{Path(os.environ.get(START_FOLDER) or Path.cwd()) / 'mlflow.db'}"


def _experiment(client: Any, name: str) -> str:
    """The id of the experiment, which another process may create at the same moment."""
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            if (found := client.get_experiment_by_name(name)) is None:
                raise
    return str(found.experiment_id)


def _tags(run: RunInfo) -> dict[str, str]:
    git = run.environment.get("git") or {}
    tags = {
        "mlflow.source.name": "ocrexp",
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.source.git.branch": git.get("branch"),
        "sweep": run.group,
        "run_dir": str(run.run_dir),
        **{f"fingerprint.{name}": str(text) for name, text in (run.config.get("fingerprint") or {}).items()},
        **dict.fromkeys(run.tags, ""),
    }
    return {name: value for name, value in tags.items() if value is not None}


def _earlier_id(run: RunInfo) -> str | None:
    """The MLflow id of the earlier part of this run: from the checkpoint, else (killed before one) from its file."""
    if run.state and isinstance(run.state.get("id"), str):
        return str(run.state["id"])
    try:
        return str(json.loads((run.run_dir / ID_FILE).read_text(encoding="utf-8"))["id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; this run starts a new MLflow run", run.run_dir / ID_FILE)
        return None
