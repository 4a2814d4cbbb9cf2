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

import fake_proxy

SEARCH_HOST = "www.bing.com"


@dataclass
class Web:
    """What the server answers, and what it was asked.

    bodies: a link and its content; links that are not in it are answered with 404.
    listed: the links of the result page, in order; None lists all bodies.
    search: "ok", "error 500", "error 500 from the second page on", "silent" (never answers) or
        "captcha" (a page without pictures).
    slow: links whose bodies come byte by byte.
    searches, fetched: the queries and the links that it was asked for; asked: whether it was yet.
    """

    bodies: dict[str, bytes] = field(default_factory=dict)
    listed: list[str] | None = None
    search: str = "ok"
    slow: frozenset[str] = frozenset()
    searches: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    fetched: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class Handler(fake_proxy.Handler):
    server: "FakeBing"

    def respond(self):
        web, url = self.server.web, urlsplit(self.path)
        if url.path == "/images/async":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            web.searches.append(query["q"])
            web.asked.set()
            self.answer_search(int(query["first"]))
        elif self.path in web.bodies:
            web.fetched.append(self.path)
            self.answer(200, web.bodies[self.path], slowly=self.path in web.slow)
        else:
            self.answer(404, b"")

    def answer_search(self, first: int):
        web = self.server.web
        if web.search == "silent":
            web.closing.wait()
        if web.search == "error 500" or (first and web.search.startswith("error 500 from")):
            return self.answer(500, b"oops")
        links = list(web.bodies) if web.listed is None else web.listed
        if web.search == "captcha":
            links = []
        found = [
            json.dumps({"murl": link, "t": "a title"}, separators=(",", ":")) for link in links
        ]
        page = "".join(f'<a class="iusc" m="{html.escape(one)}"></a>' for one in found[first:])
        return self.answer(200, f"<ul>{page}</ul>".encode())


class FakeBing(fake_proxy.FakeProxy):
    def __init__(self, web: Web, certificate: Path, key: Path):
        super().__init__(web, Handler, certificate, key)
