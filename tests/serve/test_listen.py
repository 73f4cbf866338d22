"""Addresses that cannot be listened on."""

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'ocrexp[serve]'")

from ocrexp.config.compose import compose
from ocrexp.deploy.settings import settings_from
from ocrexp.errors import ConfigError
from ocrexp.serve import server as module
from ocrexp.serve.jobs import Started
from ocrexp.serve.settings import ServeSettings


def test_a_port_that_is_taken_while_the_models_are_loaded_is_one_line(monkeypatch):
    first = module.listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = module.listen("127.0.0.1", port)  # nobody listens there yet

    class Pool:
        models = SimpleNamespace(det=None, rec=None, cls=None)
        ready = 1
        closed = False

        def __init__(self, *arguments):
            pass

        async def start(self):
            first.listen()
            return [Started(backend="none")]

        async def close(self):
            Pool.closed = True

    monkeypatch.setattr(module, "WorkerPool", Pool)
    settings = settings_from(compose("serve", [f"port={port}"]), ServeSettings).checked()
    models = SimpleNamespace(worker_count=lambda images: 1, threads=1)
    with pytest.raises(ConfigError, match=f"port={port}: cannot be used .*; choose"):
        asyncio.run(module.serve(settings, models, second, pytest.fail))
    assert Pool.closed
    first.close()
