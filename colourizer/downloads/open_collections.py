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
    BodyLimits,
    make_opener,
)

SOURCES = ("openverse", "commons")
OPENVERSE_API = "https://api.openverse.org/v1/images/"
COMMONS_API = "https://commons.wikimedia.org/w/api.php"
OPENVERSE_RESULTS, OPENVERSE_PAGES = 20, 12  # a page; pages: the most without a key
COMMONS_RESULTS, COMMONS_WIDTH = 50, 1280  # a page; pixels, one of the standard widths
# Seconds between the end of a request and the start of the next.
OPENVERSE_SECONDS, COMMONS_SECONDS, MEDIA_SECONDS = 3.1, 5, 0.5
RETRY_SECONDS = 5  # first backoff if the host names no Retry-After; doubled each time
API_TRIES, PICTURE_TRIES = 5, 2  # of a request that is rate-limited
MAX_FAILED = 3  # pictures in a row from a host in RATE_LIMITERS
POLL_SECONDS = 0.1  # how often a thread that waits for its turn checks whether to stop
LONGEST_TEXT, LONGEST_HTML = 500, 4_000  # characters
PHOTOGRAPHS = ("image/jpeg", "image/png", "image/webp", "image/tiff")
TIME_IS_OVER = "time is over"
FAILURES = (OSError, HTTPException, ValueError)  # what a request can raise

# What a browser does not show; Commons repeats "Unknown author" in it.
HIDDEN = re.compile(
    r"<!--.*?-->|<(style|script)\b.*?</\1>|<(\w+)\b[^>]*display:\s*none[^>]*>.*?</\2>", re.I | re.S
)
INLINE = re.compile(r"</?(?:a|abbr|b|bdi|em|font|i|small|span|strong|sub|sup|u)\b[^>]*>", re.I)
TAG = re.compile(r"</?[a-z!][^>]*(?:>|$)", re.I)

T = TypeVar("T")


class DownloadEndedError(Exception):
    """A query's download ends early; the message says why."""

    def __init__(self, trouble: str, unreachable: bool = False) -> None:
        super().__init__(trouble)
        self.unreachable = unreachable


class RateLimitError(Exception):
    """A host refuses more requests for now (HTTP 429 and the like).

    seconds: its Retry-After; None if it named none.
    """

    def __init__(self, why: str, headers: Message) -> None:
        super().__init__(why)
        self.seconds = _parse_retry_after(headers.get("Retry-After", ""))


def check_deadline(stop: threading.Event, end: float) -> None:
    """Raise DownloadEndedError if the download is to stop.

    Args:
        stop: set if it was interrupted.
        end: its deadline, by time.monotonic().
    """
    if stop.is_set():
        raise DownloadEndedError("interrupted")
    if time.monotonic() >= end:
        raise DownloadEndedError(TIME_IS_OVER)


class RateLimiter:
    """Rate limit of a host: one request at a time over all threads, with pauses in between."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ready, self._why = seconds, 0.0, ""
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, stop: threading.Event, end: float) -> Iterator[None]:
        """Wait until a request may be made; no other thread makes one within.

        Raises:
            DownloadEndedError: the download is to stop, now or before a request may be made.
        """
        while not self._lock.acquire(timeout=POLL_SECONDS):
            check_deadline(stop, end)
        try:
            wait = max(0.0, self._ready - time.monotonic())
            if self._ready > end:
                again = f"{self._why}, to be asked again in {wait:.0f} s"
                raise DownloadEndedError(again if self._why else TIME_IS_OVER)
            stop.wait(wait)
            check_deadline(stop, end)
            self._why = ""
            try:
                yield
            finally:
                self._ready = max(self._ready, time.monotonic() + self._seconds)
        finally:
            self._lock.release()

    def back_off(self, seconds: float, why: str) -> None:
        """Delay the next request by a number of seconds; to be called within a turn."""
        self._ready, self._why = time.monotonic() + seconds, why


_MEDIA = RateLimiter(MEDIA_SECONDS)
RATE_LIMITERS = {
    "api.openverse.org": RateLimiter(OPENVERSE_SECONDS),
    "commons.wikimedia.org": RateLimiter(COMMONS_SECONDS),
    "upload.wikimedia.org": _MEDIA,
    "thumb.wikimedia.org": _MEDIA,
}


@dataclass(frozen=True)
class SearchResult:
    """A result of a search.

    name: unique among the results.
    link: of the picture; empty if it is no photograph.
    origin: metadata, as in Delivery.
    """

    name: str
    link: str
    origin: dict[str, str]


@dataclass(frozen=True)
class ResultPage:
    """A page of results, and the next one's parameters, empty if this is the last."""

    found: list[SearchResult]
    following: dict[str, str]


class Client:
    """HTTP client of one query's download: user agent, deadline, limits."""

    def __init__(self, agent: str, stop: threading.Event, end: float) -> None:
        """Take the User-Agent; the others are as in `check_deadline`."""
        self._agent, self._stop, self._end = agent, stop, end
        self._limits = BodyLimits(LARGEST_FILE, FILE_SECONDS)
        self._opener = make_opener(self._limits)

    def check(self) -> None:
        """Raise DownloadEndedError if the download is to stop."""
        check_deadline(self._stop, self._end)

    def request(self, link: str) -> tuple[bytes, Message]:
        """Make a request; return content and headers.

        Raises:
            DownloadEndedError: the download is to stop.
            RateLimitError: the host refuses more requests for now.
            OSError, HTTPException, ValueError: it failed.
        """
        self.check()
        left = self._end - time.monotonic()
        self._limits.seconds = min(FILE_SECONDS, left)
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
                raise RateLimitError(f"HTTP {error.code}", error.headers) from error
            raise

    def in_turn(self, link: str, do: Callable[[], T], tries: int) -> T:
        """Return what a call returns that requests a link, at its host's rate; retry if refused.

        Raises:
            RateLimitError: it was refused at each try.
        """
        limiter = RATE_LIMITERS.get(urlsplit(link).hostname or "")
        if limiter is None:
            return do()
        attempt = 0
        while True:
            with limiter.turn(self._stop, self._end):
                try:
                    return do()
                except RateLimitError as refused:
                    seconds = refused.seconds
                    limiter.back_off(
                        RETRY_SECONDS * 2**attempt if seconds is None else seconds, str(refused)
                    )
                    attempt += 1
                    if attempt == tries:
                        raise

    def get_json(self, link: str) -> dict[str, Any]:
        """Return an API's answer, a JSON object.

        Raises:
            DownloadEndedError: there is none.
        """

        def request() -> dict[str, Any]:
            content, headers = self.request(link)
            answer = _read_json(content)
            error = answer.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            if code in ("maxlag", "ratelimited"):
                raise RateLimitError(code, headers)
            return answer

        try:
            return self.in_turn(link, request, API_TRIES)
        except RateLimitError as refused:
            raise DownloadEndedError(f"{refused} again and again") from refused
        except FAILURES as error:
            self.check()  # then it is not the API's fault
            unreachable = isinstance(error, URLError) and not isinstance(error, HTTPError)
            raise DownloadEndedError(_describe_error(error), unreachable=unreachable) from error


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

    May run in several threads at a time, which share each host's rate limit.

    Args:
        source: one of SOURCES.
        query: what to search for.
        limit: how many files to download.
        folder: where they go; exists and is empty.
        known: links that are skipped and do not count.
        stop: ends the download soon after it is set; a running request is waited for.
        seconds: how long it may take.
        contact: a mail address or link, sent to the hosts in the User-Agent.

    Returns:
        What was downloaded, even if it ended early.
    """
    who = f"({_one_line(contact)}) " if contact else ""
    agent = f"ImageColourizer/1.0 {who}python-urllib/{platform.python_version()}"
    client = Client(agent.encode("ascii", "replace").decode(), stop, time.monotonic() + seconds)
    delivery = Delivery(folder)
    try:
        _deliver(source, query, limit, known, client, delivery)
    except DownloadEndedError as end:
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
    """Download into a delivery until it has enough files or the results are exhausted."""
    failed = 0  # pictures in a row
    for one in _search(source, query, client):
        if not one.link or one.link in known:
            continue
        why, host_failed = "", False
        try:
            get = partial(client.request, one.link)
            content, _ = client.in_turn(one.link, get, PICTURE_TRIES)
        except RateLimitError as refused:
            why, host_failed = str(refused), True
        except FAILURES as error:
            client.check()  # then it is not the link's fault
            why, host_failed = _describe_error(error), not isinstance(error, HTTPError | ValueError)
        if why:
            delivery.add_lost(one.link, why, one.origin)
        else:
            delivery.add_file(one.link, content, one.origin)
        if len(delivery.files) == limit:
            return
        failed = failed + 1 if host_failed and urlsplit(one.link).hostname in RATE_LIMITERS else 0
        if failed == MAX_FAILED:
            raise DownloadEndedError(f"{why} again and again")
    delivery.exhausted = True


def _search(source: str, query: str, client: Client) -> Iterator[SearchResult]:
    """Yield a collection's results, each once; pages are requested as they are needed."""
    api, read, first = {
        "openverse": (OPENVERSE_API, _read_openverse, _openverse_parameters(query)),
        "commons": (COMMONS_API, _read_commons, _commons_parameters(query)),
    }[source]
    asked, seen = first, set[str]()
    while True:
        page = read(client.get_json(f"{api}?{urlencode(asked)}"), asked)
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
        "excluded_source": "wikimedia",  # it asks for scaled pictures; only Commons has them
        "mature": "false",
    }


def _read_openverse(answer: dict[str, Any], asked: dict[str, str]) -> ResultPage:
    """Read a page: https://api.openverse.org/v1/#tag/images/operation/images_search ."""
    results, pages = answer.get("results"), answer.get("page_count")
    if not isinstance(results, list):
        raise DownloadEndedError("the answer names no results")
    number, last = int(asked["page"]), OPENVERSE_PAGES
    if isinstance(pages, int):
        last = min(pages, OPENVERSE_PAGES)
    found = [_openverse_photograph(one) for one in results if isinstance(one, dict)]
    return ResultPage(found, {"page": str(number + 1)} if number < last else {})


def _openverse_photograph(result: dict[str, Any]) -> SearchResult:
    link = _link(result.get("url"))
    code, version = _one_line(result.get("license")), _one_line(result.get("license_version"))
    licence = {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code, f"CC {code.upper()}")
    origin = {
        "page": _web_link(result.get("foreign_landing_url")),
        "title": _one_line(result.get("title")),
        "author": _one_line(result.get("creator")),
        "licence": f"{licence} {version}".strip() if code else "",
        "licence_url": _web_link(result.get("license_url")),
        "provider": _one_line(result.get("provider")) or _one_line(result.get("source")),
    }
    return SearchResult(link or _one_line(result.get("id")), link, _not_empty(origin))


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


def _read_commons(answer: dict[str, Any], _asked: dict[str, str]) -> ResultPage:
    """Read a page: https://www.mediawiki.org/wiki/API:Search as a generator, API:Imageinfo ."""
    error, query, following = (answer.get(name) for name in ("error", "query", "continue"))
    if isinstance(error, dict):
        raise DownloadEndedError(f"{_one_line(error.get('code'))}: {_one_line(error.get('info'))}")
    if not isinstance(query, dict) and "batchcomplete" not in answer:
        raise DownloadEndedError("the answer names no results")
    pages = query.get("pages") if isinstance(query, dict) else []
    pages = [page for page in pages if isinstance(page, dict)] if isinstance(pages, list) else []
    pages.sort(key=lambda page: page["index"] if isinstance(page.get("index"), int) else 10**9)
    following = following if isinstance(following, dict) else {}
    following = {name: str(one) for name, one in following.items() if isinstance(one, str | int)}
    return ResultPage([_commons_photograph(page) for page in pages], following)


def _commons_photograph(page: dict[str, Any]) -> SearchResult:
    infos = page.get("imageinfo")
    info = infos[0] if isinstance(infos, list) and infos and isinstance(infos[0], dict) else {}
    metadata = info.get("extmetadata")
    metadata = metadata if isinstance(metadata, dict) else {}

    def text(name: str) -> str:
        entry = metadata.get(name)
        return _one_line(_strip_tags(entry.get("value") if isinstance(entry, dict) else ""))

    width, scaled = info.get("width"), info.get("thumburl")
    large = isinstance(width, int) and width > COMMONS_WIDTH
    link = _link(scaled if large and scaled else info.get("url"))
    link = link.partition("?")[0]  # the query string counts readers, and varies
    title = _one_line(page.get("title"))
    origin = {
        "page": _web_link(info.get("descriptionurl")),
        "title": title.removeprefix("File:"),
        "author": text("Attribution") or text("Artist"),
        "licence": text("LicenseShortName") or text("UsageTerms"),
        "licence_url": _web_link(text("LicenseUrl")),
    }
    wanted = info.get("mime") in PHOTOGRAPHS
    return SearchResult(link or title, link if wanted else "", _not_empty(origin))


def _not_empty(origin: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in origin.items() if text}


def _read_json(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DownloadEndedError("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise DownloadEndedError("the answer names no results")
    return answer


def _one_line(text: object) -> str:
    """Return a text's printable characters in one line; empty if it is no text."""
    if not isinstance(text, str):
        return ""
    printable = (letter if letter.isprintable() else " " for letter in text[:LONGEST_TEXT])
    return " ".join("".join(printable).split())


def _strip_tags(text: object) -> str:
    """Return the text of HTML, about as a browser shows it; empty if it is no text."""
    if not isinstance(text, str):
        return ""
    for pattern, replacement in ((HIDDEN, ""), (INLINE, ""), (TAG, " ")):
        text = pattern.sub(replacement, text[:LONGEST_HTML])
    return html.unescape(text)


def _link(text: object) -> str:
    """Return a link percent-encoded; one that is not http or https stays as it is."""
    return _web_link(text) or _one_line(text)


def _web_link(text: object) -> str:
    """Return a link percent-encoded; empty if it is not http or https."""
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


def _parse_retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header, which holds seconds or a date; else None."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _describe_error(error: Exception) -> str:
    """Return in one line why a request failed."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return _one_line(words).lower()
