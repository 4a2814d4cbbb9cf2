"""Requests made by Hypothesis: no address of the server answers 500, hangs or grows."""

import contextlib
import io
import json
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from PIL import Image
from support.page_client import TOKEN, Client, serve
from support.scenes import scene

pytest.importorskip("uvicorn")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from colourizer.app.handlers import ServerLimits
from colourizer.app.photo_store import PhotoStore
from colourizer.app.senders import SenderLimits
from colourizer.inference.colourizer import Colourizer

SAME_EACH_TIME: dict[str, Any] = {"derandomize": True, "deadline": None, "database": None}
MEMORY_MB = 400  # by which the process may grow
HEAD_SECONDS = 0.1

any_text = st.text(st.characters() | st.sampled_from("\ud800\udfff\0;,\u202e"), max_size=40)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 1, 2**63])
scalars = st.none() | st.booleans() | numbers | any_text
nested = st.recursive(
    scalars, lambda some: st.lists(some, max_size=4) | st.dictionaries(any_text, some, max_size=4)
)
keys = st.sampled_from(["KEY", "gone", "", "..", "%00", "\ud800", "a" * 70])
hints = st.sampled_from(
    ["1,1,ff0000", "1,1,ff0000;" * 101, "99999,1,ff0000", ";;;", "1,1", "-1,1,0"]
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("KEY") | keys | nested,
        "vividness": nested | st.sampled_from(["0.5", "nan", "1e999"]),
        "warmth": nested | st.sampled_from(["-0.5", "inf"]),
        "saturation": nested | st.sampled_from(["1.5", "-0"]),
        "variant": nested | st.sampled_from(["3", "\u0663", "9" * 5000]),
        "hints": hints | any_text | nested,
        "reference": keys | nested,
        "format": st.sampled_from(["png", "exe", ""]) | any_text,
        "keep_luma": scalars,
        "side": scalars,
    },
)
wish = st.builds(lambda fields: {"id": "KEY"} | fields, wishes)
depths = st.sampled_from([10, 900, 990, 100_000])
bodies = (
    st.binary(max_size=60)
    | nested.map(json.dumps).map(str.encode)
    | st.lists(wish | keys, max_size=3).map(json.dumps).map(str.encode)
    | st.tuples(st.sampled_from(["[", '[{"id":', '{"a":']), depths).map(
        lambda made: (made[0] * made[1]).encode()
    )
    | depths.map(lambda n: b'[{"hints":' + b"[" * n + b"]" * n + b"}]")
)
paths = st.one_of(
    st.sampled_from(
        [
            "/",
            "/api/photos",
            "/api/zip",
            "/api/keep",
            "/api/forget",
            "/api/references",
            "/api/photos/",
        ]
    ),
    st.builds(
        "/api/photos/{}/{}".format,
        keys,
        st.sampled_from(["before", "coloured", "confidence", "download", "", "x"]) | any_text,
    ),
    any_text.map("/{}".format),
)


def encoded(file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    scene(1, 24, 20).save(file, file_format, **options)
    return file.getvalue()


PICTURES = [
    encoded("PNG"),
    encoded("JPEG"),
    encoded("JPEG", progressive=True),
    encoded("TIFF"),
    encoded("TIFF", compression="tiff_lzw"),
    encoded("WEBP"),
    encoded("GIF"),
    encoded("BMP"),
]


@pytest.fixture(scope="module")
def client(checkpoint_file) -> Iterator[Client]:
    limits = ServerLimits(SenderLimits(head_seconds=HEAD_SECONDS, body_seconds=HEAD_SECONDS))
    with serve(PhotoStore(Colourizer.load(checkpoint_file, "cpu")), limits) as port:
        yield Client(port)


@pytest.fixture
def key(client) -> str:
    return client.upload(PICTURES[0])[1]["id"]


@pytest.fixture(autouse=True)
def _quiet_and_small(client, capfd, caplog) -> Iterator[None]:
    """Nothing is printed, the process does not grow, and the page is still there."""
    caplog.set_level(logging.WARNING)
    before = resident_megabytes()
    yield
    assert client.get("/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err + caplog.text
    assert "error" not in caplog.text.lower()
    assert resident_megabytes() - before < MEMORY_MB


def resident_megabytes() -> float:
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def check(status: int, headers: dict[str, str], content: bytes, method: str = "GET") -> None:
    """Check that an answer is no 500, and has words if it is no success."""
    assert status < 500, content
    if status >= 400 and method != "HEAD":
        assert json.loads(content)["error"]
    assert "x-content-type-options" in headers


def test_every_address_answers_whatever_is_asked(client, key, capfd):
    @settings(max_examples=250, **SAME_EACH_TIME)
    @given(
        st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "X"]),
        paths,
        wishes,
        bodies,
        st.dictionaries(
            st.sampled_from(["X-Name", "Range", "Expect", "Upgrade", "Content-Type", "Cookie"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
            max_size=2,
        ),
    )
    def ask(method: str, path: str, query: Any, body: bytes, headers: dict[str, str]) -> None:
        place = quote(path.replace("KEY", key).encode(errors="surrogatepass"))
        fields = {"token": TOKEN, **query}
        texts = {name: str(value)[:4000].encode(errors="replace") for name, value in fields.items()}
        body = body.replace(b"KEY", key.encode())
        address = f"{place}?{urlencode(texts)}"
        status, answer_headers, content = client.request(method, address, body, headers)
        check(status, answer_headers, content, method)

    ask()
    assert capfd.readouterr().err == ""


def test_every_list_in_json_is_answered(client, key, capfd):
    @settings(max_examples=200, **SAME_EACH_TIME)
    @given(st.sampled_from(["/api/zip", "/api/keep", "/api/forget"]), bodies)
    def ask(path: str, body: bytes) -> None:
        check(*client.request("POST", path, body.replace(b"KEY", key.encode())))

    ask()
    assert capfd.readouterr().err == ""


def test_every_damaged_file_is_coloured_or_refused(client):
    @settings(max_examples=150, **SAME_EACH_TIME)
    @given(
        st.sampled_from(PICTURES),
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
        st.integers(0, 3000),
        any_text,
    )
    def upload(content: bytes, changes: list[tuple[int, int]], end: int, name: str) -> None:
        damaged = bytearray(content)
        for place, value in changes:
            damaged[place % len(damaged)] = value
        headers = {"X-Name": quote(name.encode(errors="surrogatepass"))}
        body = bytes(damaged[:end]) if end % 2 else bytes(damaged)
        answer = client.request("POST", "/api/photos", body, headers)
        check(*answer)
        if answer[0] == 200:
            for what in ("before", "coloured", "download"):
                check(*client.get(f"/api/photos/{json.loads(answer[2])['id']}/{what}"))

    upload()


def test_what_is_no_http_is_answered_or_the_connection_closed(client, capfd):
    head = f"POST /api/keep HTTP/1.1\r\nHost: localhost\r\nCookie: colourizer-1={TOKEN}\r\n"
    starts = [
        f"{head}Content-Length: 2\r\n\r\n[]".encode(),
        f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n".encode(),
        f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n[]".encode(),
        f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n".encode(),
        b"GET / HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]

    @settings(max_examples=120, **SAME_EACH_TIME)
    @given(
        st.lists(st.sampled_from(starts), min_size=1, max_size=3),
        st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20), st.binary(max_size=20))),
    )
    def send(parts: list[bytes], splices: list[tuple[int, int, bytes]]) -> None:
        sent = b"".join(parts)
        for place, length, instead in splices[:3]:
            sent = sent[:place] + instead + sent[place + length :]
        with socket.create_connection(("127.0.0.1", client.port), 20) as connection:
            answer = b""
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(1 << 16):
                    answer += part
        assert b"HTTP/1.1 5" not in answer

    send()
    assert capfd.readouterr().err == ""


def test_pictures_of_odd_sizes_are_coloured_or_refused(client):
    @settings(max_examples=25, **SAME_EACH_TIME)
    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["1", "L", "LA", "P", "RGB"]))
    def upload(width: int, height: int, mode: str) -> None:
        file = io.BytesIO()
        Image.new(mode, (width, height)).save(file, "PNG")
        check(*client.request("POST", "/api/photos", file.getvalue()))

    upload()
