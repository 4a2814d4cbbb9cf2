"""senders.py: who sends or reads too slowly is given up, and the page is answered meanwhile."""

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from support.page_client import Client, serve
from support.scenes import SAMPLES, scene

pytest.importorskip("uvicorn")

from colourizer.app.handlers import ServerLimits
from colourizer.app.photo_store import PhotoStore
from colourizer.app.senders import STEP_BYTES, SenderLimits
from colourizer.inference.colourizer import Colourizer

NEVER = 600.0  # seconds: longer than any test


def limits(**changed: Any) -> ServerLimits:
    """Limits of which only the changed ones can be reached within a test."""
    never: dict[str, Any] = {"head_seconds": NEVER, "body_seconds": NEVER, "read_seconds": NEVER}
    return ServerLimits(SenderLimits(**never | {"patience_seconds": NEVER} | changed))


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(checkpoint_file, "cpu")


@contextmanager
def raw(port: int, *sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        for part in sent:
            connection.sendall(part)
        yield connection


def head(client: Client, length: int, path: str = "/api/photos") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Cookie: {client.cookie}")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes the connection."""
    content = b""
    try:
        while part := connection.recv(1 << 16):
            content += part
    except ConnectionResetError:
        pass
    return content


def png() -> bytes:
    file = io.BytesIO()
    scene(1).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 408 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b", b"HTTP/1.1 408 "),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT", b"HTTP/1.1 403 "),  # the second one
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 403 "),
    ],
)
def test_a_head_that_does_not_come_is_given_up(colourizer, sent, answer):
    with (
        serve(PhotoStore(colourizer), limits(head_seconds=0.2)) as port,
        raw(port, sent) as slow,
    ):
        assert read_all(slow).startswith(answer)


def test_a_head_that_trickles_in_is_given_up(colourizer):
    with (
        serve(PhotoStore(colourizer), limits(head_seconds=0.2)) as port,
        raw(port, b"GET / HTTP/1.1\r\n") as slow,
        pytest.raises(OSError),
    ):
        for _ in range(2000):
            slow.sendall(b"X-A: b\r\n" if _ % 2 else b"X-B: c\r\n")
            time.sleep(0.01)


@pytest.mark.parametrize("path", ["/api/photos", "/api/zip", "/api/keep", "/api/forget"])
def test_a_body_that_does_not_come_is_answered_in_words(colourizer, path):
    short = limits(body_seconds=0.2, head_seconds=0.2)  # afterwards the connection is closed
    with serve(PhotoStore(colourizer), short) as port:
        client = Client(port)
        with raw(port, head(client, 1000, path), b"a part of it") as slow:
            answer = read_all(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come in time" in answer


def test_a_body_that_trickles_in_is_given_up_and_a_slow_one_that_goes_on_is_not(colourizer):
    with serve(PhotoStore(colourizer), limits(body_seconds=0.5)) as port:
        client = Client(port)
        begun = time.monotonic()
        with raw(port, head(client, 10 * STEP_BYTES)) as steady:
            for _ in range(10):
                steady.sendall(bytes(STEP_BYTES))
                time.sleep(0.1)
            assert steady.recv(1 << 16).startswith(b"HTTP/1.1 422 ")  # zeros are no photograph
            assert time.monotonic() - begun > 0.9
        with raw(port, head(client, 10_000_000)) as trickle:
            trickle.settimeout(0.01)
            for _ in range(2000):
                trickle.sendall(b"x")
                try:
                    assert trickle.recv(1 << 16).startswith(b"HTTP/1.1 408 ")
                    break
                except TimeoutError:
                    pass
            else:
                pytest.fail("it was not given up")


def test_70_unfinished_uploads_and_200_half_heads_keep_nobody_from_the_page(colourizer):
    photo = (SAMPLES / "coffee.jpg").read_bytes()
    with (
        serve(PhotoStore(colourizer), limits(patience_seconds=0)) as port,
        ExitStack() as all_,
    ):
        client = Client(port)
        key = client.upload(png())[1]["id"]
        for _ in range(70):
            all_.enter_context(raw(port, head(client, len(photo)), photo[:1000]))
        for _ in range(200):
            all_.enter_context(raw(port, b"GET / HTTP/1.1\r\nHost: local"))
        for what in ("before", "coloured", "confidence", "download"):
            assert client.get(f"/api/photos/{key}/{what}")[0] == 200
        assert client.get("/")[0] == 200
        assert client.upload(photo)[0] == 200


def test_the_slowest_upload_gives_way_and_those_that_are_quick_enough_do_not(colourizer):
    with serve(PhotoStore(colourizer), limits(bodies=2)) as port, ExitStack() as all_:
        client = Client(port)
        for _ in range(2):
            all_.enter_context(raw(port, head(client, 10), b"1"))
        until = time.monotonic() + 10
        while client.upload(png())[0] != 503:  # the two may not be there yet
            assert time.monotonic() < until
    with serve(PhotoStore(colourizer), limits(bodies=2, patience_seconds=0)) as port:
        client = Client(port)
        with (
            raw(port, head(client, 10), b"1") as slowest,
            raw(port, head(client, 10), b"1") as other,
        ):
            time.sleep(0.2)
            assert client.upload(png())[0] == 200
            other.sendall(b"234567890")
            answers = sorted(connection.recv(1 << 16) for connection in (slowest, other))
    assert [answer[9:12] for answer in answers] == [b"408", b"422"]


def test_the_connection_that_waited_longest_gives_way(colourizer):
    with serve(PhotoStore(colourizer), limits(waited_for=3)) as port, ExitStack() as all_:
        half = [all_.enter_context(raw(port, b"GET / HTTP/1.1\r\n")) for _ in range(4)]
        assert read_all(half[0]) == b""
        half[3].sendall(b"Host: localhost\r\n\r\n")
        assert half[3].recv(100).startswith(b"HTTP/1.1 403 ")


def test_an_answer_that_nobody_reads_is_given_up(colourizer):
    with serve(PhotoStore(colourizer), limits(read_seconds=0.2)) as port:
        client = Client(port)
        ask = f"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {client.cookie}\r\n\r\n".encode()
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(20)
            reader.connect(("127.0.0.1", port))
            with pytest.raises(ConnectionError):  # while it asks and asks
                for _ in range(100_000):
                    reader.sendall(ask)


def test_what_is_no_http_after_an_answer_ends_quietly(colourizer, capfd, caplog):
    with serve(PhotoStore(colourizer)) as port:
        chunked = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        with raw(port, chunked) as odd:
            answer = odd.recv(1 << 16)
            odd.sendall(b"no length\r\n\r\n")
            answer += read_all(odd)
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert answer.count(b"HTTP/1.1") == 1
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 403
        connection.close()
    assert capfd.readouterr().err == ""
    assert caplog.records == []
