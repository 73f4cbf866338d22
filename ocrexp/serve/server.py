"""Listens, answers until a signal asks it to stop, then finishes what it has accepted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

import uvicorn

from ocrexp.deploy.settings import RuntimeSettings
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError, printable
from ocrexp.serve.app import State, create_app
from ocrexp.serve.jobs import WorkerSettings
from ocrexp.serve.metrics import Metrics
from ocrexp.serve.pool import WorkerPool
from ocrexp.serve.process import PATIENCE
from ocrexp.serve.settings import ServeSettings

log = logging.getLogger("ocrexp.serve")

_BACKLOG = 512  # connections that the kernel holds for us
_MOST_IMAGES = 1 << 30  # for the automatic number of workers, which never needs more than there are images
_CONNECTIONS_PER_PLACE = 16  # of the queue: connections that may be open


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound. Raises ConfigError if the address cannot be used."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, UnicodeError) as error:
        raise _not_free(host, port, error) from None
    return bound


def _not_free(host: str, port: int, error: OSError | UnicodeError) -> ConfigError:
    reason = (isinstance(error, OSError) and error.strerror) or error
    return ConfigError(f"host={host} port={port}: cannot be used ({reason}); choose others")


class _Server(uvicorn.Server):
    """Without handlers of signals: `serve` has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    settings: ServeSettings,
    models: RuntimeSettings,
    bound: socket.socket,
    ready: Callable[[str], None],
) -> int:
    """Serve until SIGINT or SIGTERM; returns 0, or 1 if open requests were given up at a second signal.

    Args:
        settings: what is accepted.
        models: as `RuntimeSettings.checked` gives them.
        bound: the socket of `listen`.
        ready: called with the server's address once the models are loaded.

    Raises DeployError or ConfigError if a worker cannot load the models.
    """
    count = models.worker_count(_MOST_IMAGES)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it repeats what a client has sent
    metrics, state = Metrics(settings.batch_images), State()
    worker = WorkerSettings(models, max(1, available_cores() // count), settings.dpi, settings.max_pages)
    pool = WorkerPool(settings, worker, count, metrics)
    began = time.monotonic()
    started = await pool.start()
    try:
        app = create_app(settings, pool, metrics, state)
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=_CONNECTIONS_PER_PLACE * settings.max_queue,
            timeout_graceful_shutdown=int(settings.timeout + PATIENCE) + 1,
        )
        server = _Server(config)
        try:
            bound.listen(_BACKLOG)
        except OSError as error:  # another program has begun to listen there while the models were loaded
            raise _not_free(settings.host, settings.port, error) from None
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        threads = models.threads or worker.threads
        log.info(
            "%d workers with %d threads each on %s, loaded in %.1f s",
            count, threads, started[0].backend, time.monotonic() - began,
        )  # fmt: skip
        ready(f"http://{shown}:{port}")
        with _signals(server, state):
            await server.serve([bound])
        return int(server.force_exit)
    finally:
        await pool.close()
        bound.close()


@contextlib.contextmanager
def _signals(server: _Server, state: State) -> Iterator[None]:
    """The first signal lets the server finish, the second ends it at once."""
    loop = asyncio.get_running_loop()

    def note(number: int) -> None:
        server.force_exit = server.should_exit
        state.stopping = server.should_exit = True
        name = signal.Signals(number).name
        with contextlib.suppress(OSError):
            print(
                f"ocrexp: {printable(name)}: finishing open requests; send it again to stop immediately",
                file=sys.stderr,
                flush=True,
            )

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, note, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
