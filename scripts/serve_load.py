"""Load a server with many clients, and compare it with `predict` on the same images and cores.

    python scripts/serve_load.py det=DET rec=REC images=FOLDER [clients=32] [seconds=60] [KEY=VALUE ...]

Starts `ocrexp serve` on a free port and sends `count` images of the folder from `clients` connections, over and over,
for `seconds`, after one pass to warm up. In turn with it, `rounds` times, `predict` reads the same images; its rate is
that from the first finished image to the last, without labels and pictures. Further keys go to both, `timeout` to the
server alone: on slow cores, as many images as there are clients can need more than its 60 seconds. Prints images per
second of both, the latency, and the memory of all processes. Exit code 1 if a request failed, if texts differ from
predict's, if memory grew by more than 5 % from the first half of the load to the second, or if the server reached less
than 90 % of predict.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

_MEMORY = re.compile(r'^ocrexp_memory_bytes\{process="([^"]+)"\} (\d+)$', re.MULTILINE)
LEAST_SHARE, MOST_GROWTH = 0.9, 1.05


@dataclass
class Load:
    """What the clients have seen."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    different: int = 0
    memory: list[dict[str, int]] = field(default_factory=list)  # bytes by process, once per second
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


def main(arguments: list[str]) -> int:
    options = dict(item.partition("=")[::2] for item in arguments)
    images, clients = Path(options.pop("images")), int(options.pop("clients", 32))
    seconds, count, rounds = (
        float(options.pop("seconds", 60)),
        int(options.pop("count", 48)),
        int(options.pop("rounds", 2)),
    )
    limit = [f"timeout={options.pop('timeout', 60)}"]
    keys = [f"{key}={value}" for key, value in options.items()]
    files = sorted(path for path in images.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    rates: list[tuple[float, float]] = []
    good = True
    for number in range(rounds):
        predicted, texts = predict(files, keys)
        load = serve(files, texts, [*keys, *limit], clients, seconds)
        rates.append((load.rate, predicted))
        good = report(number, load, predicted) and good
    share = statistics.median(served / alone for served, alone in rates)
    print(f"serve / predict: {share:.3f} (median of {rounds} rounds, expected {LEAST_SHARE} or more)")
    return int(not good or share < LEAST_SHARE)


def predict(files: list[Path], keys: list[str]) -> tuple[float, dict[str, list[str]]]:
    """Images per second, from the first finished image to the last, and the texts of each image."""
    command = [sys.executable, "-m", "ocrexp", "predict", f"images=[{','.join(map(str, files))}]", "output=-", *keys]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        rows, times = [], []
        for line in process.stdout:
            times.append(time.perf_counter())
            rows.append(json.loads(line))
        if process.wait():
            errors.seek(0)
            raise SystemExit(errors.read().decode())
    return (len(times) - 1) / (times[-1] - times[0]), {Path(row["path"]).name: row["texts"] for row in rows}


def serve(files: list[Path], texts: dict[str, list[str]], keys: list[str], clients: int, seconds: float) -> Load:
    """Load a new server."""
    command = [sys.executable, "-m", "ocrexp", "serve", "port=0", "access_log=false", *keys]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    threading.Thread(target=sys.stderr.writelines, args=(process.stderr,), daemon=True).start()
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the server has not started")
        port = int(line.rsplit(":", 1)[1])
        bodies = [(path.name, path.read_bytes()) for path in files]
        _send(port, bodies, texts, clients, lambda sent: sent >= len(bodies), Load())
        load = Load()
        began = time.perf_counter()
        _send(port, bodies, texts, clients, lambda _: time.perf_counter() - began >= seconds, load)
        load.seconds = time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)
    if code:
        load.failures.append(f"the server's exit code is {code}")
    return load


def _send(port, bodies, texts, clients, enough, load) -> None:  # type: ignore[no-untyped-def]
    """Send images from all clients until there are enough; each client finishes its last one."""
    numbers, lock = itertools.count(), threading.Lock()
    ended = threading.Event()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            number = next(numbers)
            if enough(number):
                break
            name, body = bodies[number % len(bodies)]
            began = time.perf_counter()
            try:
                connection.request("POST", "/ocr", body, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                content = answer.read()
            except OSError as error:
                load.failures.append(repr(error))
                connection.close()
                continue
            if answer.status != 200:
                load.failures.append(f"{answer.status} {content.decode()}")
                continue
            with lock:
                load.latencies.append(time.perf_counter() - began)
                load.different += json.loads(content)["results"][0]["texts"] != texts[name]
        connection.close()

    def watch() -> None:
        while not ended.wait(1):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/metrics")
            load.memory.append(
                {key: int(value) for key, value in _MEMORY.findall(connection.getresponse().read().decode())}
            )
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    watcher = threading.Thread(target=watch)
    for thread in (*threads, watcher):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    watcher.join()


def report(number: int, load: Load, predicted: float) -> bool:
    """Print a round; whether it was as it should be, apart from the rate."""
    ordered = sorted(load.latencies)
    if not ordered:
        print(f"round {number + 1}: none of {len(load.failures)} images was read: {', '.join(load.failures[:1])}")
        return False
    middle, late = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    print(
        f"round {number + 1}: serve {load.rate:.2f} images/s ({len(ordered)} in {load.seconds:.0f} s; "
        f"{len(load.failures)} failed, {load.different} with other texts; latency {middle:.2f} s, 99 %: {late:.2f} s); "
        f"predict {predicted:.2f} images/s"
    )
    for failure in load.failures[:3]:
        print(f"  failed: {failure}")
    good = not load.failures and not load.different
    half = len(load.memory) // 2
    for process in load.memory[-1] if half else ():
        before, after = (max(each[process] for each in part) for part in (load.memory[:half], load.memory[half:]))
        print(f"  {process}: at most {before / 1e6:.0f} MB in the first half, {after / 1e6:.0f} MB in the second")
        good = good and after <= MOST_GROWTH * before
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
