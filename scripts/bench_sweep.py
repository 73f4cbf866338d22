"""What a job of a sweep costs beside its training: one-step jobs with each launcher, forked and in fresh processes.

    python scripts/bench_sweep.py                        # 20 jobs each
    python scripts/bench_sweep.py --jobs 6 --kinds local joblib

Prints wall seconds and CPU seconds per job, the command's own start and end included; `fresh` is with
OCREXP_WARM_JOBS=0. The weights of forked jobs are compared with those of fresh ones. Wall times need idle cores.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fault_storm import TINY, digest_of_run, draw_data  # noqa: E402 - of this folder

KINDS = {"local": [], "joblib": ["launcher=joblib", "launcher.n_jobs=2"]}


def measure(folder: Path, data: Path, kind: str, jobs: int, warm: bool) -> tuple[float, float]:
    """Wall and CPU seconds per job of a sweep of one-step jobs."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OCREXP_WARM_JOBS": str(int(warm))}
    command = [
        sys.executable, "-m", "ocrexp", "-m", *TINY, f"dataset.root={data}", "loader.num_workers=0",
        "trainer.max_epochs=null", "trainer.max_steps=1", "callbacks=default", *KINDS[kind],
        f"seed=range({jobs})", f"sweep_dir={folder}",
    ]  # fmt: skip
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds / jobs, cpu / jobs


def main() -> int:
    """Measure each kind; returns 1 if forked and fresh jobs have other weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20, help="of each sweep (20)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="launchers")
    parser.add_argument("--ways", nargs="+", choices=["fresh", "forked"], default=["fresh", "forked"])
    options = parser.parse_args()
    differ = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = draw_data(folder / "data")
        for kind in options.kinds:
            digests = []
            for way in options.ways:
                sweep = folder / f"{kind}-{way}"
                seconds, cpu = measure(sweep, data, kind, options.jobs, way == "forked")
                print(f"{kind:8} {way:8} {seconds:6.2f} s and {cpu:6.2f} CPU s per job", flush=True)
                digests.append([digest_of_run(sweep / str(job)) for job in range(options.jobs)])
            differ += any(one != digests[0] for one in digests)
    print("forked and fresh jobs have equal weights" if not differ else "DIFFERENT WEIGHTS")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
