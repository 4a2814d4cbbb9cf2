"""A child process of bing_search.py: bing_image_downloader's own command, fenced in from outside.

By itself the package follows file:// links, reads bodies of any size for any time, encodes links
twice, takes a page's number for an offset, forgets where a picture is from, and imports a
stranger's bing.py if it finds one. urllib's opener and sys.modules keep it from that without
changing it: all that it asks for, and all that it is answered, passes through `Fence`.
"""

import html
import json
import os
import re
import sys
import threading
import urllib.request as web
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from colourizer.downloads.delivery import Delivery
from colourizer.downloads.http import Bounded, make_opener

SEARCH_HOST, SEARCH_PATH = "www.bing.com", "/images/async"
# The package is given numbers in the links' place, for it encodes what is encoded already.
NUMBERED_HOST = "photo.invalid"
EXHAUSTED = 3  # the exit code that says that the search has no more results
RESULTS = 35  # on a page, as Bing's own pages ask for
MOST_KNOWN_PAGES = 30  # of results, in a row, on which all is known from earlier runs
RECORD = re.compile(r'\bm="([^"]*)"')  # JSON about each picture that is found
LINK = re.compile(r"murl&quot;:&quot;(.*?)&quot;")  # the package's own expression


def ascii_link(link: str) -> str:
    """Encode what a link may not hold as it is, and nothing twice."""
    parts = urlsplit(link)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    path, query = (quote(part, safe="/:@!$&'()*+,;=%?~") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def is_search(request: web.Request) -> bool:
    """Say whether a page of results is asked for."""
    parts = urlsplit(request.full_url)
    return (parts.hostname, parts.path) == (SEARCH_HOST, SEARCH_PATH)


class Fence(web.BaseHandler):
    """An opener that looks through what the package asks for and what it is answered."""

    handler_order = 100  # before those that look at a request's host

    def __init__(self, delivery: Delivery, known: set[str], bounds: Bounded) -> None:
        """Take where pictures go, and the links that are passed over."""
        self.delivery, self.known = delivery, known
        self.links: list[str] = []  # by number
        self.origins: dict[str, dict[str, str]] = {}  # of all results so far, known ones too
        self.known_pages = 0
        self.exhausted = False  # whether the last page showed nothing new, or too many did
        self.opener = make_opener(self, bounds)

    def open(self, request: web.Request, data: None = None, timeout: float = 0) -> Any:
        """Open what the package asks for; keep each picture that it reads, note each that fails."""
        response: Any = self.watched(request, lambda: self.opener.open(request, data, timeout))
        if link := getattr(request, "link", None):
            read = response.read

            def read_picture() -> bytes:
                body = self.watched(request, read)
                try:
                    self.delivery.bring(link, body, self.origins[link])
                except OSError as error:  # the package would go on with the next one
                    print(f"OSError: {error.strerror}", flush=True)
                    os._exit(1)
                return body

            response.read = read_picture
        return response

    def watched(self, request: web.Request, ask: Callable[[], Any]) -> Any:
        """Note why a picture cannot be had, if it cannot."""
        try:
            return ask()
        except Exception as error:
            if link := getattr(request, "link", None):
                why = " ".join(str(error).split()) or type(error).__name__
                self.delivery.lose(link, why, self.origins[link])
            raise

    def http_request(self, request: web.Request) -> web.Request:
        """Put the page that comes next, or the link of a number, into a request."""
        parts = urlsplit(request.full_url)
        wanted: Any = request
        if parts.netloc == NUMBERED_HOST:
            wanted.link = self.links[int(Path(parts.path).stem)]
            wanted.full_url = ascii_link(wanted.link)
        elif is_search(request):
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            query["first"] = str(len(self.origins))
            query["count"] = str(RESULTS)  # of as few as are missing it would take many pages
            wanted.full_url = urlunsplit(parts._replace(query=urlencode(query)))
        return request

    def http_response(self, request: web.Request, response: Any) -> Any:
        """Of pages of results pass on the first with something new."""
        if not is_search(request) or response.status != 200:
            return response
        before = len(self.origins)
        page = self.number(response.read().decode("utf-8", "replace"))
        self.exhausted = len(self.origins) == before
        if LINK.search(page):
            self.known_pages = 0
        elif self.known_pages == MOST_KNOWN_PAGES:
            self.exhausted = True
        elif not self.exhausted:
            self.known_pages += 1
            again = web.Request(request.full_url, headers=dict(request.headers))
            with self.opener.open(again, timeout=request.timeout) as answer:  # type: ignore
                page = answer.read().decode()
        response.read = page.encode
        return response

    https_request, https_response = http_request, http_response

    def number(self, page: str) -> str:
        """Note a page's pictures; put numbers in the place of their links, drop those known."""
        records = {}
        for text in RECORD.findall(page):
            try:
                record = json.loads(html.unescape(text))
                records[record["murl"]] = record
            except (ValueError, TypeError, KeyError):  # another element's
                continue

        def numbered(match: re.Match[str]) -> str:
            link = html.unescape(match[1])
            try:
                link = json.loads(f'"{link}"')  # it may hold \u0026 and the like
            except ValueError:
                return ""
            if link in self.origins:
                return ""
            record = records.get(link, {})
            named = {"page": record.get("purl"), "title": record.get("t")}
            self.origins[link] = {name: value for name, value in named.items() if value}
            if link in self.known:
                return ""
            self.links.append(link)
            return match[0].replace(match[1], f"http://{NUMBERED_HOST}/{len(self.links) - 1}.jpg")

        return LINK.sub(numbered, page)


def end_with_parent() -> None:
    """End this process when the one that started it is gone; it holds stdin open."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def main() -> None:
    """Take folder, file of known links, bytes and seconds of a file; then the package's options."""
    folder, known, largest, seconds = (sys.argv.pop(1) for _ in range(4))
    threading.Thread(target=end_with_parent, daemon=True).start()
    links = set(json.loads(Path(known).read_text("utf-8")))
    fence = Fence(Delivery.read(Path(folder)), links, Bounded(int(largest), float(seconds)))
    opener: Any = fence
    web.install_opener(opener)
    sys.modules["bing"] = None  # type: ignore[assignment]
    from bing_image_downloader.__main__ import main as package_main

    package_main()
    sys.exit(EXHAUSTED if fence.exhausted else 0)


if __name__ == "__main__":
    main()
