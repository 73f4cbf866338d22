"""The weights that a user means by `checkpoint=…`: a checkpoint's name, a file, a run folder."""

from __future__ import annotations

from pathlib import Path

from ocrexp.engine.checkpoint import BEST, LATEST, STATES, CheckpointStore, compare_file
from ocrexp.engine.sealed import read_states
from ocrexp.errors import CheckpointError


def find_weights(run_dir: Path | None, which: str) -> Path:
    """The .pdparams file of `best`, `latest`, a checkpoint's name or a file.

    The suffix may be omitted. A run folder, or a folder of checkpoints, stands for its best weights, or the latest.

    Raises CheckpointError naming the existing ones. Instead of a damaged checkpoint the previous valid one is used.
    """
    named = "/" not in which and not which.endswith(".pdparams") and not Path(which).is_file()
    if run_dir is not None and named:
        name = {"best": BEST}.get(which, which)
        found = CheckpointStore(run_dir).load(name)
        if found is None:
            names = sorted(path.stem for path in (run_dir / "checkpoints").glob("*.pdparams"))
            raise CheckpointError(
                f"{run_dir} has no checkpoint {name}; "
                + (f"set checkpoint={' or checkpoint='.join(names)}" if names else "train it until its first save")
            )
        return found.path("pdparams")
    path = _named_file(Path(which).expanduser())
    if path is None and run_dir is not None:
        path = _named_file(run_dir / "checkpoints" / which) or _named_file(run_dir / which)
    if path is None:
        folder = Path(which).expanduser().parent
        there = ", ".join(sorted(file.name for file in folder.glob("*.pdparams"))[:5]) or "no .pdparams file"
        raise CheckpointError(f"checkpoint={which}: file not found; {folder} contains {there}")
    states = path.with_suffix(f".{STATES}")
    if states.exists():
        reason = compare_file(path, read_states(states)["files"]["pdparams"])
        if reason is not None:
            raise CheckpointError(f"{path} {reason}; restore it from a copy, or delete {states.name} to use it anyway")
    return path


def _named_file(path: Path) -> Path | None:
    """The weights file that a path means, see `find_weights`; None if there is none."""
    if path.is_file():
        # PaddleOCR's configurations leave the suffix out; a name of one of the other two files means the set as well.
        weights = path.with_suffix(".pdparams")
        return weights if path.suffix in (".pdopt", f".{STATES}") and weights.is_file() else path
    if (with_suffix := path.with_name(f"{path.name}.pdparams")).is_file():
        return with_suffix
    if path.is_dir():
        for name in (BEST, LATEST):
            for folder in (path / "checkpoints", path):
                if (found := folder / f"{name}.pdparams").is_file():
                    return found
    return None
