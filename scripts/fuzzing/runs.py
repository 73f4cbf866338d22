"""Run folders."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.changes import JSON_TEXTS, STRANGE, Raw, as_json, changed_bytes, changed_tree
from fuzzing.target import Input, Target, changed_yaml

_METRICS = b"step,epoch,train/loss,val/hmean\n1,0,1.5,\n2,0,1.25,0.5\n3,1,1,\n4,1,0.75,0.75\n5,2,0.5,\n"


class RunConfigs(Target):
    """A run folder's configuration, job and status as all verbs read them; parts are built as for `eval`."""

    name = "configs"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import paddle  # noqa: F401 - prints what it prints now
        from omegaconf import OmegaConf

        from ocrexp.config.compose import compose, register_resolvers, setup_hydra

        setup_hydra()
        register_resolvers()
        os.environ["OCREXP_CACHE"] = str(folder / "cache")
        self.run_dir = folder / "sweep" / "run"
        (self.run_dir / ".hydra").mkdir(parents=True)
        self.frozen, self.resolved = [], []
        for overrides in (
            ["model=db_mbv3", "dataset=det_list"], ["model=crnn_mbv3", "dataset=rec_list", "charset=en36"],
            ["experiment=quickstart"],
        ):  # fmt: skip
            config = compose(
                "train", [*overrides, "trainer.device=cpu", "model.pretrained=null", f"run_dir={self.run_dir}"]
            )
            if "experiment=quickstart" not in overrides:
                config.dataset.root = str(folder)
            self.frozen.append(OmegaConf.to_yaml(config).encode())
            self.resolved.append(OmegaConf.to_yaml(config, resolve=True).encode())
        self.job = {"name": "run", "group": "sweep", "number": 1, "overrides": ["optim.lr=0.1", "seed=1"]}
        self.status = {
            "state": "running", "step": 3, "total_steps": 10, "epoch": 1, "best_metric": "hmean", "best_value": 0.5,
            "best_step": 2, "metrics": {"hmean": 0.5}, "val_loss": 1.5, "seconds": 12.5, "peak_memory_mb": 100,
            "error": None, "updated": "2026-01-01 00:00:00",
        }  # fmt: skip

    def example(self, rng: Random) -> Input:
        kind = rng.choice(("frozen", "frozen", "own", "resolved", "job", "status", "metrics", "overrides"))
        if kind in ("metrics", "overrides"):
            return Input(kind, changed_bytes(rng, _METRICS if kind == "metrics" else b"- optim.lr=0.1\n- seed=1\n"))
        if kind in ("job", "status"):
            tree = changed_tree(rng, getattr(self, kind), [*STRANGE, *map(Raw, JSON_TEXTS)])
            content = as_json(tree)
            if rng.random() < 0.3:
                content = changed_bytes(rng, content)
        else:
            content = changed_yaml(rng, self.resolved if kind == "resolved" else self.frozen)
        return Input(kind, content)

    def run(self, given: Input) -> None:
        from ocrexp.config.changes import apply_overrides
        from ocrexp.config.check import check, check_early
        from ocrexp.config.frozen import read_frozen, read_job, read_resolved
        from ocrexp.loggers.base import RunInfo
        from ocrexp.loggers.csv import CSVLogger
        from ocrexp.report.curves import read_series
        from ocrexp.runs.grid import check_grid
        from ocrexp.runs.state import not_finished, read_state, resumable
        from ocrexp.runs.sweep_table import finish_sweep

        os.environ["OCREXP_COMPOSED"] = hashlib.sha256(given.content).hexdigest() if given.name == "own" else ""
        places = {
            "metrics": "metrics.csv",
            "overrides": ".hydra/overrides.yaml",
            "frozen": ".hydra/config.yaml",
            "own": ".hydra/config.yaml",
            "resolved": "config_resolved.yaml",
        }
        base = {
            ".hydra/config.yaml": self.frozen[0], "config_resolved.yaml": self.resolved[0],
            ".hydra/job.json": as_json(self.job), "status.json": as_json(self.status),
        }  # fmt: skip
        place = places.get(given.name, f".hydra/{given.name}.json" if given.name == "job" else "status.json")
        for file, content in {**base, place: given.content}.items():
            (self.run_dir / file).write_bytes(content)
        if given.name in ("job", "status"):
            read_job(self.run_dir)
            str(read_state(self.run_dir))
            not_finished(self.run_dir)
            resumable(self.folder, 3)
            with contextlib.redirect_stdout(io.StringIO()):
                finish_sweep(self.folder / "sweep")
            return
        if given.name == "metrics":
            log = CSVLogger()
            log.start(RunInfo("run", self.run_dir, resumed=True, resume_step=5))
            log.log_metrics({"train/loss": 0.5, "new": 1.0}, 6)
            read_series(self.run_dir / "metrics.csv")
            return
        if given.name == "overrides":
            grid = [["optim.lr=0.1"], ["optim.lr=0.1", "seed=1"]]
            check_grid(self.folder / "sweep", grid, lambda _: read_resolved(self.run_dir))
            return
        config = read_resolved(self.run_dir) if given.name == "resolved" else read_frozen(self.run_dir)
        check_early(config)
        check(config)
        if given.name == "frozen":
            self._change_and_build(apply_overrides(config.copy(), ["trainer.max_epochs=1", "loader.num_workers=0"]))

    def _change_and_build(self, config: Any) -> None:
        """What `eval` and `resume` do before they look at data; not the model, which may be large."""
        from ocrexp.assemble.parts import assemble
        from ocrexp.commands.resume import pin
        from ocrexp.config.build import build, named
        from ocrexp.config.plain import label_digest

        pin(config)
        parts = assemble(config)
        for part in ("settings", "task", "source", "charset", "loss", "postprocess"):
            getattr(parts, part)
        parts.new_metric()
        for node in (config.targets, config.optim.optimizer, config.optim.schedule):
            build(node)
        for group in ("augment", "preprocess", "callbacks"):
            named(config.get(group))
        label_digest(config)
