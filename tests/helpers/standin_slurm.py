"""Stand-ins for the commands of Slurm: `install(folder)` writes them, and they keep their state in the same folder.

A batch script runs as on a cluster: each task of an array gets Slurm's variables and is started again when it is
requeued. `submissions.jsonl` has the options of each submission.
"""

import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "srun", "squeue", "sacct", "scancel", "scontrol")


def install(folder: Path) -> dict[str, str]:
    """Write the commands; returns the environment in which they are found."""
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" "{folder}" {name} "$@"\n')
        path.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def read(folder: Path, job: str) -> dict:
    """What is known of a job: its state and the id of its process."""
    return json.loads((folder / f"{job}.json").read_text())


def write(folder: Path, job: str, **values) -> None:
    path = folder / f"{job}.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps({**before, **values}))
    temporary.replace(path)


def jobs(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir() if fnmatch.fnmatch(path.name, "[0-9]*.json"))


def sbatch(folder: Path, script: str) -> None:
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", Path(script).read_text(), re.MULTILINE))
    options = {name: value.strip("'") for name, value in options.items()}
    if options.get("partition") == "closed":
        sys.exit("sbatch: error: invalid partition specified: closed")
    job = str(100 + len(list(folder.glob("*.batch"))))
    (folder / f"{job}.batch").write_text(Path(script).read_text())
    with (folder / "submissions.jsonl").open("a") as file:
        file.write(json.dumps(options) + "\n")
    last, _, most = options.get("array", "").partition("-")[2].partition("%")
    tasks = [f"{job}_{task}" for task in range(int(last) + 1)] if last else [job]
    for task in tasks:
        write(folder, task, state="PENDING")
    if not os.fork():  # the cluster
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        run_all(folder, job, tasks, int(most or 1), options)
        os._exit(0)
    print(f"Submitted batch job {job}")


def run_all(folder: Path, job: str, tasks: list[str], most: int, options: dict[str, str]) -> None:
    waiting, running = list(tasks), {}
    while waiting or running:
        while waiting and len(running) < most:
            task = waiting.pop(0)
            if read(folder, task)["state"] != "PENDING":
                continue
            own = {
                "SLURM_JOB_ID": task.replace("_", ""), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1",
                "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "here",
                "SLURM_CPUS_PER_TASK": options.get("cpus-per-task", "1"),
            }  # fmt: skip
            if "_" in task:
                own |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": task.partition("_")[2]}
            else:
                own["SLURM_JOB_ID"] = task
            write(folder, task, state="RUNNING", requeue=False)
            running[task] = subprocess.Popen(["bash", folder / f"{job}.batch"], env={**os.environ, **own})
        for task, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[task]
            known = read(folder, task)
            if known.get("requeue"):
                write(folder, task, state="PENDING")
                waiting.append(task)
            elif known["state"] == "RUNNING":
                write(folder, task, state="FAILED" if process.returncode else "COMPLETED")
        time.sleep(0.02)


def srun(folder: Path, *arguments: str) -> None:
    ids = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = "_".join(ids) if all(ids) else os.environ["SLURM_JOB_ID"]
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option in ("--output", "--error"):
            path = rest.pop(0).replace("%A_%a", job).replace("%j", job).replace("%t", "0")
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(target, 1 if option == "--output" else 2)
    write(folder, job, pid=os.getpid())
    os.execvp(rest[0], rest)


def squeue(folder: Path, *arguments: str) -> None:
    assert arguments[arguments.index("--format") + 1] == "%i|%T" and "--array" in arguments
    for job in jobs(folder):
        if (state := read(folder, job)["state"]) in ("PENDING", "RUNNING"):
            print(f"{job}|{state}")


def sacct(folder: Path, *arguments: str) -> None:
    print(read(folder, arguments[arguments.index("--jobs") + 1])["state"])


def scancel(folder: Path, *wanted: str) -> None:
    for job in wanted:
        known = read(folder, job)
        write(folder, job, state="CANCELLED by 0")
        if known["state"] == "RUNNING" and "pid" in known:
            os.kill(known["pid"], signal.SIGTERM)


def scontrol(folder: Path, action: str, job: str) -> None:
    assert action == "requeue"
    write(folder, job, requeue=True)


if __name__ == "__main__":
    globals()[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])
