"""The application behind a real socket: answers, limits, and a health that the model's work does not stop."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from seedbed.serving import MAX_BODY_BYTES, Application, Facts, Query, app

RELEASE = threading.Event()


def answers(query: Query) -> list[dict[str, object]]:
    if query.rows[0] == ("wait",):
        RELEASE.wait(10)
    if query.rows[0] == ("break",):
        raise RuntimeError("a fault of the model")
    return [{"label": "나", "probability": 0.75, "text": text} for (text,) in query.rows]


@contextmanager
def serving() -> Iterator[int]:
    application = Application(answers, Facts("toy", ("가", "나"), (1, 2)))
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, lifespan="off", ws="none", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        RELEASE.set()
        server.should_exit = True
        thread.join(10)
        application.close()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as port:
        yield port


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    value = json.loads(response.read())
    connection.close()
    return response, value


def test_answers_come_back_in_order(port):
    response, value = ask(port, "POST", "/predict", json.dumps({"texts": ["한국어", "b"]}).encode())
    assert response.status == 200 and response.headers["content-type"] == "application/json; charset=utf-8"
    assert value["model"] == "toy" and value["seeds"] == [1, 2]
    assert [one["text"] for one in value["predictions"]] == ["한국어", "b"]
    assert value["predictions"][0] == {"label": "나", "probability": 0.75, "text": "한국어"}


def test_health_answers_while_the_model_works(port):
    RELEASE.clear()
    waiting = threading.Thread(target=ask, args=(port, "POST", "/predict", b'{"texts": ["wait"]}'))
    waiting.start()
    time.sleep(0.2)
    response, value = ask(port, "GET", "/health")
    assert response.status == 200 and value == {
        "status": "ok", "model": "toy", "seeds": [1, 2], "labels": ["가", "나"], "asks": "texts",
    }  # fmt: skip
    assert waiting.is_alive()
    RELEASE.set()
    waiting.join(10)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/predict", b"", {}, 400),
        ("POST", "/predict", b"x" * 1_000_000, {}, 413),
        ("POST", "/predict", b"\xff\xfe", {}, 400),
        ("POST", "/predict", b'{"texts": 3}', {}, 400),
        ("POST", "/predict", b'{"\\ud800": 1}', {}, 400),
        ("POST", "/predict", b'{"pairs": [["a", "b"]]}', {}, 400),
        ("POST", "/predict", b'{"texts": ["a"]}', {"Content-Type": "text/plain"}, 415),
        ("GET", "/predict", None, {}, 405),
        ("POST", "/health", b"{}", {}, 405),
        ("GET", "/", None, {}, 404),
        ("GET", "/../etc/passwd", None, {}, 404),
    ],
)
def test_a_bad_request_gets_its_status_and_one_line(port, method, path, body, headers, status):
    response, value = ask(port, method, path, body, headers)
    assert response.status == status
    assert list(value) == ["error"] and "\n" not in value["error"]
    if status == 405:
        assert response.headers["allow"] in ("GET", "POST")
    # and the next one is answered
    assert ask(port, "GET", "/health")[0].status == 200


def test_a_body_that_does_not_say_its_length_is_cut_off(port):
    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 4096 + 2):
            yield b" " * 4096

    response, value = ask(port, "POST", "/predict", pieces())
    assert response.status == 413 and "longer" in value["error"]


def test_a_slow_body_is_given_up(port, monkeypatch):
    monkeypatch.setattr(app, "BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        assert b" 408 " in client.recv(4096).split(b"\r\n")[0]


def test_a_fault_of_the_model_is_a_500_and_the_server_lives(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/predict", b'{"texts": ["break"]}')
    assert connection.getresponse().status == 500
    connection.close()
    assert ask(port, "GET", "/health")[0].status == 200
