"""A process that has imported paddle and ocrexp once, and forks a child for each job that it is asked to train.

python warm_server.py SOCKET

Importing takes longer than a short job. A child is as a fresh process: nothing has been computed before the fork, its
environment, folder and streams are those of the request, and what becomes of it concerns no other child. A driver of
GPUs does not survive a fork, so a paddle that is built for them is not kept warm; see `ocrexp.runs.warm`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path

MOST = 1 << 17  # bytes of a request: arguments, folder and environment
_IMPORTED = (
    "cv2", "hydra.core.override_parser.overrides_parser", "matplotlib.backends.backend_agg", "matplotlib.figure",
    "rich.live", "rich.progress", "ocrexp.runs.fit", "ocrexp.runs.worker", "ocrexp.assemble", "ocrexp.augment",
    "ocrexp.config", "ocrexp.data", "ocrexp.engine", "ocrexp.loggers", "ocrexp.losses", "ocrexp.metrics",
    "ocrexp.models", "ocrexp.optim", "ocrexp.postprocess", "ocrexp.report", "ocrexp.tasks",
)  # fmt: skip


def main() -> int:
    """Import everything, then serve; each child returns the exit code of its job."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # a script's folder must not shadow top-level modules
    from ocrexp.environment import find_own_modules, prepare
    from ocrexp.logs import ignore_paddle_warnings, import_paddle
    from ocrexp.processes import PARENT, end_with_parent

    parent = os.environ.pop(PARENT, "")
    if parent.isdigit():
        end_with_parent(int(parent))
    find_own_modules()
    ignore_paddle_warnings()
    prepare()
    import_paddle()
    if not _may_be_forked():
        return 1
    _import_parts()
    gc.freeze()  # what is there now is not looked at again, and its pages stay shared
    with socket.socket(fileno=int(sys.argv[1])) as control:
        arguments = _serve(control)
    from ocrexp.runs import worker

    sys.argv = [str(worker.__file__), *arguments]
    return worker.main()


def _may_be_forked() -> bool:
    import paddle

    device = paddle.device
    return not (device.is_compiled_with_cuda() or device.is_compiled_with_rocm() or device.is_compiled_with_xpu())


def _import_parts() -> None:
    """A part whose optional package is missing is skipped: the job that asks for it reports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _IMPORTED:
            module = importlib.import_module(name)
            if name.startswith("ocrexp.") and hasattr(module, "__path__"):
                for each in pkgutil.walk_packages(module.__path__, name + ".", onerror=lambda _: None):
                    with suppress(ImportError):
                        importlib.import_module(each.name)


def _serve(control: socket.socket) -> list[str]:
    """Fork a child for each request; returns in the children alone, with their arguments.

    A request comes with three descriptors: output, errors, and a socket on which the child's id, a handle of it and at
    last its exit code are sent.
    """
    running: dict[int, tuple[int, socket.socket]] = {}  # handle of a child → its id, who waits for it
    while True:
        ready, _, _ = select.select([control.fileno(), *running], [], [])
        for handle in ready:
            if handle != control.fileno():
                pid, waiting = running.pop(handle)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.close(handle)
                with waiting, suppress(OSError):  # nobody waits any more
                    waiting.send(str(code).encode())
                continue
            message, files, _, _ = socket.recv_fds(control, MOST, 3)
            if not message:  # the process that started this one has ended
                os._exit(0)
            server = os.getpid()
            if not (pid := os.fork()):
                for _, waiting in running.values():
                    waiting.close()
                return _become_job(json.loads(message), files[:2], [*running, files[2]], server)
            for file in files[:2]:
                os.close(file)
            waiting, handle = socket.socket(fileno=files[2]), os.pidfd_open(pid)
            running[handle] = (pid, waiting)
            with suppress(OSError):
                socket.send_fds(waiting, [str(pid).encode()], [handle])


def _become_job(request: dict[str, object], streams: list[int], others: list[int], server: int) -> list[str]:
    """In the child: its own session, streams, folder and environment; the parent is named for `end_with_command`.

    `others` are descriptors of the parent, which are closed.
    """
    from ocrexp.processes import PARENT

    os.setsid()
    for number, file in enumerate(streams, 1):
        os.dup2(file, number)
    for descriptor in (*streams, *others):
        os.close(descriptor)
    arguments, environment, folder = request["arguments"], request["environment"], request["folder"]
    assert isinstance(arguments, list) and isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.environ[PARENT] = str(server)
    os.chdir(str(folder))
    return [str(item) for item in arguments]


if __name__ == "__main__":
    sys.exit(main())
