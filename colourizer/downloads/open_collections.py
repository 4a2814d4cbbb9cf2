"""Photographs with licences, from Openverse and Wikimedia Commons."""

import html
import json
import platform
import re
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit, urlunsplit
from urllib.request import Request

from colourizer.downloads.delivery import Delivery
from colourizer.downloads.http import (
    FILE_SECONDS,
    LARGEST_FILE,
    SILENT_SECONDS,
    Bounded,
    make_opener,
)

SOURCES = ("openverse", "commons")
OPENVERSE_API = "https://api.openverse.org/v1/images/"
COMMONS_API = "https://commons.wikimedia.org/w/api.php"
OPENVERSE_RESULTS, OPENVERSE_PAGES = 20, 12  # the most that there are without a key
COMMONS_RESULTS, COMMONS_WIDTH = 50, 1280  # a page; pixels, one of the standard widths
# Seconds from the end of a request to the beginning of the next.
OPENVERSE_SECONDS, COMMONS_SECONDS, MEDIA_SECONDS = 3.1, 5, 0.5
RETRY_SECONDS = 5  # after a refusal that names no time; doubled with each
API_TRIES, PICTURE_TRIES = 5, 2  # of a request that is refused as one too many
MOST_FAILED = 3  # pictures in a row, of a host that all come from
LOOK_SECONDS = 0.1  # between two looks at whether to stop, of who waits for another's request
LONGEST_TEXT, LONGEST_HTML = 500, 4_000  # characters
PHOTOGRAPHS = ("image/jpeg", "image/png", "image/webp", "image/tiff")
TIME_IS_OVER = "time is over"
FAILURES = (OSError, HTTPException, ValueError)  # what a request can end in

# What a browser does not show; Commons repeats "Unknown author" in it.
HIDDEN = re.compile(
    r"<!--.*?-->|<(style|script)\b.*?</\1>|<(\w+)\b[^>]*display:\s*none[^>]*>.*?</\2>", re.I | re.S
)
INLINE = re.compile(r"</?(?:a|abbr|b|bdi|em|font|i|small|span|strong|sub|sup|u)\b[^>]*>", re.I)
TAG = re.compile(r"</?[a-z!][^>]*(?:>|$)", re.I)

T = TypeVar("T")


class EndError(Exception):
    """The delivery ends before its time; the message says why."""

    def __init__(self, trouble: str, unreachable: bool = False) -> None:
        super().__init__(trouble)
        self.unreachable = unreachable


class BusyError(Exception):
    """A host wants no more requests for now.

    seconds: for how long; None if it did not say.
    """

    def __init__(self, why: str, headers: Message) -> None:
        super().__init__(why)
        self.seconds = _seconds_of_rest(headers.get("Retry-After", ""))


def check(stop: threading.Event, end: float) -> None:
    """Raise EndError if it is time to stop.

    Args:
        stop: whether somebody has asked for it.
        end: when at the latest, of time.monotonic().
    """
    if stop.is_set():
        raise EndError("interrupted")
    if time.monotonic() >= end:
        raise EndError(TIME_IS_OVER)


class Pace:
    """The requests to a host: one at a time and so far apart, whichever thread makes them."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ready, self._why = seconds, 0.0, ""
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, stop: threading.Event, end: float) -> Iterator[None]:
        """Wait until a request may be made; nobody else makes one within.

        Raises:
            EndError: it is time to stop, or will be before the host may be asked.
        """
        while not self._lock.acquire(timeout=LOOK_SECONDS):
            check(stop, end)
        try:
            wait = max(0.0, self._ready - time.monotonic())
            if self._ready > end:
                again = f"{self._why}, to be asked again in {wait:.0f} s"
                raise EndError(again if self._why else TIME_IS_OVER)
            stop.wait(wait)
            check(stop, end)
            self._why = ""
            try:
                yield
            finally:
                self._ready = max(self._ready, time.monotonic() + self._seconds)
        finally:
            self._lock.release()

    def rest(self, seconds: float, why: str) -> None:
        """Let the host alone for a while; to be called within one's turn."""
        self._ready, self._why = time.monotonic() + seconds, why


_MEDIA = Pace(MEDIA_SECONDS)
PACES = {
    "api.openverse.org": Pace(OPENVERSE_SECONDS),
    "commons.wikimedia.org": Pace(COMMONS_SECONDS),
    "upload.wikimedia.org": _MEDIA,
    "thumb.wikimedia.org": _MEDIA,
}


@dataclass(frozen=True)
class Found:
    """A result of a search.

    name: what tells it from other results.
    link: of the picture; empty if it is no photograph.
    origin: as in Delivery.
    """

    name: str
    link: str
    origin: dict[str, str]


@dataclass(frozen=True)
class Page:
    """A page of results, and the parameters that the next one needs; none if it is the last."""

    found: list[Found]
    following: dict[str, str]


class Client:
    """What makes the requests of a delivery."""

    def __init__(self, agent: str, stop: threading.Event, end: float) -> None:
        """Take who it says it is; the others are as in `check`."""
        self._agent, self._stop, self._end = agent, stop, end
        self._bounded = Bounded(LARGEST_FILE, FILE_SECONDS)
        self._opener = make_opener(self._bounded)

    def check(self) -> None:
        """Raise EndError if it is time to stop."""
        check(self._stop, self._end)

    def request(self, link: str) -> tuple[bytes, Message]:
        """Make a request; return content and headers.

        Raises:
            EndError: it is time to stop.
            BusyError: the host wants no more of them for now.
            OSError, HTTPException, ValueError: it failed.
        """
        self.check()
        left = self._end - time.monotonic()
        self._bounded.seconds = min(FILE_SECONDS, left)
        request = Request(link, headers={"User-Agent": self._agent})
        try:
            with self._opener.open(request, timeout=max(0.01, min(SILENT_SECONDS, left))) as answer:
                content = answer.read()
                if answer.length:  # bytes that were promised and did not come
                    raise ValueError("cut off")
                return content, answer.headers
        except HTTPError as error:
            error.close()
            if error.code in (429, 503):
                raise BusyError(f"HTTP {error.code}", error.headers) from error
            raise

    def in_turn(self, link: str, do: Callable[[], T], tries: int) -> T:
        """Do something with a link when its host may be asked; again if the host is busy.

        Raises:
            BusyError: it still is.
        """
        pace = PACES.get(urlsplit(link).hostname or "")
        if pace is None:
            return do()
        attempt = 0
        while True:
            with pace.turn(self._stop, self._end):
                try:
                    return do()
                except BusyError as busy:
                    seconds = busy.seconds
                    pace.rest(RETRY_SECONDS * 2**attempt if seconds is None else seconds, str(busy))
                    attempt += 1
                    if attempt == tries:
                        raise

    def ask(self, link: str) -> dict[str, Any]:
        """Ask an API.

        Raises:
            EndError: it gives no answer.
        """

        def ask() -> dict[str, Any]:
            content, headers = self.request(link)
            answer = _read_json(content)
            error = answer.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            if code in ("maxlag", "ratelimited"):
                raise BusyError(code, headers)
            return answer

        try:
            return self.in_turn(link, ask, API_TRIES)
        except BusyError as busy:
            raise EndError(f"{busy} again and again") from busy
        except FAILURES as error:
            self.check()  # then it is not the API's fault
            no_way = isinstance(error, URLError) and not isinstance(error, HTTPError)
            raise EndError(_say(error), unreachable=no_way) from error


def download(
    source: str,
    query: str,
    limit: int,
    folder: Path,
    known: Container[str],
    stop: threading.Event,
    seconds: float,
    contact: str = "",
) -> Delivery:
    """Download photographs that a collection finds for a query.

    Threads may do so at the same time; together they keep each host's pace.

    Args:
        source: one of SOURCES.
        query: what to search for.
        limit: how many files to bring.
        folder: where they go; it is there and empty.
        known: links that are passed over and do not count.
        stop: ends it soon after it is set; a request that is under way is waited for.
        seconds: how long it may take.
        contact: a mail address or link under which the hosts can reach who runs this.

    Returns:
        What came, even if it ended before its time.
    """
    who = f"({_plain(contact)}) " if contact else ""
    agent = f"ImageColourizer/1.0 {who}python-urllib/{platform.python_version()}"
    client = Client(agent.encode("ascii", "replace").decode(), stop, time.monotonic() + seconds)
    delivery = Delivery(folder)
    try:
        _deliver(source, query, limit, known, client, delivery)
    except EndError as end:
        delivery.trouble, delivery.unreachable = str(end), end.unreachable
    return delivery


def _deliver(
    source: str,
    query: str,
    limit: int,
    known: Container[str],
    client: Client,
    delivery: Delivery,
) -> None:
    """Download into a delivery until it has enough or there is no more."""
    failed = 0  # pictures in a row
    for one in _search(source, query, client):
        if not one.link or one.link in known:
            continue
        why, unwilling = "", False
        try:
            get = partial(client.request, one.link)
            content, _ = client.in_turn(one.link, get, PICTURE_TRIES)
        except BusyError as busy:
            why, unwilling = str(busy), True
        except FAILURES as error:
            client.check()  # then it is not the link's fault
            why, unwilling = _say(error), not isinstance(error, HTTPError | ValueError)
        if why:
            delivery.lose(one.link, why, one.origin)
        else:
            delivery.bring(one.link, content, one.origin)
        if len(delivery.files) == limit:
            return
        failed = failed + 1 if unwilling and urlsplit(one.link).hostname in PACES else 0
        if failed == MOST_FAILED:
            raise EndError(f"{why} again and again")
    delivery.exhausted = True


def _search(source: str, query: str, client: Client) -> Iterator[Found]:
    """Give what a collection finds, each once, asking for a page when it is needed."""
    api, read, first = {
        "openverse": (OPENVERSE_API, _read_openverse, _openverse_parameters(query)),
        "commons": (COMMONS_API, _read_commons, _commons_parameters(query)),
    }[source]
    asked, seen = first, set[str]()
    while True:
        page = read(client.ask(f"{api}?{urlencode(asked)}"), asked)
        new = {one.name: one for one in page.found if one.name not in seen}
        yield from new.values()
        if not new or not page.following:
            return
        seen.update(new)
        asked = first | page.following


def _openverse_parameters(query: str) -> dict[str, str]:
    return {
        "q": query,
        "page": "1",
        "page_size": str(OPENVERSE_RESULTS),
        "category": "photograph",
        "excluded_source": "wikimedia",  # it wants scaled pictures taken, which only Commons gives
        "mature": "false",
    }


def _read_openverse(answer: dict[str, Any], asked: dict[str, str]) -> Page:
    """Read a page: https://api.openverse.org/v1/#tag/images/operation/images_search ."""
    results, pages = answer.get("results"), answer.get("page_count")
    if not isinstance(results, list):
        raise EndError("the answer names no results")
    number, last = int(asked["page"]), OPENVERSE_PAGES
    if isinstance(pages, int):
        last = min(pages, OPENVERSE_PAGES)
    found = [_openverse_photograph(one) for one in results if isinstance(one, dict)]
    return Page(found, {"page": str(number + 1)} if number < last else {})


def _openverse_photograph(result: dict[str, Any]) -> Found:
    link = _link(result.get("url"))
    code, version = _plain(result.get("license")), _plain(result.get("license_version"))
    licence = {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
    origin = {
        "page": _web_link(result.get("foreign_landing_url")),
        "title": _plain(result.get("title")),
        "author": _plain(result.get("creator")),
        "licence": f"{licence} {version}".strip() if code else "",
        "licence_url": _web_link(result.get("license_url")),
        "provider": _plain(result.get("provider")) or _plain(result.get("source")),
    }
    return Found(link or _plain(result.get("id")), link, _not_empty(origin))


def _commons_parameters(query: str) -> dict[str, str]:
    return {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "maxlag": "5",
        "generator": "search",
        "gsrsearch": f"{query} filetype:bitmap",
        "gsrnamespace": "6",  # files
        "gsrlimit": str(COMMONS_RESULTS),
        "prop": "imageinfo",
        "iiprop": "url|size|mime|extmetadata",
        "iiurlwidth": str(COMMONS_WIDTH),
        "iiextmetadatafilter": "Artist|Attribution|LicenseShortName|LicenseUrl|UsageTerms",
    }


def _read_commons(answer: dict[str, Any], _asked: dict[str, str]) -> Page:
    """Read a page: https://www.mediawiki.org/wiki/API:Search as a generator, API:Imageinfo ."""
    error, query, following = (answer.get(name) for name in ("error", "query", "continue"))
    if isinstance(error, dict):
        raise EndError(f"{_plain(error.get('code'))}: {_plain(error.get('info'))}")
    if not isinstance(query, dict) and "batchcomplete" not in answer:
        raise EndError("the answer names no results")
    pages = query.get("pages") if isinstance(query, dict) else []
    pages = [page for page in pages if isinstance(page, dict)] if isinstance(pages, list) else []
    pages.sort(key=lambda page: page["index"] if isinstance(page.get("index"), int) else 10**9)
    following = following if isinstance(following, dict) else {}
    following = {name: str(one) for name, one in following.items() if isinstance(one, str | int)}
    return Page([_commons_photograph(page) for page in pages], following)


def _commons_photograph(page: dict[str, Any]) -> Found:
    infos = page.get("imageinfo")
    info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else {}
    said = info.get("extmetadata")
    said = said if isinstance(said, dict) else {}

    def text(name: str) -> str:
        entry = said.get(name)
        return _plain(_without_tags(entry.get("value") if isinstance(entry, dict) else ""))

    width, scaled = info.get("width"), info.get("thumburl")
    large = isinstance(width, int) and width > COMMONS_WIDTH
    link = _link(scaled if large and scaled else info.get("url"))
    link = link.partition("?")[0]  # what follows counts readers, and is not always the same
    title = _plain(page.get("title"))
    origin = {
        "page": _web_link(info.get("descriptionurl")),
        "title": title.removeprefix("File:"),
        "author": text("Attribution") or text("Artist"),
        "licence": text("LicenseShortName") or text("UsageTerms"),
        "licence_url": _web_link(text("LicenseUrl")),
    }
    wanted = info.get("mime") in PHOTOGRAPHS
    return Found(link or title, link if wanted else "", _not_empty(origin))


def _not_empty(origin: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in origin.items() if text}


def _read_json(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EndError("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise EndError("the answer names no results")
    return answer


def _plain(text: object) -> str:
    """Make one line of a text, of what can be printed; of what is no text, an empty one."""
    if not isinstance(text, str):
        return ""
    printable = (letter if letter.isprintable() else " " for letter in text[:LONGEST_TEXT])
    return " ".join("".join(printable).split())


def _without_tags(text: object) -> str:
    """Turn HTML into the text that a browser shows, nearly."""
    if not isinstance(text, str):
        return ""
    for pattern, replacement in ((HIDDEN, ""), (INLINE, ""), (TAG, " ")):
        text = pattern.sub(replacement, text[:LONGEST_HTML])
    return html.unescape(text)


def _link(text: object) -> str:
    """Write a link as HTTP wants it; one that is not of the web stays as it is."""
    return _web_link(text) or _plain(text)


def _web_link(text: object) -> str:
    """Write a link as HTTP wants it; nothing if it is none of the web."""
    if not isinstance(text, str):
        return ""
    try:
        parts = urlsplit(text.strip())
        host = parts.netloc.encode("idna").decode()
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return ""
    except ValueError:
        return ""
    rest = (quote(part, "!$%&'()*+,/:;=?@~", errors="replace") for part in parts[2:4])
    return urlunsplit((parts.scheme, host, *rest, ""))


def _seconds_of_rest(text: str) -> float | None:
    """Read Retry-After: seconds, or a date; None if it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _say(error: Exception) -> str:
    """Say in one line why a request failed."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return _plain(words).lower()
