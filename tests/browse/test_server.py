"""The server of `browse`: who may ask it, what it answers, and nothing else."""

import http.client
import json
import threading

import browser
import cv2
import numpy as np
import pytest

from ocrexp.browse.server import BrowseServer
from ocrexp.browse.session import Session
from ocrexp.data.browsing.found import Found, FoundProblems
from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.targets.db import DBTargets
from ocrexp.data.transforms.resize import DetResize
from ocrexp.data.val_targets import TargetsBeside
from ocrexp.data.variants import TrainVariants
from ocrexp.errors import ConfigError
from ocrexp.report.sample_page import make_browse_page
from ocrexp.tasks.find import find_task
from ocrexp.types import Record

HOSTILE = '<img src=x onerror="window.hit=1">\u200b\x1b[31m </script><script>window.hit=1</script>'
ARABIC = "مرحبا"


class Pipelines:
    """Of detection, without the model."""

    def __init__(self, records):
        targets = DBTargets()
        self.task = find_task("det")
        self.train = TrainVariants(TrainPipeline(records, [targets], 0), EpochSampler([len(records)], None, 2, 0))
        self.val = EvalPipeline(records[:1], [DetResize(limit_side_len=64), TargetsBeside(targets)])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    names = ["one.png", "<b>two.png", "gone.png", "three\udcff.png"]
    for name in (names[0], names[1], names[3]):
        (folder / name).write_bytes(cv2.imencode(".png", np.full((120, 160, 3), 90, np.uint8))[1].tobytes())
    region = np.array([[10, 10], [90, 10], [90, 40], [10, 40]], np.float32)
    records = [
        Record(folder / name, (text, "###"), (region, region + 45), (False, True), f"{folder}/list.txt:{line}")
        for line, (name, text) in enumerate(zip(names, ["word", HOSTILE, "gone", ARABIC], strict=True), start=1)
    ]
    index = DataIndex({"train": records, "val": records[:1]}, "det")
    index.read_texts()
    found = FoundProblems(index, state="done")
    found.add([Found("text-invisible", "train", f"{folder}/list.txt", 2, f"{HOSTILE!r} contains", "remove it")])
    found.count({("text-invisible", "train"): 1})
    session = Session(index, found, lambda: Pipelines(records), regex_seconds=1)
    made = BrowseServer(session, lambda nonce: make_browse_page("A <b>title</b>", "4 samples", nonce))
    session.start()
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    session.stop()
    made.shutdown()
    made.server_close()


def ask(server, path, host=None, method="GET", token=True):
    """Status, headers and body; the path as it is, without normalization."""
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    prefix = f"/{server.token}" if token else ""
    connection._encode_request = lambda line: line.encode("utf-8")
    connection.putrequest(method, prefix + path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1" and server.address.startswith("http://127.0.0.1:")
    with pytest.raises(ConfigError, match=r"port=\d+: is in use; .*port=0"):
        BrowseServer(server.session, server.page, server.server_address[1])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::]", " "])
def test_a_name_that_leads_here_is_refused(server, host):
    for path in ("/", "/api/state", "/image/train/0"):
        status, _, body = ask(server, path, host)
        assert status == 421 and server.token.encode() not in body


def test_a_forwarded_port_is_accepted(server):
    assert ask(server, "/api/state", "localhost:9999")[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/state", "/thumb/train/0", f"/{'x' * 24}/api/state", "//api/state", "/\xff/"]
)
def test_nothing_without_the_secret(server, path):
    status, _, body = ask(server, path, token=False)
    assert status == 404 and server.token.encode() not in body


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/image/../../../../etc/passwd", "/image/train/../../pyproject.toml", "/image/%2e%2e/0",
        "/image/train/..%2f..%2fetc%2fpasswd", "/image//etc/passwd", "/thumb/train/-1", "/thumb/train/4",
        "/thumb/test/0", "/thumb/train/0x0", "/image/train/٣", "/api/sample/val/1", "/api/variant/train/99/0",
        "/browse.js", "/image/train/0?x=../",
    ],
)  # fmt: skip
def test_addresses_name_samples_and_never_files(server, path):
    status, headers, body = ask(server, path)
    if path == "/image/train/0?x=../":
        assert status == 200 and headers["Content-Type"] == "image/png"
    else:
        assert status == 404 and b"root:" not in body and headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_only_reads(server, method):
    assert ask(server, "/api/state", method=method)[0] == 501


def test_queries_are_checked(server):
    for query, what in (
        ("regex=1&text=(a", b"invalid"),
        ("sort=x", b"sort"),
        ("page=-1", b"page"),
        ("&" * 99, b"fields"),
    ):
        status, _, body = ask(server, f"/api/samples?{query}")
        assert status == 400 and what in body
    status, _, body = ask(server, "/api/samples?text=word&per=1&page=7")
    answer = json.loads(body)
    assert (answer["matched"], answer["pages"], answer["page"], len(answer["samples"])) == (2, 2, 1, 1)


def test_the_policy_allows_no_other_place_and_no_script_of_a_text(server):
    status, headers, body = ask(server, "/")
    policy = headers["Content-Security-Policy"]
    assert status == 200 and "default-src 'none'" in policy and "unsafe-inline'; img" in policy
    assert "script-src 'nonce-" in policy and "unsafe-eval" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    page = body.decode()
    assert "<b>title" not in page and "onclick=" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
    assert ask(server, "/")[1]["Content-Security-Policy"] != policy, "a nonce is used once"


def test_samples_have_their_labels_problems_and_reasons(server):
    sample = json.loads(ask(server, "/api/sample/train/1")[2])
    runs = [run for run in sample["regions"][0]["runs"] if run[1] == "odd"]
    assert [run[0] for run in runs] == ["U+200B", "U+001B"]
    assert [one["kind"] for one in sample["problems"]] == ["text-invisible"]
    assert sample["regions"][1]["ignored"] and (sample["width"], sample["height"]) == (160, 120)
    status, _, body = ask(server, "/thumb/train/2")
    assert (status, body) == (404, b"image file is missing")
    assert "\\udcff" in json.loads(ask(server, "/api/sample/train/3")[2])["path"]
    rejected = json.loads(ask(server, "/api/variant/train/2/0")[2])
    assert rejected["notes"] == ["rejected: image file is missing"]


def test_variants_show_the_targets(server):
    trained = json.loads(ask(server, "/api/variant/train/0/1")[2])
    assert trained["title"] == "Epoch 1" and ["regions", "1 learned, 1 ignored"] in trained["facts"]
    assert [panel["title"].split(",")[0] for panel in trained["panels"]] == [
        "polygons", "shrink map", "threshold map", "threshold map in its mask",
    ]  # fmt: skip
    evaluated = json.loads(ask(server, "/api/variant/val/0/0")[2])
    assert len(evaluated["panels"]) == 4 and ["image", "160×128 pixels"] in evaluated["facts"]


def test_pictures_are_kept_up_to_a_limit(server):
    pictures = server.session.pictures
    first = pictures.get(0, 100)
    assert pictures.get(0, 100) is first and pictures.size >= len(first[1])
    pictures._most, before = len(first[1]) + 1, pictures._most
    pictures.get(0, 101)
    assert pictures.size <= 2 * len(first[1]) and pictures.get(0, 100) is not first
    pictures._most = before


def test_in_a_browser(server):
    with browser.browser() as window:
        window.size(1000, 700)
        window.open(server.address)
        window.wait("document.querySelectorAll('.tile').length == 5")
        assert "window.hit=1" in window.run("return document.querySelectorAll('.tile')[1].textContent")
        window.wait("document.querySelector('.broken')?.textContent == 'image file is missing'")
        window.press("j", "j", "\ue007")  # the second tile, Enter
        window.wait("location.hash.endsWith('sample=train%2F1')")
        window.wait("document.querySelectorAll('.variant h3').length == 3")
        assert window.run("return document.querySelectorAll('.stage polygon').length") == 2
        window.press("p")
        assert window.run("return getComputedStyle(document.querySelector('.stage svg')).display") == "none"
        window.press("\ue014")  # →: skips none, so the image that is missing
        window.wait("document.querySelector('.stage .broken')?.textContent == 'image file is missing'")
        window.press("\ue00c")  # Esc
        window.wait("!document.getElementById('detail').open")
        window.run("document.getElementById('text').value = arguments[0]", ARABIC)
        window.run("document.getElementById('text').dispatchEvent(new Event('input'))")
        window.wait("document.querySelectorAll('.tile').length == 1")
        label = "document.querySelector('.tile .label')"
        assert window.run(f"return getComputedStyle({label}).direction") == "rtl"
        window.size(390, 700, touch=True)
        assert window.run("return document.documentElement.scrollWidth") <= 390
        assert window.run("return window.hit") is None
        refused = [line for line in window.complaints() if "404" not in line]  # the image that is missing
        assert refused == []
