"""The page's server in a thread of the tests' own process, and an HTTP client for it."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

TOKEN = "token-of-the-tests"


class Client:
    """HTTP client of a server on this machine; answers are (status, headers, body)."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port = port
        self.cookie = f"colourizer-{port}={token}"

    @classmethod
    def of_address(cls, address: str) -> "Client":
        """Return the client of an address that app.py printed."""
        parts = urlsplit(address)
        assert parts.port
        return cls(parts.port, parse_qs(parts.query)["token"][0])

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Cookie": self.cookie} | (headers or {}))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, content

    def get(self, path: str, **parameters: Any) -> tuple[int, dict[str, str], bytes]:
        return self.request("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def post(self, path: str, content: Any) -> tuple[int, dict[str, str], bytes]:
        return self.request("POST", path, json.dumps(content))

    def upload(self, content: bytes, name: str = "photo.jpg") -> tuple[int, dict[str, Any]]:
        status, _, body = self.request("POST", "/api/photos", content, {"X-Name": quote(name)})
        return status, json.loads(body)


@contextmanager
def serve(store: Any, limits: Any = None) -> Iterator[int]:
    """Serve a store's page on a free port within the context; yield the port."""
    module = pytest.importorskip("colourizer.app.server")
    limits = limits or module.DEFAULT_LIMITS
    server = module.make_server(module.make_app(store, TOKEN, limits), limits)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
