"""A stand-in for Bing and for the hosts of the pictures that it finds, on 127.0.0.1.

It is an HTTP proxy. Searches go to it as HTTPS, with a certificate that the client is told to
trust; pictures as plain HTTP. A result page lists the server's links, with the markup that
bing_image_downloader looks for; a picture is whatever bytes the server was given for its link.
"""

import html
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support import fake_proxy

SEARCH_HOST = "www.bing.com"
PAGE = 35  # results on a page, as at Bing
MEGABYTE = bytes(1 << 20)


@dataclass
class Web:
    """What the server answers, and what it was asked.

    bodies: a link and its content; links that are not in it are answered with 404.
    listed: the links of the result pages, in order; None lists all bodies.
    listed_for: other links, for some queries.
    search: "ok", "error 500", "error 500 from the second page on", "silent" (never answers),
        "captcha" (a page without pictures), "empty", "latin 1" (no UTF-8), "endless" (the same page
        again and again) or "cut short" (half of what its header announces).
    faults: links, and how they are answered instead: an error's number, "slow" (byte by byte),
        "silent", "endless" (never stops sending), "short" (less than its header announces), "loop"
        (redirects to itself), or a link that they redirect to.
    searches, fetched: the queries and the links that it was asked for.
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    listed: list[str] | None = None
    listed_for: dict[str, list[str]] = field(default_factory=dict)
    search: str = "ok"
    faults: dict[str, int | str] = field(default_factory=dict)
    searches: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class Handler(fake_proxy.Handler):
    server: "FakeBing"

    def respond(self):
        web, url = self.server.web, urlsplit(self.path)
        if url.path == "/images/async":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            web.searches.append(query["q"])
            self.answer_search(query["q"], int(query["first"]), int(query["count"]))
        elif (fault := web.faults.get(self.path)) is not None:
            web.fetched.append(self.path)
            self.fail(fault, web.bodies.get(self.path, b""))
        elif self.path in web.bodies:
            web.fetched.append(self.path)
            self.answer(200, web.bodies[self.path])
        else:
            self.answer(404, b"")

    def fail(self, fault: int | str, body: bytes):
        if isinstance(fault, int):
            return self.answer(fault, b"later")
        if fault == "silent":
            self.server.web.closing.wait()
        elif fault == "endless":
            self.send_response(200)
            self.end_headers()
            while not self.server.web.closing.is_set():
                self.wfile.write(MEGABYTE)
        elif fault == "slow":
            self.answer(200, body, slowly=True)
        elif fault == "short":
            self.start(200, len(body))
            self.wfile.write(body[: len(body) // 2])
        else:
            self.send_response(302)
            self.send_header("Location", self.path if fault == "loop" else fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = True
        return None

    def answer_search(self, query: str, first: int, count: int):
        web = self.server.web
        if web.search == "silent":
            web.closing.wait()
        if web.search == "error 500" or (first and web.search.startswith("error 500 from")):
            return self.answer(500, b"oops")
        if web.search == "empty":
            return self.answer(200, b"")
        links = list(web.bodies) if web.listed is None else web.listed
        links = web.listed_for.get(query, links)
        if web.search == "captcha":
            links = []
        if web.search == "endless":
            first = 0
        page = "".join(
            f'<li><a class="iusc" m="{html.escape(self.record(link))}" href="#"></a></li>'
            for link in links[first : first + min(count, PAGE)]
        )
        body = f"<ul>{page}</ul>".encode()
        if web.search == "latin 1":
            body = b"\xff\xfe" + body
        if web.search == "cut short":
            self.start(200, 2 * len(body))
            return self.wfile.write(body)
        return self.answer(200, body)

    def record(self, link: str) -> str:
        """Describe a picture as Bing does."""
        about = {"purl": f"https://pages.test/{Path(link).name}", "murl": link, "t": "A title"}
        return json.dumps(about, separators=(",", ":"), ensure_ascii=False)


class FakeBing(fake_proxy.FakeProxy):
    def __init__(self, web: Web, certificate: Path, key: Path):
        super().__init__(web, Handler, certificate, key)
