"""HTTP with limits: addresses, sizes, time."""

import time
import urllib.request as web
from http.client import HTTPResponse

LARGEST_FILE = 30 * 2**20  # bytes
SILENT_SECONDS, FILE_SECONDS = 10, 30  # that a server may say nothing; that a body may take


class Bounded(web.BaseHandler):
    """Makes a response's read() end: at so many bytes, and after so many seconds."""

    handler_order = 50  # before those that read the body

    def __init__(self, largest: int = LARGEST_FILE, seconds: float = FILE_SECONDS) -> None:
        self.largest, self.seconds = largest, seconds

    def http_response(self, _request: web.Request, response: HTTPResponse) -> HTTPResponse:
        """Replace read() by one that reads all there is, or raises ValueError."""
        read, end = response.read1, time.monotonic() + self.seconds

        def read_all() -> bytes:
            body = bytearray()
            while part := read(1 << 20):
                body += part
                if len(body) > self.largest or time.monotonic() > end:
                    raise ValueError("too large or too slow")
            return bytes(body)

        response.read = read_all  # type: ignore[method-assign, assignment]
        return response

    https_response = http_response


def make_opener(*handlers: web.BaseHandler) -> web.OpenerDirector:
    """Make an opener for http and https only; file, ftp and data are unknown to it.

    Args:
        handlers: more of them; a `Bounded` among them replaces the usual one.
    """
    opener = web.OpenerDirector()
    for handler in (
        web.ProxyHandler(),
        web.HTTPHandler(),
        web.HTTPSHandler(),
        web.HTTPRedirectHandler(),
        web.HTTPDefaultErrorHandler(),
        web.HTTPErrorProcessor(),
        web.UnknownHandler(),
        *(() if any(isinstance(h, Bounded) for h in handlers) else (Bounded(),)),
        *handlers,
    ):
        opener.add_handler(handler)
    return opener
