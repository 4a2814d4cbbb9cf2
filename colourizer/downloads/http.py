"""HTTP clients with limits: http and https only, body size, time."""

import time
import urllib.request as web
from http.client import HTTPResponse

LARGEST_FILE = 30 * 2**20  # bytes
SILENT_SECONDS, FILE_SECONDS = 10, 30  # socket timeout; the most that reading a body may take


class BodyLimits(web.BaseHandler):
    """urllib handler that limits a response's size and the time that reading it takes."""

    handler_order = 50  # before those that read the body

    def __init__(self, largest: int = LARGEST_FILE, seconds: float = FILE_SECONDS) -> None:
        self.largest, self.seconds = largest, seconds

    def http_response(self, _request: web.Request, response: HTTPResponse) -> HTTPResponse:
        """Replace the response's read() by one that raises ValueError beyond the limits."""
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
    """Return an opener for http and https only; it opens no file, ftp and data addresses.

    Args:
        handlers: more handlers; a `BodyLimits` among them replaces the default one.
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
        *(() if any(isinstance(h, BodyLimits) for h in handlers) else (BodyLimits(),)),
        *handlers,
    ):
        opener.add_handler(handler)
    return opener
