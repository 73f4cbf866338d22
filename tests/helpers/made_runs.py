"""Run folders as a training leaves them, without a training: the small texts that comparisons read."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = "step,train/loss,train/lr,train/images_per_second,val/loss,val/accuracy\n"


def make_run(
    folder: Path,
    best: float | None = 0.5,
    overrides: Sequence[str] = (),
    *,
    job: bool = False,
    samples: Sequence[Mapping[str, Any]] = (),
    curves: str = "",
    **status: Any,
) -> Path:
    """A run with a best value and what was typed for it; `job`: of a sweep."""
    hydra = folder / ".hydra"
    hydra.mkdir(parents=True)
    number = int(folder.name) if job else None
    names = {"name": folder.name, "group": None, "number": number, "overrides": list(overrides) if job else []}
    (hydra / "job.json").write_text(json.dumps(names))
    (hydra / "overrides.yaml").write_text("".join(f"- {item}\n" for item in overrides) or "[]\n")
    content = {
        "state": "done", "step": 100, "total_steps": 100, "error": None, "seconds": 60.0, "peak_memory_mb": 500.0,
        "best_metric": "accuracy", "best_value": best, "best_step": 80, "val_loss": 1.0, "parameters": 2_500_000,
        "gmacs": 0.25,
    }  # fmt: skip
    (folder / "status.json").write_text(json.dumps(content | status))
    (folder / "metrics.csv").write_text(HEAD + (curves or "10,3.0,0.001,20.0,,\n20,2.0,0.001,30.0,1.0,0.5\n"))
    if samples:
        lines = [{"step": 80, "images": len(samples)}, *samples]
        (folder / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def texts(pairs: Sequence[tuple[str, str]], folder: str = "/images") -> list[dict[str, Any]]:
    """Rows of samples.jsonl for (label, read)."""
    return [
        {"path": f"{folder}/{i}.png", "hits": int(label == read), "of": 1, "label": label, "read": read, "score": 0.9}
        for i, (label, read) in enumerate(pairs)
    ]
