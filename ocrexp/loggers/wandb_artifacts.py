"""Artifacts of W&B with their lineage: data → run → model → export. Files are stored where a user asks for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_artifact(wandb: Any, fingerprint: Mapping[str, Any]) -> Any:
    """The data of a run by their fingerprint: equal data are one version of one artifact, whatever run uses them.

    It has no images; its one file is the fingerprint.
    """
    text = json.dumps(fingerprint, sort_keys=True, ensure_ascii=False, indent=1, default=str)
    name = f"data-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    artifact = wandb.Artifact(name, type="dataset", metadata=dict(fingerprint))
    with artifact.new_file("fingerprint.json", encoding="utf-8") as file:
        file.write(text)
    return artifact


def files_artifact(wandb: Any, path: Path, name: str, kind: str, metadata: Mapping[str, Any]) -> Any:
    """A file or a folder."""
    artifact = wandb.Artifact(artifact_name(name), type=kind, metadata=dict(metadata))
    if path.is_dir():
        artifact.add_dir(str(path))
    else:
        artifact.add_file(str(path))
    return artifact


def artifact_name(name: str) -> str:
    """A name without the characters that W&B refuses."""
    return re.sub(r"[^\w.-]", "-", name)


def do_not_wait(run: Any) -> None:
    """Let a run log artifacts and tables without a question to the server, which holds a training up while it is away.

    The question is whether an artifact of this name has another type, "not a hard requirement" (W&B's client). The
    names here are our own.
    """
    run._assert_can_log_artifact = _no_question


def _no_question(artifact: Any) -> None:
    del artifact


def use(run: Any, artifact: Any) -> None:
    """Record that a run reads an artifact, and store it if it is new, without waiting for the server.

    `run.use_artifact` would wait for the upload, and refuses runs that are written offline.
    """
    run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
