"""A sweep on a Ray cluster of two nodes on this machine, one of which is killed: its job runs on the other one.

    python scripts/ray_check.py FOLDER              # FOLDER does not exist yet; needs pip install 'ocrexp[ray]'

Four tiny jobs run with launcher=ray, one per node at a time. When both nodes train, the first one is killed. All jobs
must be done at the end, the job of the killed node must have resumed, and the weights of each must equal those of a
sweep with the serial launcher, bit for bit. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fault_storm import TINY, digest_of_run, draw_data  # noqa: E402 - of this folder

JOBS = 4


def main() -> int:
    """Run the check; returns 0 if everything is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for the data, the sweeps and the log")
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}  # of the nodes, too
    from ray.cluster_utils import Cluster

    began = time.monotonic()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    say(f"a Ray cluster of two nodes is up after {time.monotonic() - began:.0f} s")
    command = [
        sys.executable, "-m", "ocrexp", "-m", *TINY, f"dataset.root={draw_data(folder / 'data')}",
        "loader.num_workers=0", "trainer.max_epochs=8", f"seed=range({JOBS})",
    ]  # fmt: skip
    sweep = folder / "ray"
    with (folder / "log").open("wb") as log:
        on_ray = ["launcher=ray", f"launcher.address={cluster.address}", f"sweep_dir={sweep}"]
        process = subprocess.Popen([*command, *on_ray], stdout=log, stderr=log, cwd=folder)
        while len(at_work(sweep)) < 2 and process.poll() is None:
            time.sleep(0.05)
        before = at_work(sweep)
        cluster.remove_node(nodes[0], allow_graceful=False)
        say(f"a node is killed while jobs {before} run")
        code = process.wait()
        cluster.shutdown()
        alone = subprocess.run([*command, f"sweep_dir={folder / 'serial'}"], stdout=log, stderr=log, cwd=folder)
    faults = [f"exit codes {code} and {alone.returncode}"] if code or alone.returncode else []
    resumed = [job for job in range(JOBS) if "resuming from step" in (sweep / str(job) / "train.log").read_text()]
    if len(resumed) != 1 or resumed[0] not in before:
        faults.append(f"jobs {resumed} have resumed, expected one of {before}")
    for job in range(JOBS):
        mine, expected = (digest_of_run(place / str(job)) for place in (sweep, folder / "serial"))
        if mine != expected:
            faults.append(f"job {job}: other weights than with the serial launcher")
    for fault in faults:
        print(fault)
    verdict = "FAULTS" if faults else "all done, equal weights"
    say(f"{JOBS} jobs, job {resumed} resumed on the other node, {time.monotonic() - began:.0f} s: {verdict}")
    return int(bool(faults))


def at_work(sweep: Path) -> list[int]:
    """The jobs that have saved a checkpoint and still run."""
    found = []
    for job in range(JOBS):
        path = sweep / str(job) / "status.json"
        if path.is_file() and (sweep / str(job) / "checkpoints" / "latest.pdstates").is_file():
            state = json.loads(path.read_text()).get("state")
            found += [job] if state == "running" else []
    return found


def say(line: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
