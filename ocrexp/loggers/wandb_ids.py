"""Which W&B run a training is: its id in the run folder, in a checkpoint, of an agent; whether there is an account."""

from __future__ import annotations

import base64
import json
import logging
import netrc
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ocrexp.files import read_text, write_json
from ocrexp.loggers.base import RunInfo, one_line
from ocrexp.yaml_text import read_yaml

log = logging.getLogger(__name__)

ID_FILE = "wandb_run.json"


def keep_run(run_dir: Path, run_id: str, **about: str | None) -> None:
    """Write the id of the W&B run, and what else is known of it: `entity`, `project`."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / ID_FILE, {"id": run_id, **{key: value for key, value in about.items() if value}}, indent=None)


def kept_run(run_dir: Path) -> dict[str, str] | None:
    """What `keep_run` wrote; None if there is no such file. Raises ValueError for one that is damaged."""
    try:
        content = json.loads(read_text(run_dir / ID_FILE))
    except FileNotFoundError:
        return None
    except (OSError, RecursionError) as error:
        raise ValueError(one_line(error)) from None
    if not isinstance(content, dict) or not isinstance(content.get("id"), str):
        raise ValueError("contains no id")
    return {str(key): value for key, value in content.items() if isinstance(value, str)}


def earlier_id(run: RunInfo) -> str | None:
    """The W&B id of the earlier part of this run: from the checkpoint, else (killed before one) from its file."""
    if run.state and isinstance(run.state.get("id"), str):
        return str(run.state["id"])
    try:
        kept = kept_run(run.run_dir)
    except ValueError:
        log.warning("%s cannot be read; this run starts a new W&B run", run.run_dir / ID_FILE)
        return None
    return None if kept is None else kept["id"]


def asked_id(run: RunInfo) -> str | None:
    """The id that the environment gives a new run; the jobs of a sweep are runs of their own and do not share it."""
    asked = os.environ.get("WANDB_RUN_ID")
    if asked and run.group is not None and not of_agent():
        log.warning("WANDB_RUN_ID=%s is ignored, because each job of a sweep is a separate W&B run", asked)
        return None
    return asked or None


def of_agent() -> bool:
    """Whether `wandb agent` has started this process for one of its runs."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


def agents_name(run: RunInfo) -> str | None:
    """The values that the agent has chosen, `optim.lr=0.001, seed=1`, as the name of its run; None without an agent."""
    path = os.environ.get("WANDB_SWEEP_PARAM_PATH")
    if not of_agent() or not path:
        return None
    try:
        chosen = read_yaml(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(chosen, dict):
        return None
    values = {str(key): entry["value"] for key, entry in chosen.items() if isinstance(entry, dict) and "value" in entry}
    return ", ".join(f"{key}={value}" for key, value in values.items())[:128] or run.name


def has_key(wandb: Any) -> bool:
    """Whether a key is in the environment or in .netrc; asks nobody, neither a person nor the network."""
    return bool(os.environ.get("WANDB_IDENTITY_TOKEN_FILE")) or api_key(wandb) is not None


def ask(query: str, variables: Mapping[str, Any], seconds: float = 30.0) -> Any:
    """The `data` that W&B's server answers to a GraphQL query. Raises OSError, and ValueError for an error of its."""
    import wandb

    key = base64.b64encode(f"api:{api_key(wandb)}".encode()).decode()
    request = urllib.request.Request(
        f"{_server(wandb)}/graphql",
        json.dumps({"query": query, "variables": dict(variables)}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Basic {key}"},
    )
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        content = json.load(answer)
    if content.get("errors"):
        raise ValueError(str(content["errors"][0].get("message")))
    return content["data"]


def api_key(wandb: Any) -> str | None:
    """The key of the environment or of .netrc; asks nobody, neither a person nor the network."""
    if key := os.environ.get("WANDB_API_KEY"):
        return key
    host = urlsplit(_server(wandb)).hostname or ""
    named = os.environ.get("NETRC")
    candidates = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in candidates:
        try:
            if path.is_file() and (found := netrc.netrc(path).authenticators(host)):
                return found[2]
        except (netrc.NetrcParseError, OSError) as error:
            log.warning("%s cannot be read to find a W&B key: %s", path, one_line(error))
    return None


def _server(wandb: Any) -> str:
    """The address of the environment, else that of `wandb login --host`, else W&B's own."""
    return str(os.environ.get("WANDB_BASE_URL") or wandb.sdk.wandb_setup.singleton().settings.base_url).rstrip("/")
