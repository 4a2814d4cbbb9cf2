"""A stand-in for S3 on this machine: moto's server, which can be slow, busy or broken at times."""

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"
FAULTS = {
    "slow down": ("503 Slow Down", ERROR.format("SlowDown", "Please reduce your request rate.")),
    "denied": ("403 Forbidden", ERROR.format("InvalidAccessKeyId", "No such key id.")),
    "expired": ("400 Bad Request", ERROR.format("ExpiredToken", "The token has expired.")),
    "bad request": ("400 Bad Request", ERROR.format("InvalidRequest", "The object is encrypted.")),
    "internal": ("500 Internal Server Error", ERROR.format("InternalError", "Try again.")),
}
ACCESS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class FaultyStore:
    """A WSGI application before another one, that fails at times as an object store does.

    Attributes:
        rates: how often each fault happens, in [0, 1]; besides FAULTS "cut", an answer that ends
            too early.
        refuses: whether a request's method and path, as /bucket/key, is denied, or has the fault
            of this name.
        delay: seconds before each answer.
        counts: of the requests, by method, and of the faults.
    """

    refuses: Callable[[str, str], bool | str] = staticmethod(lambda method, path: False)

    def __init__(self, application: Any) -> None:
        self.rates: dict[str, float] = {}
        self.delay = 0.0
        self.counts: Counter[str] = Counter()
        self._application, self._random = application, random.Random(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        self.counts[environ["REQUEST_METHOD"]] += 1
        time.sleep(self.delay)
        refused = self.refuses(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        certain = "denied" if refused is True else refused
        for name, (status, body) in FAULTS.items():
            rate = 1 if name == certain else self.rates.get(name, 0)
            if self._random.random() < rate:
                self.counts[name] += 1
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response(status, [("Content-Type", "application/xml")])
                return [body.encode() if environ["REQUEST_METHOD"] != "HEAD" else b""]
        body = self._application(environ, start_response)
        if environ["REQUEST_METHOD"] == "GET" and self._random.random() < self.rates.get("cut", 0):
            self.counts["cut"] += 1
            content = b"".join(body)
            return [content[: len(content) // 2]]
        return body


@contextmanager
def s3_server() -> Iterator[tuple[FaultyStore, str]]:
    """Yield the store and its address; the environment leads to it within the context."""
    from moto.moto_server.threaded_moto_server import MotoRequestHandler
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: object) -> None:
            pass

    store = FaultyStore(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.port}"
    given = ACCESS | {"AWS_ENDPOINT_URL": address}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    # What another server of this process was given is still there.
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    try:
        yield store, address
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        server.shutdown()
        thread.join()


@contextmanager
def s3_buckets() -> Iterator[tuple[FaultyStore, Any]]:
    """Yield the store, with the buckets scans and colour, and the s3fs that leads to it."""
    from s3fs import S3FileSystem

    from colourizer.storage import connection

    with s3_server() as (store, _):
        connection._open.cache_clear()
        S3FileSystem.clear_instance_cache()  # one of this process led to another server
        storage, _ = connection.open_storage(connection.Address("s3://", "scans"))
        storage.mkdir("scans")
        storage.mkdir("colour")
        yield store, storage
    connection._open.cache_clear()


def main() -> None:
    """Serve until standard input is closed; print the address."""
    with s3_server() as (_, address):
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
