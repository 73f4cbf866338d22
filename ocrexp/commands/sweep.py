"""One job of a sweep: a process of its own, its outcome in `status.json`, and nothing done twice.

A process a job keeps seeds, memory and environment of one job out of the next, whatever launcher runs it, and a job
that the system kills takes no other with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.commands.train import worker_command
from ocrexp.config.frozen import RESOLVED, JobInfo, write_job
from ocrexp.engine.status import read_status, write_status
from ocrexp.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_sweep_job(config: DictConfig, run_dir: Path, hydra: DictConfig) -> float | None:
    """Train one job unless its folder says that it is done; returns its best metric, None where it failed."""
    varied = _varied([str(item) for item in hydra.overrides.task], Path(hydra.sweep.dir))
    info = JobInfo(
        name=", ".join(varied) or f"job {hydra.job.num}",
        group=Path(hydra.sweep.dir).name,
        number=int(hydra.job.num),
        overrides=varied,
    )
    label = f"job {info.number} ({', '.join(info.overrides) or 'defaults'})"
    status = read_status(run_dir)
    resumable = False
    if status is not None:
        _same_configuration(run_dir, config, label)
        if status.get("state") == "done":
            print(f"ocrexp: {label} is done, not run again", flush=True)
            return status.get("best_value")
        resumable = (run_dir / "checkpoints" / "latest.pdstates").is_file()
    write_job(run_dir, config, info)
    print(f"ocrexp: {label} {'resumes' if resumable else 'starts'} in {run_dir}", flush=True)
    code = _run_process(run_dir, config, resumable, in_parallel="Basic" not in str(hydra.launcher._target_))
    status = read_status(run_dir) or {}
    if code == 0:
        return status.get("best_value")
    if status.get("state") not in ("failed", "interrupted"):
        signal = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        write_status(
            run_dir, state="failed", error=f"its process {signal}; the end of {run_dir / 'train.log'} may tell why"
        )
        status = read_status(run_dir) or {}
    print(f"ocrexp: {label} {status.get('state')}: {status.get('error')}", file=sys.stderr, flush=True)
    if code == 130:
        raise KeyboardInterrupt
    return None


def _run_process(run_dir: Path, config: DictConfig, resume: bool, in_parallel: bool) -> int:
    command = [sys.executable, *worker_command(run_dir, resume)]
    if int(config.trainer.devices) > 1:
        from ocrexp.commands.train import train_in

        return train_in(run_dir, config, resume=resume)
    if not in_parallel:
        return subprocess.run(command, check=False).returncode
    with (run_dir / "console.log").open("ab") as console:  # several progress bars on one screen help nobody
        return subprocess.run(command, check=False, stdout=console, stderr=subprocess.STDOUT).returncode


def _varied(overrides: list[str], sweep_dir: Path) -> list[str]:
    """Those of a job's overrides that differ between the jobs, as the sweep's own record tells."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    asked = OmegaConf.load(sweep_dir / "multirun.yaml").hydra.overrides.task
    parsed = OverridesParser.create().parse_overrides([str(item) for item in asked])
    swept = {override.get_key_element() for override in parsed if override.is_sweep_override()}
    return [item for item in overrides if item.partition("=")[0] in swept]


def _same_configuration(run_dir: Path, config: DictConfig, label: str) -> None:
    """Refuse to mix two experiments in one folder."""
    from omegaconf import OmegaConf

    if not (run_dir / RESOLVED).is_file():
        return
    before = _flat(OmegaConf.to_container(OmegaConf.load(run_dir / RESOLVED)))
    now = _flat(OmegaConf.to_container(config, resolve=True))
    differing = [key for key in sorted({*before, *now} - {"sweep_dir"}) if before.get(key) != now.get(key)]
    if differing:
        key = differing[0]
        raise ConfigError(
            f"{label}: {run_dir} holds another configuration ({key} was {before.get(key)!r}, is {now.get(key)!r}):"
            " run this sweep in a folder of its own (another sweep_dir)"
        )


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        flat: dict[str, Any] = {}
        for key, value in node.items():
            flat |= _flat(value, f"{prefix}{key}.")
        return flat
    return {prefix[:-1]: node}
