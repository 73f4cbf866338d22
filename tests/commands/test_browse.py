"""The verb `browse`: its keys, its page, its end."""

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from contextlib import suppress

import planted
import pytest

from ocrexp.__main__ import main
from ocrexp.browse import server

KEYS = ["charset.use_space_char=true", "targets.ctc_steps=null", "dataset.root=data", "task=rec"]


def test_ctrl_c_ends_it(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server.secrets, "token_urlsafe", lambda size: "secret")
    planted.clean_rec(tmp_path / "data").write()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    states = []

    def look():
        until = time.monotonic() + 200
        while time.monotonic() < until and not (states and not states[-1]["checking"]):
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/secret/api/state", timeout=5) as answer,
            ):
                states.append(json.load(answer))
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=look, daemon=True).start()
    assert main(["browse", *KEYS, f"port={port}", "workers=1"]) == 0
    assert (states[-1]["check"], states[-1]["count"], states[-1]["texts"]) == ("done", 30, 30)
    assert f"http://127.0.0.1:{port}/secret/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["dataset.root=data", "port=70000"], "port: expected a number from 0 to 65535"),
        (["dataset.root=data", "report=none.json"], "report=none.json: cannot be read"),
        (["dataset.root=nope"], "dataset.root=nope: is not a folder"),
        (["dataset.root=data", "optim.lrr=1"], "optim.lr"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, key):
    monkeypatch.chdir(tmp_path)
    planted.clean_rec(tmp_path / "data").write()
    assert main(["browse", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ocrexp: ") and key in line
