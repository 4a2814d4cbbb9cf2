"""Downloads: HTTP with limits, and what a source of photographs has brought."""

import json
import time
import urllib.request as web
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path

LARGEST_FILE = 30 * 2**20  # bytes
SILENT_SECONDS, FILE_SECONDS = 10, 30  # that a server may say nothing; that a body may take
NOTES = "notes.jsonl"  # beside the files of a delivery: where each one is from


@dataclass
class Delivery:
    """What a source has brought for a query, in a folder, from which it can be read again.

    folder: holds the files and notes of where they are from.
    files: a file for each link that was downloaded, good or bad, in the source's order.
    lost: why, for each link that could not be downloaded.
    origins: what is known of a link: page, title, author, licence, licence_url, provider; of a lost
        one too.
    trouble: why it ended before its time; empty if it did not.
    unreachable: whether the source itself cannot be reached, so that no other query will do better.
    exhausted: whether the source has no more for this query.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    trouble: str = ""
    unreachable: bool = False
    exhausted: bool = False

    def bring(self, link: str, content: bytes, origin: dict[str, str]) -> None:
        """Keep what a link has led to."""
        path = self.folder / f"{len(self.files) + len(self.lost) + 1}"
        path.write_bytes(content)
        self.files[link], self.origins[link] = path, origin
        self._note({"link": link, "origin": origin, "file": path.name})

    def lose(self, link: str, why: str, origin: dict[str, str]) -> None:
        """Note that a link has led to nothing."""
        self.lost[link], self.origins[link] = why, origin
        self._note({"link": link, "origin": origin, "lost": why})

    def _note(self, row: dict[str, object]) -> None:
        with (self.folder / NOTES).open("a", encoding="utf-8") as notes:
            print(json.dumps(row), file=notes)

    @classmethod
    def read(cls, folder: Path) -> "Delivery":
        """Read a delivery, also one that was broken off; what has no note is left out."""
        delivery = cls(folder)
        try:
            lines = (folder / NOTES).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return delivery
        for line in lines:
            try:
                row = json.loads(line)
                if "lost" in row:
                    delivery.lost[row["link"]] = row["lost"]
                else:
                    delivery.files[row["link"]] = folder / row["file"]
                delivery.origins[row["link"]] = row["origin"]
            except (ValueError, TypeError, KeyError):  # half a line, of a process that was killed
                continue
        return delivery


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
