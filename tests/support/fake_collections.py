"""A stand-in for Openverse, Wikimedia Commons and the hosts of their pictures, on 127.0.0.1.

Both APIs answer in the shape that their documentation shows, all of them over the proxy of
fake_proxy.py, so that the client asks for the real addresses.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support import fake_proxy

OPENVERSE, COMMONS = "api.openverse.org", "commons.wikimedia.org"
HOSTS = (OPENVERSE, COMMONS, "upload.wikimedia.org", "thumb.wikimedia.org")
Answer = tuple[int, dict[str, str], bytes]


def openverse_work(link: str, **changes) -> dict:
    """Return Openverse's record of a picture; the fields as in its documentation."""
    return {
        "id": f"4bc43a04-ef46-4544-a0c1-{abs(hash(link)) % 16**12:012x}",
        "title": "Tree Bark Photo",
        "indexed_on": "2022-08-27T17:39:48Z",
        "foreign_landing_url": "https://stocksnap.io/photo/XNVBVXO3B7",
        "url": link,
        "creator": "Tim Sullivan",
        "creator_url": "https://www.secretagencygroup.com",
        "license": "cc0",
        "license_version": "1.0",
        "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
        "provider": "stocksnap",
        "source": "stocksnap",
        "category": "photograph",
        "filesize": 896128,
        "filetype": "jpg",
        "tags": [{"accuracy": None, "name": "tree", "unstable__provider": "stocksnap"}],
        "attribution": '"Tree Bark Photo" by Tim Sullivan is marked with CC0 1.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 4016,
        "width": 6016,
        "thumbnail": "https://api.openverse.org/v1/images/4bc43a04/thumb/",
        "detail_url": "https://api.openverse.org/v1/images/4bc43a04/",
        "related_url": "https://api.openverse.org/v1/images/4bc43a04/related/",
        "unstable__sensitivity": [],
    } | changes


def commons_links(name: str) -> tuple[str, str]:
    """Return the links of a file of Commons, whole and scaled."""
    return (
        f"https://upload.wikimedia.org/wikipedia/commons/a/ab/{name}",
        f"https://thumb.wikimedia.org/wikipedia/commons/thumb/a/ab/{name}/1280px-{name}",
    )


def commons_file(name: str, width: int = 2200, mime: str = "image/jpeg", **extmetadata) -> dict:
    """Return Commons' record of a file, formatversion=2; "index" is its place in the results.

    Args:
        name: of the file.
        width: pixels.
        mime: its type.
        extmetadata: fields of it, besides the licence.
    """
    whole, scaled = commons_links(name)
    counted = "?utm_source=commons.wikimedia.org&utm_campaign=imageinfo&utm_content="
    thumb = f"{scaled}{counted}thumbnail" if width > 1280 else f"{whole}{counted}thumbnail_unscaled"
    metadata = {"LicenseShortName": "CC BY-SA 4.0", "Artist": "Jane Doe"} | extmetadata
    metadata = {"LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0"} | metadata
    return {
        "pageid": abs(hash(name)) % 10**8,
        "ns": 6,
        "title": f"File:{name.replace('_', ' ')}",
        "index": 0,
        "imagerepository": "local",
        "imageinfo": [
            {
                "size": 4560989,
                "width": width,
                "height": 3270,
                "thumburl": thumb,
                "thumbwidth": min(width, 1280),
                "thumbheight": 1903,
                "url": f"{whole}{counted}original",
                "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
                "descriptionshorturl": "https://commons.wikimedia.org/w/index.php?curid=1",
                "mime": mime,
                "extmetadata": {
                    key: {"value": value, "source": "commons-desc-page", "hidden": ""}
                    for key, value in metadata.items()
                },
            }
        ],
    }


@dataclass(frozen=True)
class Asked:
    """A request: when it came, of time.monotonic(), what for, and from whom."""

    time: float
    link: str
    agent: str

    @property
    def parameters(self) -> dict[str, str]:
        return {name: one[0] for name, one in parse_qs(urlsplit(self.link).query).items()}


@dataclass
class Collections:
    """What the server answers, and what it was asked.

    works, files: what Openverse and Commons find, whatever for, in order.
    bodies: a link and its content; links that are not in it are answered with 404.
    page_size: results on a page of Commons; Openverse's pages have as many as are asked for.
    endless: every page is the first, and there is always a next one.
    instead: a host or a link, and the answers that it gives before its own.
    slow, silent: hosts and links whose bodies come byte by byte, or which never answer.
    asked: the requests.
    arrived: set with the first one.
    """

    works: list[dict] = field(default_factory=list)
    files: list[dict] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    page_size: int = 50
    endless: bool = False
    instead: dict[str, Iterator[Answer]] = field(default_factory=dict)
    slow: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    asked: list[Asked] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def asked_of(self, host: str) -> list[Asked]:
        return [one for one in self.asked if urlsplit(one.link).hostname == host]

    @property
    def fetched(self) -> list[str]:
        """The pictures that were asked for."""
        return [
            one.link
            for one in self.asked
            if urlsplit(one.link).hostname not in (OPENVERSE, COMMONS)
        ]


class Handler(fake_proxy.Handler):
    server: "FakeCollections"

    def respond(self):
        web, link = self.server.web, self.link
        asked = Asked(time.monotonic(), link, self.headers["User-Agent"])
        web.asked.append(asked)
        web.arrived.set()
        host = urlsplit(link).hostname
        if host in web.silent or link in web.silent:
            web.closing.wait()
        slowly = host in web.slow or link in web.slow
        for name in (host, link):
            if prepared := next(web.instead.get(name, iter(())), None):
                code, headers, body = prepared
                return self.answer(code, body, headers, slowly)
        if link.startswith(f"https://{OPENVERSE}/v1/images/?"):
            return self.answer(200, json.dumps(self.find_works(asked.parameters)).encode())
        if link.startswith(f"https://{COMMONS}/w/api.php?"):
            return self.answer(200, json.dumps(self.find_files(asked.parameters)).encode())
        if link in web.bodies:
            return self.answer(200, web.bodies[link], slowly=slowly)
        return self.answer(404, b"")

    def find_works(self, parameters: dict[str, str]) -> dict:
        web, page, size = self.server.web, int(parameters["page"]), int(parameters["page_size"])
        first = 0 if web.endless else (page - 1) * size
        return {
            "result_count": 10_000 if web.endless else len(web.works),
            "page_count": 1000 if web.endless else -(-len(web.works) // size),
            "page_size": size,
            "page": page,
            "results": web.works[first : first + size],
        }

    def find_files(self, parameters: dict[str, str]) -> dict:
        web, offset = self.server.web, int(parameters.get("gsroffset", "0"))
        first = 0 if web.endless else offset
        found = [
            one | {"index": first + i + 1}
            for i, one in enumerate(web.files[first : first + web.page_size])
        ]
        answer: dict = {"batchcomplete": True}
        if web.endless or first + web.page_size < len(web.files):
            following = {"gsroffset": offset + web.page_size, "continue": "gsroffset||"}
            answer |= {"continue": following}
        if found:
            answer |= {"query": {"pages": found[::-1]}}  # not in the order of the results
        return answer


class FakeCollections(fake_proxy.FakeProxy):
    def __init__(self, web: Collections, certificate: Path, key: Path):
        super().__init__(web, Handler, certificate, key)
