"""What clients send in other forms than the plain ones, and the form of what is answered."""

import base64
import gzip
import json

import cv2
import pytest

from .conftest import coded, encoded, form, page, pdf


@pytest.mark.parametrize("path", ["/ocr", "/predict/ocr_system"])
def test_base64_of_browsers_and_of_the_alphabet_for_urls(server, path):
    image = encoded(cv2.GaussianBlur(page(20), (5, 5), 0))
    plain = base64.b64encode(image).decode()
    expected = server.post(path, {"images": [plain]}).json
    assert {"+", "/"} <= set(plain)  # else this test would not show anything
    for text in (
        f"data:image/png;charset=utf-8;base64,{plain}",
        f"DATA:image/PNG;BASE64,{plain}",
        base64.encodebytes(image).decode().replace("\n", "\r\n"),
        base64.urlsafe_b64encode(image).decode().rstrip("="),
    ):
        found = server.post(path, {"images": [text]})
        assert found.status == 200, text[:40]
        for answer in (expected, found.json):
            for row in answer["results"]:
                if isinstance(row, dict):
                    row.pop("seconds", None)
        assert found.json["results"][0] == expected["results"][0] or path == "/ocr"
        assert len(found.json["results"]) == 1


def test_a_compressed_body_is_refused_as_such(server):
    body = gzip.compress(json.dumps(coded(encoded(page(20)))).encode())
    for path, key in (("/ocr", "error"), ("/predict/ocr_system", "msg")):
        connection = server.connect()
        connection.request("POST", path, body, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
        answer = connection.getresponse()
        line = json.loads(answer.read())[key]
        connection.close()
        assert answer.status == 415
        assert "Content-Encoding" in line
        assert "gzip" in line


def test_every_error_of_a_module_has_the_form_of_paddleocr(server):
    image = coded(encoded(page(20)))
    for body, kind, status in (
        (bytes(1_100_000), "application/json", 413),  # refused by its stated length
        (b"", "application/json", 400),
        (*form({"a.png": b"x"}), 400),
        (json.dumps({"images": []}).encode(), "application/json", 400),
    ):
        answer = server.post("/predict/ocr_system", body, kind)
        assert answer.status == status
        assert set(answer.json) == {"msg", "results", "status"}
        assert (answer.json["results"], answer.json["status"]) == ("", "101")
        assert "; " in answer.json["msg"]
    refused = server.ask("PUT", "/predict/ocr_system", json.dumps(image).encode())
    assert (refused.status, refused.headers["allow"], refused.json["results"]) == (405, "POST", "")


def test_a_file_of_several_pages_does_not_shift_the_lines_of_the_others(server):
    several, one = pdf(page(20), page(60)), encoded(page(20))
    for module, key in (("ocr_rec", "text"), ("ocr_cls", "angle")):
        answer = server.post(f"/predict/{module}", coded(several, one)).json
        ((first, second),) = answer["results"]
        alone = server.post(f"/predict/{module}", coded(one)).json["results"][0][0]
        assert (first, second) == ({key: "", "confidence": 0.0}, alone)
        assert "images[0]: 2 pages" in answer["msg"]
    assert server.post("/predict/ocr_rec", coded(several)).status == 413


def test_head_is_answered_as_get_and_other_methods_name_what_is_allowed(server):
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        answer = server.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b""), path
        assert int(answer.headers["content-length"]) > 0
    for method, path, allowed in (("HEAD", "/ocr", "POST"), ("OPTIONS", "/ocr", "POST"), ("DELETE", "/healthz", "GET")):
        answer = server.ask(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_methods_that_clients_invent_are_one_row_of_the_figures(server):
    for number in range(3):
        assert server.ask(f"INVENTED{number}", "/healthz").status == 405
    figures = server.figures()
    assert figures['ocrexp_requests_total{method="other",route="/healthz",status="405"}'] == 3
    assert not [name for name in figures if "INVENTED" in name]
