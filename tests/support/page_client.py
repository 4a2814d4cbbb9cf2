"""The page's server in a thread of the tests' own process, and an HTTP client for it."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest


class Client:
    """HTTP client of a server on this machine; answers are (status, headers, body)."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers or {})
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
def serve(app: Any) -> Iterator[int]:
    """Serve an ASGI application on a free port within the context; yield the port."""
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", server_header=False))
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)
