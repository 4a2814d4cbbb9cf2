"""Openverse and Commons: the real client and addresses against a stand-in, on 127.0.0.1."""

import itertools
import json
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from support.fake_collections import (
    COMMONS,
    HOSTS,
    OPENVERSE,
    Collections,
    FakeCollections,
    commons_file,
    commons_links,
    openverse_work,
)
from support.fake_proxy import make_certificate

from colourizer.downloads import open_collections
from colourizer.downloads.delivery import Delivery
from colourizer.downloads.open_collections import RateLimiter

PORT_THAT_REFUSES = 1
PACE = 0.1  # seconds, where it is measured
MEDIA = ("upload.wikimedia.org", "thumb.wikimedia.org")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"), *HOSTS)


@pytest.fixture
def web(certificate, monkeypatch):
    """An empty web that everything asks from here on, in a hurry."""
    web = Collections()
    set_pace(monkeypatch, 0)
    monkeypatch.setattr(open_collections, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(open_collections, "POLL_SECONDS", 0.01)
    with FakeCollections(web, *certificate) as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, server.address)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        yield web


def set_pace(monkeypatch, seconds: float) -> None:
    media = RateLimiter(seconds)
    paces = {OPENVERSE: RateLimiter(seconds), COMMONS: RateLimiter(seconds)} | dict.fromkeys(
        MEDIA, media
    )
    monkeypatch.setattr(open_collections, "RATE_LIMITERS", paces)


@pytest.fixture
def bring(tmp_path):
    """Download into an empty folder."""
    folders = (tmp_path / str(n) for n in itertools.count())

    def bring(
        source="openverse", query="lakes", limit=10, known=(), stop=None, seconds=20.0, **more
    ):
        folder = next(folders)
        folder.mkdir()
        stop = stop or threading.Event()
        return open_collections.download(source, query, limit, folder, known, stop, seconds, **more)

    return bring


def fill_openverse(
    web: Collections, count: int, start: int = 0, host: str = "http://a.test"
) -> list:
    links = [f"{host}/{n}.jpg" for n in range(start, start + count)]
    web.works += [openverse_work(link) for link in links]
    web.bodies |= {link: link.encode() for link in links}
    return links


def fill_commons(web: Collections, count: int) -> list[str]:
    links = []
    for n in range(count):
        web.files.append(commons_file(f"Lake_{n}.jpg"))
        links.append(commons_links(f"Lake_{n}.jpg")[1])
    web.bodies |= {link: link.encode() for link in links}
    return links


def fill(web: Collections, source: str, count: int) -> list[str]:
    return {"openverse": fill_openverse, "commons": fill_commons}[source](web, count)


def assert_whole(delivery: Delivery, links: list[str]) -> None:
    """Check that all of it came, and nothing else happened."""
    assert list(delivery.files) == links
    assert [path.read_bytes() for path in delivery.files.values()] == [b.encode() for b in links]
    assert (delivery.trouble, delivery.lost, delivery.unreachable) == ("", {}, False)
    assert list(delivery.origins) == links


both = pytest.mark.parametrize("source", open_collections.SOURCES)


# What comes


def test_openverse_is_asked_for_photographs_as_its_documentation_says(web, bring):
    links = fill_openverse(web, 2)
    delivery = bring(query="a lake & a wood", contact="jane@example.org")
    assert_whole(delivery, links)
    assert delivery.exhausted
    assert [path.parent for path in delivery.files.values()] == [delivery.folder] * 2
    assert web.asked[0].link.startswith("https://api.openverse.org/v1/images/?")
    assert web.asked[0].parameters == {
        "q": "a lake & a wood",
        "page": "1",
        "page_size": "20",
        "category": "photograph",
        "excluded_source": "wikimedia",
        "mature": "false",
    }
    who = "ImageColourizer/1.0 (jane@example.org) python-urllib/3."
    assert all(one.agent.startswith(who) for one in web.asked)


def test_commons_is_asked_for_photographs_as_its_documentation_says(web, bring):
    assert_whole(bring("commons", query="a lake & a wood"), fill_commons(web, 0))
    assert web.asked[0].link.startswith("https://commons.wikimedia.org/w/api.php?")
    assert web.asked[0].parameters == {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "maxlag": "5",
        "generator": "search",
        "gsrsearch": "a lake & a wood filetype:bitmap",
        "gsrnamespace": "6",
        "gsrlimit": "50",
        "prop": "imageinfo",
        "iiprop": "url|size|mime|extmetadata",
        "iiurlwidth": "1280",
        "iiextmetadatafilter": "Artist|Attribution|LicenseShortName|LicenseUrl|UsageTerms",
    }
    assert web.asked[0].agent.startswith("ImageColourizer/1.0 python-urllib/3.")


def test_openverse_says_author_and_licence(web, bring):
    (link,) = fill_openverse(web, 1)
    web.works.append(
        openverse_work(
            "http://a.test/2.jpg",
            license="by-sa",
            license_version="2.0",
            license_url="javascript:alert(1)",
            foreign_landing_url=None,
            provider="flickr",
            source="nasa",
            creator="\x1b[31mZoë\t <3\u202e\n",
            title="Lake\r\n\r\n  and\x00wood \ud800",
        )
    )
    web.works.append(
        openverse_work("http://a.test/3.jpg", license=None, foreign_landing_url="javascript:x()")
    )
    assert bring().origins == {
        link: {
            "page": "https://stocksnap.io/photo/XNVBVXO3B7",
            "title": "Tree Bark Photo",
            "author": "Tim Sullivan",
            "licence": "CC0 1.0",
            "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
            "provider": "stocksnap",
        },
        "http://a.test/2.jpg": {
            "title": "Lake and wood",
            "author": "[31mZoë <3",
            "licence": "CC BY-SA 2.0",
            "provider": "flickr",
        },
        "http://a.test/3.jpg": {
            "title": "Tree Bark Photo",
            "author": "Tim Sullivan",
            "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
            "provider": "stocksnap",
        },
    }


def test_commons_says_author_and_licence(web, bring):
    fill_commons(web, 1)
    web.files.append(
        commons_file(
            "Scan.tif",
            width=800,
            mime="image/tiff",
            Artist="Jane Doe",
            Attribution="Jane Doe / <b>The Archive</b>",
            LicenseShortName=7,
            UsageTerms="<p>Public\ndomain</p>",
            LicenseUrl="",
        )
    )
    web.files[1]["imageinfo"][0]["descriptionurl"] = "file:///etc/passwd"
    assert list(bring("commons").origins.values()) == [
        {
            "page": "https://commons.wikimedia.org/wiki/File:Lake_0.jpg",
            "title": "Lake 0.jpg",
            "author": "Jane Doe",
            "licence": "CC BY-SA 4.0",
            "licence_url": "https://creativecommons.org/licenses/by-sa/4.0",
        },
        {"title": "Scan.tif", "author": "Jane Doe / The Archive", "licence": "Public domain"},
    ]


@pytest.mark.parametrize(
    ("artist", "author"),
    [
        ('<a href="//x/User:J" title="x &gt; y">J&auml;ne &amp;\n Co</a>', "Jäne & Co"),
        ('Unknown author<span style="display: none;">Unknown author</span>', "Unknown author"),
        ("<style>.a{color:red}</style><bdi>Jane</bdi><!-- no --><br/>and Joe", "Jane and Joe"),
        ("<ul><li>Jane</li><li>J<b>o</b>e</li></ul>", "Jane Joe"),
        ("5 &lt; 6 < 7", "5 < 6 < 7"),
        ("Jane<script>alert(1)", "Jane alert(1)"),
        ("<a " * 5000, ""),
        ("<" + "a" * 20_000, ""),
        ("<em>" * 1000 + "Jane", ""),
        (None, ""),
        ("J" * 5000, "J" * 500),
        (["Jane"], ""),
    ],
)
def test_the_html_of_commons_becomes_text(web, bring, artist, author):
    web.files = [commons_file("Lake.jpg", Artist=artist)]
    (origin,) = bring("commons").origins.values()
    assert origin.get("author", "") == author


def test_commons_gives_scaled_pictures_where_the_original_is_larger(web, bring):
    web.files = [
        commons_file("Large.jpg", 1281),
        commons_file("Small.png", 1280, "image/png"),
        commons_file("Scan.tif", 800, "image/tiff"),
        commons_file("Unscaled.jpg", 1281),
    ]
    web.files[2]["imageinfo"][0]["thumburl"] = "https://thumb.wikimedia.org/800px-Scan.tif.jpg"
    del web.files[3]["imageinfo"][0]["thumburl"]
    links = [commons_links("Large.jpg")[1]]
    links += [commons_links(name)[0] for name in ("Small.png", "Scan.tif", "Unscaled.jpg")]
    web.bodies = {link: link.encode() for link in links}
    assert_whole(bring("commons"), links)
    assert web.fetched == links


def test_what_is_no_photograph_is_passed_over(web, bring):
    kinds = ("image/svg+xml", "image/gif", "application/pdf", "image/vnd.djvu", "video/webm", None)
    web.page_size = 2  # pages without a single photograph do not end it
    web.files = [commons_file(f"{n}.x", mime=kind) for n, kind in enumerate(kinds)]
    links = fill_commons(web, 1)
    assert_whole(bring("commons"), links)
    assert web.fetched == links


@both
def test_no_more_come_than_were_asked_for(web, bring, source):
    links = fill(web, source, 5)
    delivery = bring(source, limit=3)
    assert_whole(delivery, links[:3])
    assert not delivery.exhausted
    assert web.fetched == links[:3]


@both
def test_known_links_are_not_asked_for_and_do_not_count(web, bring, source):
    links = fill(web, source, 6)
    assert_whole(
        bring(source, limit=3, known={links[0], links[2], "x"}), [*links[1:2], *links[3:5]]
    )
    assert web.fetched == [*links[1:2], *links[3:5]]


@both
def test_all_pages_come_and_then_it_is_exhausted(web, bring, source):
    web.page_size = 20
    links = fill(web, source, 45)
    delivery = bring(source, limit=100)
    assert_whole(delivery, links)
    assert delivery.exhausted
    pages = web.asked_of(OPENVERSE) or web.asked_of(COMMONS)
    numbers = [(p.get("page"), p.get("gsroffset")) for p in (one.parameters for one in pages)]
    assert numbers in (
        [("1", None), ("2", None), ("3", None)],
        [(None, None), (None, "20"), (None, "40")],
    )


@both
def test_pages_that_repeat_themselves_come_to_an_end(web, bring, source):
    web.endless = True
    links = fill(web, source, 2)
    delivery = bring(source)
    assert_whole(delivery, links)
    assert delivery.exhausted
    assert len(web.asked) == len(links) + 2


@both
def test_no_results_are_no_trouble(web, bring, source):
    delivery = bring(source)
    assert_whole(delivery, [])
    assert delivery.exhausted


def test_openverse_is_not_asked_for_more_pages_than_it_gives_without_a_key(web, bring):
    links = fill_openverse(web, 300)
    delivery = bring(limit=300, known=links)
    assert delivery.exhausted
    assert len(web.asked) == 12


def test_a_link_that_two_results_share_is_fetched_once(web, bring):
    (link,) = fill_openverse(web, 1)
    web.works *= 3
    assert_whole(bring(), [link])
    assert web.fetched == [link]


def test_links_are_written_as_http_wants_them(web, bring):
    clean = {
        " http://bücher.test/See ü.jpg?a=ä&b=%20#top\n": (
            "http://xn--bcher-kva.test/See%20%C3%BC.jpg?a=%C3%A4&b=%20"
        ),
        "HTTP://a.test/x\ty ": "http://a.test/xy",
        "http://a.test/\ud800": "http://a.test/?",
        "http://a.test/" + "x" * 5000: "http://a.test/" + "x" * 5000,
    }
    web.works = [openverse_work(link) for link in clean]
    web.bodies = {link: link.encode() for link in clean.values()}
    assert_whole(bring(), list(clean.values()))


def test_a_contact_cannot_add_headers(web, bring):
    bring(contact="Zoë\r\nX-Evil: 1")
    assert web.asked[0].agent.startswith("ImageColourizer/1.0 (Zo? X-Evil: 1) python-urllib/")


# Faults of the API


@both
@pytest.mark.parametrize(
    ("code", "body", "trouble"),
    [
        (500, b"oops", "HTTP 500"),
        (401, b'{"detail": "page_size may not exceed 20 for anonymous requests"}', "HTTP 401"),
        (200, b"<html>Are you a robot?</html>", "the answer is not JSON"),
        (200, b"", "the answer is not JSON"),
        (200, b'{"results": [', "the answer is not JSON"),
        (200, b"\xff\xfe\x00", "the answer is not JSON"),
        (200, b"[" * 100_000, "the answer is not JSON"),
        (200, b"[1, 2]", "the answer names no results"),
        (200, b'{"detail": "Not found."}', "the answer names no results"),
        (200, b'{"results": {"1": 2}, "query": [3]}', "the answer names no results"),
    ],
)
def test_an_answer_of_no_use_ends_it_and_is_named(web, bring, source, code, body, trouble):
    web.instead = {host: iter([(code, {}, body)]) for host in (OPENVERSE, COMMONS)}
    delivery = bring(source)
    assert delivery.trouble == trouble
    assert (delivery.files, delivery.unreachable, delivery.exhausted) == ({}, False, False)
    assert len(web.asked) == 1


@both
@pytest.mark.parametrize(
    "results",
    [
        [{}, {"url": None, "imageinfo": None}, "text", None, 3, [[]]],
        [{"url": 5, "license": [], "title": {}, "creator": 7, "title ": None}],
        [{"imageinfo": [7]}, {"imageinfo": []}, {"imageinfo": [{"mime": ["image/jpeg"]}]}],
        [{"imageinfo": [{"mime": "image/jpeg", "url": None, "extmetadata": ["x"], "width": "w"}]}],
        [{"imageinfo": [{"mime": "image/jpeg", "extmetadata": {"Artist": "x"}}], "index": "1"}],
    ],
)
def test_results_without_what_they_should_have_are_passed_over(web, bring, source, results):
    body = {"results": results, "query": {"pages": results}, "page_count": "x", "continue": [1]}
    answer = (200, {}, json.dumps(body).encode())
    web.instead = {host: itertools.repeat(answer) for host in (OPENVERSE, COMMONS)}
    delivery = bring(source)
    assert (delivery.trouble, delivery.files, delivery.lost) == ("", {}, {})
    assert delivery.exhausted


def test_an_error_that_commons_names_is_the_trouble(web, bring):
    error = {
        "error": {"code": "cirrussearch-too-busy-error", "info": "Search is\nbusy.", "docref": ""}
    }
    web.instead = {COMMONS: iter([(200, {}, json.dumps(error).encode())])}
    assert bring("commons").trouble == "cirrussearch-too-busy-error: Search is busy."


@both
def test_what_came_before_the_trouble_is_kept(web, bring, source):
    web.page_size = 20
    links = fill(web, source, 25)
    api = {"openverse": OPENVERSE, "commons": COMMONS}[source]
    web.instead = {api: iter([None, (500, {}, b"")])}  # None: as usual
    delivery = bring(source, limit=100)
    assert list(delivery.files) == links[:20]
    assert (delivery.trouble, delivery.exhausted) == ("HTTP 500", False)


def test_an_answer_that_is_cut_off_is_none(web, bring):
    web.instead = {OPENVERSE: iter([(200, {"Content-Length": "100"}, b'{"results": []}')])}
    assert bring().trouble == "cut off"


def test_a_refused_connection_makes_the_source_unreachable(web, bring, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{PORT_THAT_REFUSES}")
    delivery = bring()
    assert (delivery.trouble, delivery.unreachable) == ("connection refused", True)


def test_a_host_with_a_wrong_certificate_is_not_listened_to(web, bring, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path, OPENVERSE)[0]))
    delivery = bring()
    assert "certificate verify failed" in delivery.trouble
    assert delivery.unreachable
    assert web.asked == []


def test_a_silent_api_is_not_waited_for_long(web, bring, monkeypatch):
    monkeypatch.setattr(open_collections, "SILENT_SECONDS", 0.1)
    web.silent = (OPENVERSE,)
    delivery = bring()
    assert (delivery.trouble, delivery.unreachable) == ("no answer in time", False)


def test_an_endless_answer_is_not_read_to_its_end(web, bring, monkeypatch):
    monkeypatch.setattr(open_collections, "LARGEST_FILE", 100)
    web.instead = {OPENVERSE: iter([(200, {}, b"[" + b"0," * 1000)])}
    assert bring().trouble == "too large or too slow"


def test_an_api_that_sends_the_client_to_a_file_is_not_followed(web, bring, tmp_path):
    (tmp_path / "x").write_text('{"results": []}')
    to_file = {"Location": (tmp_path / "x").as_uri()}
    web.instead = {OPENVERSE: iter([(302, to_file, b"")])}
    assert bring().trouble == "HTTP 302"


# Pictures that do not come


def test_links_that_cannot_be_fetched_are_lost_and_the_others_come(
    web, bring, monkeypatch, tmp_path
):
    monkeypatch.setattr(open_collections, "FILE_SECONDS", 0.3)
    monkeypatch.setattr(open_collections, "LARGEST_FILE", 100_000)
    monkeypatch.setattr(open_collections, "SILENT_SECONDS", 0.4)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    a = "http://a.test"
    web.slow, web.silent = (f"{a}/slow",), (f"{a}/silent",)
    web.bodies = {f"{a}/slow": bytes(1000), f"{a}/huge": bytes(200_000), f"{a}/good": b"good"}
    web.instead = {
        f"{a}/busy": itertools.repeat((429, {"Retry-After": "0"}, b"")),
        f"{a}/forbidden": iter([(403, {}, b"no")]),
        f"{a}/cut": iter([(200, {"Content-Length": "100"}, b"half")]),
        f"{a}/to-file": iter([(302, {"Location": secret.as_uri()}, b"")]),
        f"{a}/to-ftp": iter([(302, {"Location": "ftp://a.test/x"}, b"")]),
        f"{a}/to-itself": itertools.repeat((302, {"Location": f"{a}/to-itself"}, b"")),
        f"{a}/unclear": iter(
            [(200, {"Content-Length": "-", "Transfer-Encoding": "chunked"}, b"x")]
        ),
    }
    why = {
        f"{a}/gone": "HTTP 404",
        f"{a}/slow": "too large or too slow",
        f"{a}/huge": "too large or too slow",
        f"{a}/silent": "no answer in time",
        f"{a}/busy": "HTTP 429",
        f"{a}/forbidden": "HTTP 403",
        f"{a}/cut": "cut off",
        f"{a}/to-file": "HTTP 302",
        f"{a}/to-ftp": "unknown url type: ftp",
        f"{a}/to-itself": "HTTP 302",
        f"{a}/unclear": "incompleteread(0 bytes read)",
        secret.as_uri(): "unknown url type: file",
        f"FILE://localhost{secret}": "unknown url type: file",
        "data:image/png;base64,AAAA": "unknown url type: data",
        "lake.jpg": "unknown url type: 'lake.jpg'",
        "http://[/": "invalid ipv6 url",
        "http://": "no host given",
    }
    web.works = [openverse_work(link) for link in (*why, f"{a}/good")]
    delivery = bring()
    assert delivery.lost == why
    assert {link: path.read_bytes() for link, path in delivery.files.items()} == {
        f"{a}/good": b"good"
    }
    assert list(delivery.origins) == [*why, f"{a}/good"]
    assert (delivery.trouble, delivery.exhausted) == ("", True)
    assert web.fetched.count(f"{a}/busy") == 1


def test_a_picture_that_redirects_comes_from_there(web, bring):
    web.works = [openverse_work("http://a.test/old")]
    web.instead = {"http://a.test/old": iter([(301, {"Location": "http://b.test/new"}, b"")])}
    web.bodies = {"http://b.test/new": b"new"}
    assert [path.read_bytes() for path in bring().files.values()] == [b"new"]


# RateLimiter


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(sorted(times))]


def test_requests_to_an_api_and_to_wikimedias_pictures_keep_their_distance(web, bring, monkeypatch):
    set_pace(monkeypatch, PACE)
    web.page_size = 2
    web.files = [commons_file("Small.jpg", 800)]
    web.bodies = {commons_links("Small.jpg")[0]: b"small"}
    fill_commons(web, 2)
    assert len(bring("commons").files) == 3
    api = [one.time for one in web.asked_of(COMMONS)]
    media = [one.time for host in MEDIA for one in web.asked_of(host)]
    assert (len(api), len(media)) == (2, 3)
    assert min(gaps(api) + gaps(media)) > 0.9 * PACE


def test_pictures_of_other_hosts_need_no_pace(web, bring, monkeypatch):
    set_pace(monkeypatch, 5)
    links = fill_openverse(web, 5)
    assert_whole(bring(seconds=4), links)


def test_threads_keep_a_hosts_pace_together(web, bring, monkeypatch):
    set_pace(monkeypatch, PACE)
    threads = [threading.Thread(target=bring, args=["openverse", f"query {n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.parameters["q"] for one in web.asked} == {f"query {n}" for n in range(4)}
    assert min(gaps([one.time for one in web.asked])) > 0.9 * PACE


def test_a_host_is_asked_by_one_thread_at_a_time(web, bring, monkeypatch):
    monkeypatch.setattr(open_collections, "SILENT_SECONDS", 0.3)
    web.silent = (COMMONS,)
    threads = [threading.Thread(target=bring, args=["commons"]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (gap,) = gaps([one.time for one in web.asked])
    assert gap > 0.28


BUSY = {
    "429": (429, {}, b'{"detail": "Request was throttled. Expected available in 42 seconds."}'),
    "503": (503, {}, b"<html>"),
    "maxlag": (
        200,
        {"X-Database-Lag": "6"},
        b'{"error": {"code": "maxlag", "info": "Waiting for a database server", "lag": 6}}',
    ),
    "ratelimited": (200, {}, b'{"error": {"code": "ratelimited", "info": "x"}}'),
}


@pytest.mark.parametrize("kind", BUSY)
def test_a_busy_api_is_asked_again_after_a_rest(web, bring, monkeypatch, kind):
    monkeypatch.setattr(open_collections, "RETRY_SECONDS", 0.06)
    links = fill_commons(web, 1)
    web.instead = {COMMONS: iter([BUSY[kind]])}
    assert_whole(bring("commons"), links)
    (gap,) = gaps([one.time for one in web.asked_of(COMMONS)])
    assert gap > 0.055


@pytest.mark.parametrize("kind", BUSY)
def test_an_api_that_stays_busy_is_given_up(web, bring, kind):
    web.instead = {COMMONS: itertools.repeat(BUSY[kind])}
    delivery = bring("commons")
    name = f"HTTP {kind}" if kind.isdigit() else kind
    assert (delivery.trouble, delivery.unreachable) == (f"{name} again and again", False)
    assert len(web.asked) == open_collections.API_TRIES
    spaces = gaps([one.time for one in web.asked])
    assert all(gap > 0.009 * 2**n for n, gap in enumerate(spaces)), spaces  # longer and longer


def test_retry_after_is_obeyed(web, bring, monkeypatch):
    monkeypatch.setattr(open_collections, "_parse_retry_after", lambda text: float(text) / 10)
    links = fill_openverse(web, 1)
    web.instead = {OPENVERSE: iter([(429, {"Retry-After": "1"}, b"")])}
    assert_whole(bring(), links)
    (gap,) = gaps([one.time for one in web.asked_of(OPENVERSE)])
    assert gap > 0.099


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("in an hour", 3600),
        ("an hour ago", 0),
        ("0", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 5000, None),
        ("Fri, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_or_not_understood(text, seconds):
    if "hour" in text:
        then = time.time() + (3600 if text == "in an hour" else -3600)
        text = formatdate(then, usegmt=True)
    found = open_collections._parse_retry_after(text)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=60))


def test_a_rest_that_is_too_long_ends_it_at_once_and_the_next_query_too(web, bring):
    web.instead = {OPENVERSE: itertools.repeat((429, {"Retry-After": "86000"}, b""))}
    begin = time.monotonic()
    for _ in range(2):
        trouble = bring().trouble
        assert trouble.startswith("HTTP 429, to be asked again in 8")
        assert trouble.endswith(" s")
    assert time.monotonic() - begin < 3
    assert len(web.asked) == 1


def test_a_picture_that_wikimedia_refuses_is_tried_twice_and_then_lost(web, bring):
    first, second = fill_commons(web, 2)
    web.instead = {first: itertools.repeat((429, {}, b"Use thumbnail steps"))}
    delivery = bring("commons")
    assert delivery.lost == {first: "HTTP 429"}
    assert list(delivery.files) == [second]
    assert web.fetched == [first, first, second]


def test_when_wikimedia_refuses_picture_after_picture_the_rest_is_left_for_later(web, bring):
    links = fill_commons(web, 9)
    web.instead = {MEDIA[1]: itertools.chain([None], itertools.repeat((429, {}, b"")))}
    delivery = bring("commons")
    assert delivery.trouble == "HTTP 429 again and again"
    assert (list(delivery.files), list(delivery.lost)) == (links[:1], links[1:4])


def test_when_wikimedias_pictures_cannot_be_reached_the_rest_is_left_for_later(
    web, bring, monkeypatch
):
    monkeypatch.setattr(open_collections, "SILENT_SECONDS", 0.3)
    links = fill_commons(web, 9)
    web.silent = (MEDIA[1],)
    delivery = bring("commons")
    assert delivery.trouble == "no answer in time again and again"
    assert list(delivery.lost) == links[:3]


def test_pictures_that_are_not_there_or_of_many_hosts_do_not_end_it(web, bring):
    links = fill_commons(web, 5)
    web.bodies = {links[4]: links[4].encode()}
    delivery = bring("commons")
    assert (list(delivery.files), list(delivery.lost)) == (links[4:], links[:4])
    links = fill_openverse(web, 5)
    web.instead = {link: itertools.repeat((429, {}, b"")) for link in links[:4]}
    delivery = bring()
    assert (list(delivery.files), list(delivery.lost)) == (links[4:], links[:4])


# Time


def test_it_ends_when_time_is_over_even_in_the_middle_of_a_picture(web, bring):
    links = fill_openverse(web, 3)
    web.slow, web.bodies[links[1]] = (links[1],), bytes(10_000)
    begin = time.monotonic()
    delivery = bring(seconds=0.8)
    assert time.monotonic() - begin < 2
    assert (delivery.trouble, list(delivery.files)) == ("time is over", links[:1])
    assert (delivery.lost, list(delivery.origins)) == ({}, links[:1])  # it may come another time


def test_it_ends_at_once_when_time_will_be_over_before_the_next_request(web, bring, monkeypatch):
    set_pace(monkeypatch, 5)
    links = fill_openverse(web, 21)
    begin = time.monotonic()
    delivery = bring(limit=100, seconds=4)
    assert time.monotonic() - begin < 3
    assert (delivery.trouble, list(delivery.files)) == ("time is over", links[:20])


def test_it_ends_when_time_is_over_before_a_silent_host_has_said_anything(web, bring):
    web.silent = (OPENVERSE,)
    begin = time.monotonic()
    assert bring(seconds=0.2).trouble == "time is over"
    assert time.monotonic() - begin < 2


def test_who_waits_for_another_threads_request_ends_in_time_too(web, bring, monkeypatch):
    web.silent = (OPENVERSE,)
    other = threading.Thread(target=bring)
    other.start()
    web.arrived.wait(10)
    begin = time.monotonic()
    assert bring(seconds=0.1).trouble == "time is over"
    assert time.monotonic() - begin < 5
    assert other.is_alive()
    web.closing.set()
    other.join()
    assert len(web.asked) == 1


def test_it_stops_between_two_requests(web, bring):
    stop = threading.Event()
    stop.set()
    assert bring(stop=stop).trouble == "interrupted"
    assert web.asked == []


@pytest.mark.parametrize("asks", ["itself", "another thread"])
def test_it_stops_while_it_waits(web, bring, asks):
    web.instead = {OPENVERSE: itertools.repeat((429, {"Retry-After": "9"}, b""))}
    stop, other_stop, others = threading.Event(), threading.Event(), []
    if asks == "another thread":  # and rests within its turn
        others = [threading.Thread(target=bring, kwargs={"stop": other_stop})]
        others[0].start()
        web.arrived.wait(10)
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    begin = time.monotonic()
    assert bring(stop=stop).trouble == "interrupted"
    assert 0.1 < time.monotonic() - begin < 2
    other_stop.set()
    for other in others:
        other.join(2)
        assert not other.is_alive()


def test_what_came_before_the_stop_is_kept(web, bring):
    links = fill_openverse(web, 3)
    stop = threading.Event()

    class Known:
        def __contains__(self, link):
            return stop.set() if link == links[1] else False

    delivery = bring(known=Known(), stop=stop)
    assert (list(delivery.files), delivery.trouble) == (links[:1], "interrupted")
