"""`ocrexp serve` as clients see it: forms, limits, hostile uploads, figures."""

import base64
import json
import os
import re
import signal
import struct
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.deploy import TextSystem

from .conftest import begun, coded, encoded, form, page, pdf, wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def expected(server):
    """What the models read on a page, by the runtime: rows of boxes and texts."""
    folder = server.log.parent
    lines = TextSystem(folder / "det", folder / "rec", folder / "cls")(page(20, 90))
    assert len(lines) == 2
    return [box.tolist() for box, _ in lines], [text for _, (text, _) in lines]


def test_all_forms_of_a_request_are_read_as_the_runtime_reads(server, expected):
    image = encoded(page(20, 90))
    answers = [
        server.send_files({"a.png": image}),
        server.post("/ocr", image, "image/png"),
        server.post("/ocr", image, "application/octet-stream"),
        server.post("/ocr", coded(image)),
        server.post("/ocr", {"image": f"data:image/png;base64,{base64.encodebytes(image).decode()}"}),
    ]
    for answer in answers:
        (row,) = answer.json["results"]
        assert ([[[float(v) for v in point] for point in box] for box in row["boxes"]], row["texts"]) == expected
        assert row["size"] == [320, 160]
        assert all(0.5 < score <= 1 for score in row["scores"])


def test_pages_of_files_and_pictures(server):
    two = [page(20), page(60, 100)]
    tiff = cv2.imencodemulti(".tiff", two)[1].tobytes()
    answer = server.send_files({"x.pdf": pdf(*two), "y.tiff": tiff, "z.jpg": encoded(two[0], ".jpg")}, "/ocr?picture=1")
    rows = answer.json["results"]
    assert [(row["name"], row.get("page"), len(row["boxes"])) for row in rows] == [
        ("x.pdf", 1, 1), ("x.pdf", 2, 2), ("y.tiff", 1, 1), ("y.tiff", 2, 2), ("z.jpg", None, 1)
    ]  # fmt: skip
    for row in rows:
        data = base64.b64decode(row["picture"].removeprefix("data:image/jpeg;base64,"))
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2][::-1] == tuple(row["size"])


def test_the_form_of_paddleocr(server, expected):
    boxes, texts = expected
    line = np.zeros((16, 64, 3), np.uint8)
    image, dark = encoded(page(20, 90)), encoded(line)
    answer = server.post("/predict/ocr_system", coded(image, image)).json
    assert (answer["msg"], answer["status"], len(answer["results"])) == ("", "000", 2)
    first = answer["results"][0]
    assert [entry["text"] for entry in first] == texts
    assert [entry["text_region"] for entry in first] == [np.int32(box).tolist() for box in boxes]
    assert all(set(entry) == {"text", "confidence", "text_region"} for entry in first)
    found = server.post("/predict/ocr_det", coded(image)).json["results"]
    assert found == [[{"text_region": np.int32(box).tolist()} for box in boxes]]
    (lines,) = server.post("/predict/ocr_rec", coded(dark, dark)).json["results"]
    assert [set(entry) for entry in lines] == [{"text", "confidence"}] * 2
    assert lines[0]["text"].strip("a") == ""
    (angles,) = server.post("/predict/ocr_cls", coded(dark)).json["results"]
    assert angles[0]["angle"] in ("0", "180")
    assert 0 <= angles[0]["confidence"] <= 1
    mixed = server.post("/predict/ocr_system", coded(b"no image", image)).json
    assert [len(entries) for entries in mixed["results"]] == [0, 2]
    assert "images[0]" in mixed["msg"]
    for path, body, status, code in (
        ("ocr_table", coded(image), 404, "111"),
        ("ocr_system", {"images": [], "paths": ["/etc/passwd"]}, 400, "101"),
        ("ocr_system", coded(b"no image"), 415, "101"),
    ):
        answer = server.post(f"/predict/{path}", body)
        assert (answer.status, answer.json["status"], answer.json["results"]) == (status, code, "")


def bomb():
    """A PNG of 30000 × 30000 pixels in 900 kB of zeros, here only its beginning."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


def hostile():
    good = encoded(page(20))
    jpeg = encoded(np.random.default_rng(0).integers(0, 255, (160, 320, 3), dtype=np.uint8), ".jpg")
    json_type = "application/json"
    return {
        "bomb": (bomb(), "image/png", 413, "too_many_pixels"),
        "truncated jpeg": (jpeg[: len(jpeg) // 2], "image/jpeg", 400, "damaged"),
        "damaged png": (good[:60] + bytes(40) + good[100:], "image/png", 400, "damaged"),
        "svg": (
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
            "image/svg+xml",
            415,
            "",
        ),
        "html as png": (b"<script>alert(1)</script>", "image/png", 415, "unsupported_format"),
        "type": (good, "text/plain", 415, "unsupported_content_type"),
        "no type": (good, "", 415, "unsupported_content_type"),
        "empty": (b"", "image/png", 400, "no_image"),
        "empty form": (*form({}), 400, ""),
        "empty file": (*form({"a.png": b""}), 400, "empty"),
        "large file": (*form({"a.png": bytes(500_000)}), 413, "file_too_large"),
        "large request": (bytes(1_100_000), "image/png", 413, "request_too_large"),
        "many files": (*form({f"{i}.png": good for i in range(5)}), 413, "too_many_images"),
        "path": (*form({"../../etc/passwd\x1b[31m": b"x"}), 415, "unsupported_format"),
        "cut form": (form({"a.png": good})[0][:100], "multipart/form-data; boundary=x", 400, ""),
        "no boundary": (good, "multipart/form-data", 400, "invalid_form"),
        "pages": (pdf(*[page(20)] * 4), "application/pdf", 413, "too_many_pages"),
        "tiff pages": (cv2.imencodemulti(".tiff", [page(20)] * 4)[1].tobytes(), "image/tiff", 413, "too_many_pages"),
        "broken pdf": (b"%PDF-1.4\n" + bytes(200), "application/pdf", 400, "damaged"),
        "base64": (b'{"images": ["@@@"]}', json_type, 400, "invalid_base64"),
        "url": (b'{"images": ["http://127.0.0.1:1/x.png"]}', json_type, 400, "invalid_base64"),
        "url key": (b'{"url": "http://127.0.0.1:1/x.png"}', json_type, 400, "invalid_json"),
        "numbers": (b'{"images": [1]}', json_type, 400, "invalid_base64"),
        "not a list": (b'{"images": {"a": "b"}}', json_type, 400, "invalid_json"),
        "nested": (b"[" * 10**6, json_type, 400, "invalid_json"),
        "nested object": (b'{"images": ' + b"[" * 400_000 + b"]" * 400_000 + b"}", json_type, 400, "invalid_json"),
        "digits": (b'{"images": ' + b"9" * 10**5 + b"}", json_type, 400, "invalid_json"),
        "not utf-8": (b'{"images": "\xff\xfe"}', json_type, 400, "invalid_json"),
        "json": (b"{", json_type, 400, "invalid_json"),
    }


def test_hostile_uploads_are_answered_and_logged_in_one_line(server):
    for name, (body, kind, status, code) in hostile().items():
        since = len(server.lines())
        answer = server.post("/ocr", body, kind)
        assert answer.status == status, (name, answer)
        assert answer.json["code"].startswith(code), (name, answer)
        assert b"\n" not in answer.body
        assert "\x1b" not in answer.json["error"]
        assert "etc/" not in answer.json["error"]
        (line,) = server.lines(since)
        assert f" {status} " in line, name
        assert answer.json["error"] in line, name
    since = len(server.lines())
    answer = server.post("/ocr?picture=maybe", encoded(page(20)), "image/png")
    assert (answer.status, answer.json["code"]) == (400, "invalid_query")
    assert answer.json["error"] in server.lines(since)[0]
    assert server.post("/ocr", encoded(page(20)), "image/png").status == 200


def test_a_file_that_cannot_be_read_does_not_cost_the_others(server):
    answer = server.send_files({"bad.png": b"x", "good.png": encoded(page(20))})
    bad, good = answer.json["results"]
    assert (answer.status, bad["code"], len(good["texts"])) == (200, "unsupported_format", 1)


def test_other_paths_and_methods(server):
    assert (server.ask("GET", "/ocr").status, server.ask("GET", "/nothing").status) == (405, 404)
    assert server.ask("GET", "/docs").status == server.ask("GET", "/redoc").status == 404
    described = server.ask("GET", "/openapi.json").json
    assert {"/ocr", "/predict/{module}"} <= set(described["paths"])
    assert server.ask("GET", "/healthz").json == {"status": "ok"}
    assert server.ask("GET", "/readyz").json == {"status": "ready", "workers": 1}


def test_the_page_needs_nothing_from_elsewhere(server):
    for path in ("/", "/page.css", "/page.js"):
        answer = server.ask("GET", path)
        text = answer.body.decode()
        addresses = set(re.findall(r"https?://[^\"'\s)]+", text))
        assert answer.status == 200
        assert addresses <= {"http://www.w3.org/2000/svg"}
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert server.ask("GET", "/").headers["content-type"].startswith("text/html")


def test_requests_that_arrive_together_are_read_in_one_batch_and_counted(server, expected):
    before = server.figures()
    image = encoded(page(20, 90))
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: server.post("/ocr", image, "image/png"), range(4)))
    assert all(answer.json["results"][0]["texts"] == expected[1] for answer in answers)
    after = server.figures()
    change = {key: value - before.get(key, 0) for key, value in after.items()}
    assert change['ocrexp_requests_total{method="POST",route="/ocr",status="200"}'] == 4
    assert change['ocrexp_request_seconds_count{route="/ocr"}'] == 4
    assert change["ocrexp_batch_images_sum"] == 4
    assert change["ocrexp_batch_images_count"] < 4
    assert change['ocrexp_images_total{result="read"}'] == 4
    assert after['ocrexp_memory_bytes{process="worker 0"}'] > 10e6
    assert (after["ocrexp_queue_images"], after["ocrexp_reading_images"], after["ocrexp_requests_open"]) == (0, 0, 0)


def test_open_uploads_are_limited_and_end_with_their_clients(server):
    held = [begun(server) for _ in range(8)]
    wait_for(lambda: server.figures()["ocrexp_requests_open"] == 8)
    answer = server.post("/ocr", encoded(page(20)), "image/png")
    assert (answer.status, answer.json["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    for connection in held:
        connection.close()
    wait_for(lambda: server.figures()["ocrexp_requests_open"] == 0)
    assert server.figures()['ocrexp_requests_total{method="POST",route="/ocr",status="499"}'] == 8


def test_a_worker_that_is_lost_is_started_again(server, expected):
    (worker,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    answer = server.post("/ocr", encoded(page(20, 90)), "image/png")
    assert answer.json["results"][0]["texts"] == expected[1]
    assert server.figures()["ocrexp_worker_restarts_total"] == 1


def test_the_examples_of_the_documentation_run(server, tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "serving.md").read_text("utf-8").replace("http://127.0.0.1:8866", server.address)
    (tmp_path / "receipt.jpg").write_bytes(encoded(page(20, 90), ".jpg"))
    (tmp_path / "scan.pdf").write_bytes(pdf(page(20)))
    (tmp_path / "request.json").write_text(json.dumps(coded(encoded(page(20)))))
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(block, {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    commands = [
        line for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL) for line in block.splitlines()
    ]
    commands = [line for line in commands if line.startswith("curl ")]
    assert len(commands) == 4
    for command in commands:
        done = subprocess.run(command.replace("curl ", "curl -sf ", 1), shell=True, capture_output=True, check=False)
        if done.returncode == 127:
            pytest.skip("curl is not installed")
        assert json.loads(done.stdout)["results"], command
