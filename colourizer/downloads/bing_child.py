"""Child process of bing.py: bing_image_downloader's own command behind a filtering urllib opener.

By itself the package follows file:// links, reads bodies of any size for any time, encodes links
twice, takes a page's number for an offset, does not record where a picture is from, and imports
any bing.py in its path. urllib's opener and sys.modules prevent that without changing the package:
all its requests and responses pass through `RequestFilter`.
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
from colourizer.downloads.http import BodyLimits, make_opener

SEARCH_HOST, SEARCH_PATH = "www.bing.com", "/images/async"
# The package sees numbered addresses in place of links, as it would encode encoded links again.
NUMBERED_HOST = "photo.invalid"
EXHAUSTED = 3  # exit code: the search has no more results
RESULTS = 35  # on a page, as Bing's own pages request
MAX_KNOWN_PAGES = 30  # of results in a row, all of them known from earlier runs
RECORD = re.compile(r'\bm="([^"]*)"')  # JSON about each picture that is found
LINK = re.compile(r"murl&quot;:&quot;(.*?)&quot;")  # the package's own expression


def ascii_link(link: str) -> str:
    """Return a link percent-encoded; what is encoded already stays as it is."""
    parts = urlsplit(link)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    path, query = (quote(part, safe="/:@!$&'()*+,;=%?~") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def is_search(request: web.Request) -> bool:
    """Return whether a request is for a page of results."""
    parts = urlsplit(request.full_url)
    return (parts.hostname, parts.path) == (SEARCH_HOST, SEARCH_PATH)


class RequestFilter(web.BaseHandler):
    """An opener that rewrites the package's requests, and records and filters the responses."""

    handler_order = 100  # before those that read a request's host

    def __init__(self, delivery: Delivery, known: set[str], limits: BodyLimits) -> None:
        """Take where pictures go, links that are skipped, and limits on the responses."""
        self.delivery, self.known = delivery, known
        self.links: list[str] = []  # by number
        self.origins: dict[str, dict[str, str]] = {}  # of all results so far, known links included
        self.known_pages = 0
        self.exhausted = False  # the last page repeated earlier ones, or too many were known
        self.opener = make_opener(self, limits)

    def open(self, request: web.Request, data: None = None, timeout: float = 0) -> Any:
        """Open a request of the package; write each picture that it reads, note each failure."""
        response: Any = self.call_and_note_failure(
            request, lambda: self.opener.open(request, data, timeout)
        )
        if link := getattr(request, "link", None):
            read = response.read

            def read_picture() -> bytes:
                body = self.call_and_note_failure(request, read)
                try:
                    self.delivery.add_file(link, body, self.origins[link])
                except OSError as error:  # the package would go on with the next one
                    print(f"OSError: {error.strerror}", flush=True)  # noqa: T201 - to bing.py
                    os._exit(1)
                return body

            response.read = read_picture
        return response

    def call_and_note_failure(self, request: web.Request, ask: Callable[[], Any]) -> Any:
        """Return what a call returns; if it fails, note the picture's link as lost."""
        try:
            return ask()
        except Exception as error:
            if link := getattr(request, "link", None):
                why = " ".join(str(error).split()) or type(error).__name__
                self.delivery.add_lost(link, why, self.origins[link])
            raise

    def http_request(self, request: web.Request) -> web.Request:
        """Point a request to the next page of results, or to the link of a number."""
        parts = urlsplit(request.full_url)
        wanted: Any = request
        if parts.netloc == NUMBERED_HOST:
            wanted.link = self.links[int(Path(parts.path).stem)]
            wanted.full_url = ascii_link(wanted.link)
        elif is_search(request):
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            query["first"] = str(len(self.origins))
            query["count"] = str(RESULTS)  # the package requests as few as it still needs
            wanted.full_url = urlunsplit(parts._replace(query=urlencode(query)))
        return request

    def http_response(self, request: web.Request, response: Any) -> Any:
        """Skip pages of results on which all links are known, and number the links of others."""
        if not is_search(request) or response.status != 200:
            return response
        before = len(self.origins)
        page = self.number_links(response.read().decode("utf-8", "replace"))
        self.exhausted = len(self.origins) == before
        if LINK.search(page):
            self.known_pages = 0
        elif self.known_pages == MAX_KNOWN_PAGES:
            self.exhausted = True
        elif not self.exhausted:
            self.known_pages += 1
            again = web.Request(request.full_url, headers=dict(request.headers))
            with self.opener.open(again, timeout=request.timeout) as answer:  # type: ignore
                page = answer.read().decode()
        response.read = page.encode
        return response

    https_request, https_response = http_request, http_response

    def number_links(self, page: str) -> str:
        """Return a page with numbered addresses for new links and none for known ones."""
        records = {}
        for text in RECORD.findall(page):
            try:
                record = json.loads(html.unescape(text))
                records[record["murl"]] = record
            except (ValueError, TypeError, KeyError):  # of another element
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
    """Block until the parent, which holds stdin open, is gone; then end this process."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def main() -> None:
    """Run the package; arguments: folder, known links' file, bytes, seconds, then its options."""
    folder, known, largest, seconds = (sys.argv.pop(1) for _ in range(4))
    threading.Thread(target=end_with_parent, daemon=True).start()
    links = set(json.loads(Path(known).read_text("utf-8")))
    request_filter = RequestFilter(
        Delivery.read(Path(folder)), links, BodyLimits(int(largest), float(seconds))
    )
    opener: Any = request_filter
    web.install_opener(opener)
    sys.modules["bing"] = None  # type: ignore[assignment]
    from bing_image_downloader.__main__ import main as package_main

    package_main()
    sys.exit(EXHAUSTED if request_filter.exhausted else 0)


if __name__ == "__main__":
    main()
