"""How a server ends."""

import json
import signal
import socket

from .conftest import begun, encoded, page, wait_for


def test_it_finishes_what_it_has_accepted_and_ends(own_server):
    server = own_server
    image = encoded(page(20, 90))
    held = begun(server, len(image))
    held.sendall(image[:10])
    wait_for(lambda: server.figures()["ocrexp_requests_open"] == 1)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "SIGTERM" in server.log.read_text())

    def refused():
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            return True
        return False

    wait_for(refused)
    held.sendall(image[10:])
    answer = b""
    while part := held.recv(65536):
        answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"texts" in answer
    assert server.process.wait(60) == 0
    held.close()


def test_a_second_signal_answers_what_is_open_with_503(own_server):
    held = begun(own_server)
    wait_for(lambda: own_server.figures()["ocrexp_requests_open"] == 1)
    for count in (1, 2):
        own_server.process.send_signal(signal.SIGTERM)
        wait_for(lambda count=count: own_server.log.read_text().count("SIGTERM") == count)
    answer = b""
    while part := held.recv(65536):
        answer += part
    held.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["code"] == "stopped"
    assert own_server.process.wait(60) == 1
    assert "Traceback" not in own_server.log.read_text()
