"""A process that has imported paddle and ocrexp once, and forks a child for each command that a test runs.

A command gets its own process, arguments, folder, environment, streams and exit code, as from `subprocess.run`, without
the two seconds of importing. What a test says about starting Python itself, about threads or about the environment that
paddle reads when it is imported needs a fresh process instead.

`run(["-m", "ocrexp", …])` from a test; the process is started by the first call and ends with the test process.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_MOST = 1 << 20  # bytes of a request: arguments, folder and environment
_IMPORTED = (
    "cv2", "hydra", "matplotlib.backends.backend_agg", "matplotlib.figure", "omegaconf", "paddle",
    "ocrexp.commands", "ocrexp.config", "ocrexp.data", "ocrexp.engine", "ocrexp.metrics", "ocrexp.models",
    "ocrexp.optim", "ocrexp.postprocess", "ocrexp.report", "ocrexp.tasks",
)  # fmt: skip


class _Server:
    """The client's end: one warm process of this test process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def send(self, request: dict[str, Any], files: Sequence[int]) -> None:
        with self._lock:
            if self._socket is None:
                self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    subprocess.Popen(
                        [sys.executable, __file__, str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
                        stdin=subprocess.DEVNULL,
                    )
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))


_server = _Server()


def run(
    arguments: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> "subprocess.CompletedProcess[str]":
    """`subprocess.run([sys.executable, *arguments], capture_output=True, text=True)` in a child of the warm process.

    Args:
        arguments: `-m MODULE …` or `SCRIPT …`.
        cwd: the child's folder; None: this process's.
        env: its whole environment; None: this process's.
        timeout: seconds; raises subprocess.TimeoutExpired, and the child is killed.
    """
    request = {
        "arguments": [str(each) for each in arguments],
        "cwd": str(cwd or Path.cwd()),
        "env": dict(os.environ if env is None else env),
    }
    pipes = [os.pipe() for _ in range(3)]
    out, err, status = (os.fdopen(read, "rb") for read, _ in pipes)
    try:
        _server.send(request, [write for _, write in pipes])
    finally:
        for _, write in pipes:
            os.close(write)
    texts: dict[BinaryIO, str] = {}

    def read(stream: BinaryIO) -> None:
        texts[stream] = stream.read().decode(errors="replace")

    readers = [threading.Thread(target=read, args=(stream,), daemon=True) for stream in (out, err)]
    with out, err, status:
        for reader in readers:
            reader.start()
        pid = int(status.readline() or -1)
        assert pid > 0, "the warm process ended: see its output above"
        if not select.select([status], [], [], timeout)[0]:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        code = int(status.readline())
        for reader in readers:
            reader.join()
    return subprocess.CompletedProcess([sys.executable, *arguments], code, texts[out], texts[err])


class _Request(NamedTuple):
    arguments: list[str]
    cwd: str
    env: dict[str, str]


def _serve(client: socket.socket) -> _Request:
    """Fork a child for each request, and report pids and exit codes; returns in the children alone."""
    running: dict[int, tuple[int, int]] = {}  # descriptor of the child → pid, where its exit code is awaited
    while True:
        ready, _, _ = select.select([client, *running], [], [])
        for descriptor in ready:
            if descriptor is not client:
                pid, status = running.pop(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.close(descriptor)
                with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                    os.write(status, f"{code}\n".encode())
                os.close(status)
                continue
            message, files, _, _ = socket.recv_fds(client, _MOST, 3)
            if not message:
                os._exit(0)
            pid = os.fork()
            if not pid:
                for number, file in enumerate(files[:2], 1):
                    os.dup2(file, number)
                for opened in (*files, *running, *(status for _, status in running.values())):
                    os.close(opened)
                client.close()
                return _Request(**json.loads(message))
            for file in files[:2]:
                os.close(file)
            os.write(files[2], f"{pid}\n".encode())
            running[os.pidfd_open(pid)] = (pid, files[2])


def _execute(request: _Request, paths: list[str]) -> None:
    """As `python ARGUMENTS` would."""
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    asked = [entry for entry in request.env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    first, *rest = request.arguments
    module = first == "-m"
    sys.path[:] = list(dict.fromkeys([request.cwd if module else str(Path(first).parent), *asked, *paths]))
    if module:
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = request.arguments
        runpy.run_path(first, run_name="__main__")


def _warm_up() -> None:
    from ocrexp.environment import prepare

    prepare(threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _IMPORTED:
            module = importlib.import_module(name)
            if name.startswith("ocrexp"):
                for each in pkgutil.walk_packages(module.__path__, name + "."):
                    importlib.import_module(each.name)


if __name__ == "__main__":
    _warm_up()
    os.fsync = lambda descriptor: None  # as in the tests' own process, see conftest.py
    _paths = sys.path[1:]  # without the folder of this file
    _request = _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        _execute(_request, _paths)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
