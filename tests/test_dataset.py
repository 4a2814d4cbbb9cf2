"""Downloading: the real bing_image_downloader against a stand-in for Bing, on 127.0.0.1."""

import hashlib
import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from support.fake_bing import SEARCH_HOST, FakeBing, Web
from support.fake_collections import HOSTS, Collections, FakeCollections, openverse_work
from support.fake_proxy import make_certificate
from support.scenes import ROOT, scene

import dataset
from colourizer.downloads import bing, open_collections
from colourizer.downloads.collection import Collection, folder_name
from colourizer.downloads.delivery import Delivery

PORT_THAT_REFUSES = 1


def encode(image, file_format="JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def picture(seed: int, file_format="JPEG") -> bytes:
    return encode(scene(seed, 80, 96), file_format)


def bomb() -> bytes:
    """A PNG that says it has 3,600 megapixels."""
    content = bytearray(encode(Image.new("1", (1, 1)), "PNG"))
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for all hosts that are searched, and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), SEARCH_HOST, *HOSTS)


def ask_it_everything(server, certificate, monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, server.address)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
def web(certificate, monkeypatch):
    """An empty web that everything asks from here on."""
    web = Web()
    with FakeBing(web, *certificate) as server:
        ask_it_everything(server, certificate, monkeypatch)
        yield web


@pytest.fixture
def raw(tmp_path) -> Path:
    return tmp_path / "raw"


def download(raw: Path, *queries: str, limit: int = 1, at_once: int = 1) -> int:
    return dataset.main(
        [*queries, "-o", str(raw), "--limit", str(limit), "--at-once", str(at_once)]
    )


def manifest(raw: Path) -> list[dict]:
    return [json.loads(line) for line in (raw / "manifest.jsonl").read_text().splitlines()]


def why_rejected(raw: Path) -> dict[str, str]:
    return {Path(r["link"]).name: r["rejected"] for r in manifest(raw) if "rejected" in r}


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def figures(**others: int) -> dict[str, int]:
    """A row of the table: 0 where nothing else is said."""
    names = [
        "wanted",
        "got",
        "new",
        "duplicate",
        "deleted",
        "grey",
        "graphic",
        "small",
        "broken",
        "lost",
    ]
    return dict.fromkeys(names, 0) | others


def table(text: str) -> dict[str, dict[str, int]]:
    """Read the printed table: query, column, figure."""
    first, *rows = [line.split() for line in text.splitlines()]
    numbers = [[int(cell) for cell in row[-len(first) :]] for row in rows]
    names = [" ".join(row[: -len(first)]) for row in rows]
    return {n: dict(zip(first, row, strict=True)) for n, row in zip(names, numbers, strict=True)}


def test_good_photographs_are_kept_under_their_checksum_and_listed_with_their_origin(
    web, raw, capsys
):
    web.bodies = {
        "http://a.test/one.jpg": picture(1),
        "http://b.test/two.png": picture(2, "PNG"),
        "http://b.test/misnamed.gif": picture(3, "WEBP"),
    }
    assert download(raw, "lakes", limit=3) == 0
    names = [hashlib.sha256(picture(*p)).hexdigest()[:16] for p in ((1,), (2, "PNG"), (3, "WEBP"))]
    expected = {f"lakes/{n}.{s}" for n, s in zip(names, ("jpg", "png", "webp"), strict=True)}
    assert set(files(raw)) == expected | {"manifest.jsonl"}
    assert {row["file"] for row in manifest(raw)} == expected
    for row, link in zip(manifest(raw), web.bodies, strict=True):
        content = (raw / row["file"]).read_bytes()
        assert content == web.bodies[link]
        assert (row["query"], row["source"], row["link"]) == ("lakes", "bing", link)
        assert row["page"] == f"https://pages.test/{Path(link).name}"
        assert row["title"] == "A title"
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["bytes"], row["width"], row["height"]) == (len(content), 96, 80)
        assert row["time"].startswith("20")
    streams = capsys.readouterr()
    assert table(streams.out)["lakes"] == figures(wanted=3, got=3, new=3)
    assert streams.err == "3 downloaded, 0 rejected, 0 of 1 queries not done\n"


def test_bad_files_are_rejected_and_manifest_and_table_say_why(web, raw, capsys):
    good, large = picture(1), scene(9, 240, 320)
    sepia = ImageOps.colorize(large.convert("L"), (40, 20, 5), (255, 240, 200))
    chart = Image.new("RGB", (300, 200), (200, 30, 30))
    chart.paste((20, 120, 60), (20, 20, 150, 120))
    chart.paste((90, 80, 200), (170, 20, 280, 120))
    web.bodies = {
        "http://a.test/good.jpg": good,
        "http://a.test/torn.jpg": good[: len(good) // 2],
        "http://a.test/page.jpg": b"<html>hotlinking is forbidden</html>",
        "http://a.test/no.bmp": b"BM, but no bitmap",
        "http://a.test/grey.jpg": encode(scene(5, 80, 96).convert("L")),
        "http://a.test/sepia.jpg": encode(sepia),
        "http://a.test/chart.png": encode(chart, "PNG"),
        "http://a.test/again.jpg": good,
        "http://a.test/large.jpg": encode(large),
        "http://a.test/smaller.jpg": encode(large.resize((160, 120)), quality=50),
        "http://a.test/tiny.jpg": encode(scene(7, 63, 200)),
        "http://a.test/bomb.png": bomb(),
    }
    web.listed = [*web.bodies, "http://a.test/gone.jpg"]
    assert download(raw, "lakes", limit=4) == 0
    assert len(files(raw / "lakes")) == 2
    assert why_rejected(raw) == {
        "torn.jpg": "broken",
        "page.jpg": "broken",
        "no.bmp": "broken",
        "grey.jpg": "near grey",
        "sepia.jpg": "near grey",
        "chart.png": "graphic",
        "again.jpg": "duplicate",
        "smaller.jpg": "duplicate",
        "tiny.jpg": "too small",
        "bomb.png": "broken",
        "gone.jpg": "not downloaded",
    }
    assert table(capsys.readouterr().out)["lakes"] == figures(
        wanted=4, got=2, new=2, duplicate=2, grey=2, graphic=1, small=1, broken=4, lost=1
    )


def test_what_was_rejected_is_replaced_by_others(web, raw):
    grey = encode(scene(5, 80, 96).convert("L"))
    web.bodies = {f"http://a.test/grey{i}.jpg": grey + bytes(i) for i in range(3)}
    web.bodies |= {f"http://a.test/{i}.jpg": picture(i) for i in range(6)}
    assert download(raw, "lakes", limit=4) == 0
    assert len(files(raw / "lakes")) == 4
    assert len(set(web.fetched)) == len(web.fetched) == 3 + 4


def test_a_photograph_found_twice_is_kept_once(web, raw, capsys):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes") == 0
    web.bodies = {"http://b.test/other.jpg": picture(1)}
    assert download(raw, "rivers") == 1
    assert "error: rivers: only 0 of 1 photographs were found\n" in capsys.readouterr().err
    assert [row.get("rejected") for row in manifest(raw)] == [None, "duplicate"]
    assert manifest(raw)[1]["of"] == manifest(raw)[0]["file"]
    assert len(files(raw)) == 2


def test_a_copy_of_a_photograph_that_somebody_put_there_is_not_taken(web, raw):
    (raw / "mine").mkdir(parents=True)
    scene(1, 240, 320).save(raw / "mine" / "scan.png")
    web.bodies = {"http://a.test/1.jpg": encode(scene(1, 240, 320).resize((200, 150)))}
    assert download(raw, "lakes") == 1
    assert why_rejected(raw) == {"1.jpg": "duplicate"}
    assert manifest(raw)[0]["file"] == "mine/scan.png"


def test_every_link_is_fetched_as_it_is(web, raw):
    """The package by itself encodes %20 a second time, and cannot read JSON's escapes."""
    links = [
        "http://a.test/a%20lake.jpg",
        "http://a.test/b.jpg?size=large%20one&x=a+b",
        "http://a.test/c(1).jpg",
        "http://a.test/d'.jpg",
        "http://a.test/%E6%B9%96.jpg",
    ]
    web.bodies = {link: picture(seed) for seed, link in enumerate(links)}
    web.listed = [*links[:4], "http://a.test/湖.jpg"]
    assert download(raw, "lakes", limit=5) == 0
    assert web.fetched == links
    assert [row["link"] for row in manifest(raw)] == web.listed


def test_pages_follow_each_other_without_gaps(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(50)}
    assert download(raw, "lakes", limit=50) == 0
    assert len(files(raw / "lakes")) == 50
    assert web.searches == ["lakes"] * 2


def test_a_query_with_too_few_results_is_asked_in_other_words(web, raw):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    download(raw, "lakes", limit=2)
    assert set(web.searches) == {"lakes", "lakes photo"}
    assert web.fetched == ["http://a.test/1.jpg"]


def test_a_rerun_fetches_nothing_again(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    web.bodies["http://a.test/broken.jpg"] = b"no picture"
    assert download(raw, "lakes", limit=3) == 0
    before, fetched = files(raw), list(web.fetched)
    assert download(raw, "lakes", limit=3) == 0
    assert (files(raw), web.fetched, web.searches) == (before, fetched, ["lakes"])
    assert download(raw, "lakes", limit=5) == 0
    assert web.fetched == [*fetched, "http://a.test/broken.jpg"]
    assert download(raw, "lakes", limit=5) == 0
    assert web.fetched == [*fetched, "http://a.test/broken.jpg"]


def test_a_rerun_goes_on_behind_pages_that_are_known(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(40)}
    web.listed = list(web.bodies)[:38]
    download(raw, "lakes", limit=38)
    web.listed = list(web.bodies)
    assert download(raw, "lakes", limit=40) == 0
    assert len(files(raw / "lakes")) == 40
    assert len(set(web.fetched)) == len(web.fetched)


def test_a_search_of_which_all_is_known_ends_soon(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(0) for i in range(2)}
    download(raw, "lakes", limit=2)
    known = [f"http://a.test/{i}.jpg" for i in range(1500)]
    with (raw / "manifest.jsonl").open("a") as file:
        for link in known:
            print(json.dumps({"link": link, "rejected": "broken"}), file=file)
    web.listed, web.searches = [*known, "http://a.test/new.jpg"], []
    assert download(raw, "lakes", limit=2) == 0
    assert len(web.searches) < 70  # 30 pages and one more in each wording
    assert len(web.fetched) == 2


def test_links_that_lead_nowhere_end_a_query_some_time(web, raw, capsys):
    web.listed = [f"http://a.test/{i}.jpg" for i in range(400)]
    assert download(raw, "lakes", limit=2) == 1
    assert 56 < len(manifest(raw)) < 100
    assert "links led to nothing" in capsys.readouterr().err


def test_a_manifest_of_odd_lines_is_no_trouble(web, raw):
    raw.mkdir()
    odd = ["[1]", "3", "null", '{"link": 5}', '{"file": "/etc/passwd", "sha256": "0", "hash": ""}',
           '{"file": 3, "sha256": 4}', '{"link": null, "rejected": "not downloaded", "why": null}',
           '{"file": "../x.jpg", "sha256": "00", "hash": "' + "=" * 256 + '"}', "[" * 100_000,
           "caf\xe9"]  # fmt: skip
    (raw / "manifest.jsonl").write_bytes("\n".join(odd).encode("latin-1"))
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes") == 0


@pytest.mark.parametrize("asked", ["[]", "{}", '{"query": 3, "source": 4}', "no json"])
def test_odd_leftovers_are_no_trouble(web, raw, asked):
    (raw / ".download-x" / "1").mkdir(parents=True)
    (raw / ".download-x" / "asked.json").write_text(asked)
    (raw / ".download-x" / "notes.jsonl").write_text(
        '3\n{"link": "x"}\n{"link": "y", "file": "1"}\n'
    )
    (raw / ".download-file").write_text("")
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes") == 0
    assert not (raw / ".download-x").exists()


def test_what_could_not_be_fetched_is_tried_again_only_if_that_may_pass(web, raw):
    links = ["http://a.test/gone.jpg", "http://a.test/busy.jpg"]
    web.listed = links
    web.bodies = {link: picture(i) for i, link in enumerate(links)}
    web.faults = {links[0]: 403, links[1]: 503}
    assert download(raw, "lakes", limit=2) == 1
    assert web.fetched == links
    web.faults = {}
    assert download(raw, "lakes", limit=2) == 0
    assert web.fetched == [*links, links[1]]


def test_a_photograph_deleted_by_hand_does_not_come_back(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(2)}
    download(raw, "lakes", limit=2)
    unwanted = raw / "lakes" / files(raw / "lakes")[0]
    content = unwanted.read_bytes()
    unwanted.unlink()
    web.bodies = {"http://b.test/elsewhere.jpg": content}
    assert download(raw, "lakes", limit=2) == 0
    assert not unwanted.exists()
    assert why_rejected(raw) == {"elsewhere.jpg": "deleted by hand"}


def test_a_photograph_in_rejected_txt_does_not_count_and_is_replaced(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    download(raw, "lakes", limit=2)
    unwanted = files(raw / "lakes")[0]
    (raw / "rejected.txt").write_text(f"lakes/{unwanted}\n")
    assert download(raw, "lakes", limit=2) == 0
    assert len(files(raw / "lakes")) == 3
    assert len(set(web.fetched)) == len(web.fetched) == 3


def test_a_search_that_fails_is_an_error_and_the_next_query_is_tried(web, raw, capsys):
    web.search = "error 500"
    assert download(raw, "lakes", "rivers") == 1
    assert web.searches == ["lakes", "rivers"]
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("error: lakes: HTTPError: HTTP Error 500")
    assert errors[-1].startswith("hint: ")


@pytest.mark.parametrize("search", ["captcha", "empty"])
def test_three_queries_in_vain_are_enough(search, web, raw, capsys):
    web.search = search
    assert download(raw, "a", "b", "c", "d") == 1
    assert web.searches == ["a", "b", "c"]
    assert "error: a: bing's answer names no pictures\n" in capsys.readouterr().err


def test_without_a_network_it_ends_at_once_and_harms_nothing(web, raw, monkeypatch, capsys):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    download(raw, "lakes")
    before = files(raw)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{PORT_THAT_REFUSES}")
    capsys.readouterr()
    assert download(raw, "lakes", limit=10) == 1
    assert download(raw, "lakes", "rivers", limit=10) == 1
    assert files(raw) == before
    streams = capsys.readouterr()
    assert "rivers " not in streams.out  # it was not tried
    assert "error: lakes: connection refused\nerror: bing: cannot be reached" in streams.err
    assert "hint: " in streams.err


def test_a_search_that_never_ends_is_killed(web, raw, monkeypatch, capsys):
    monkeypatch.setattr(dataset, "START_SECONDS", 1)
    monkeypatch.setattr(dataset, "PHOTO_SECONDS", 0)
    web.search = "silent"
    assert download(raw, "lakes") == 1
    assert "error: lakes: took too long" in capsys.readouterr().err
    assert files(raw) == ["manifest.jsonl"]


def test_a_search_that_breaks_off_keeps_what_came_and_says_so(web, raw, capsys):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    web.search = "error 500 from the second page on"
    assert download(raw, "lakes", limit=4) == 0
    streams = capsys.readouterr()
    assert table(streams.out)["lakes"]["got"] == 3
    assert streams.err.startswith("note: lakes: HTTPError: HTTP Error 500")


@pytest.mark.parametrize("search", ["endless", "latin 1", "cut short"])
def test_an_odd_page_of_results_costs_nothing_but_itself(search, web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    web.search = search
    assert download(raw, "lakes", limit=4) == 0
    assert len(web.searches) <= 4
    assert len(files(raw / "lakes")) == 3


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (404, "HTTP Error 404"),
        (503, "HTTP Error 503"),
        ("slow", "too large or too slow"),
        ("endless", "too large or too slow"),
        ("silent", "timed out"),
        ("short", ""),
        ("loop", "HTTP Error 302"),
        ("file:///etc/passwd", "file"),
        ("ftp://a.test/x.jpg", "ftp"),
        ("http://a.test/gone.jpg", "HTTP Error 404"),
    ],
)
def test_a_link_that_fails_costs_nothing_but_itself(fault, why, web, raw, monkeypatch):
    monkeypatch.setattr(bing, "FILE_SECONDS", 0.3)
    monkeypatch.setattr(bing, "SILENT_SECONDS", 1)
    monkeypatch.setattr(bing, "LARGEST_FILE", 3_000_000)
    bad = "http://a.test/bad.jpg"
    web.bodies = {bad: picture(0), "http://a.test/good.jpg": picture(2)}
    web.faults = {bad: fault}
    assert download(raw, "lakes", limit=2) == 0
    rows = {row["link"]: row for row in manifest(raw)}
    assert rows.keys() == web.bodies.keys()
    assert rows[bad]["rejected"] == ("broken" if fault == "short" else "not downloaded")
    assert why in rows[bad]["why"]
    assert len(files(raw / "lakes")) == 1


def test_a_redirected_link_brings_what_it_leads_to(web, raw):
    web.bodies = {"http://a.test/there.jpg": picture(0)}
    web.faults = {"http://a.test/here.jpg": "http://a.test/there.jpg"}
    web.listed = ["http://a.test/here.jpg"]
    assert download(raw, "lakes") == 0
    assert [(row["link"], row.get("rejected")) for row in manifest(raw)] == [(*web.listed, None)]


@pytest.mark.parametrize(
    "query", ["..", "../../escaped", "/tmp/x", ".", "a/b", "manifest.jsonl", "é" * 120]
)
def test_no_query_leaves_the_output_folder_or_harms_it(web, raw, query):
    (raw / "lakes").mkdir(parents=True)
    (raw / "lakes" / "mine.jpg").write_bytes(picture(9))
    (raw.parent / "neighbour").write_text("untouched")
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, query) == 0
    assert sorted(p.name for p in raw.parent.iterdir()) == ["neighbour", "raw"]
    assert (raw / "lakes" / "mine.jpg").read_bytes() == picture(9)
    (new,) = set(files(raw)) - {"lakes/mine.jpg", "manifest.jsonl"}
    assert len(Path(new).parts) == 2


def test_queries_whose_names_look_alike_get_folders_of_their_own():
    queries = ["a/b", "a?b", "a_b", "A B", "a b", "..", ".", "x" * 100, "x" * 101, "夜景", "-v"]
    names = [folder_name(query) for query in queries]
    assert len(set(names)) == len(names)
    assert names[2:5] == ["a_b", "A B", "a b"]


def test_a_query_may_begin_with_a_dash(web, raw):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert dataset.main(["-o", str(raw), "--limit", "1", "--", "--force-replace"]) == 0
    assert web.searches[0] == "--force-replace"


def test_links_to_local_files_bring_nothing(web, raw, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(1))
    web.listed = [secret.as_uri(), f"FILE://localhost{secret}", "file:///etc/passwd", "http://[x"]
    assert download(raw, "lakes", limit=10) == 1
    assert files(raw) == ["manifest.jsonl"]
    assert [row["rejected"] for row in manifest(raw)] == ["not downloaded"] * 4


def test_a_strangers_bing_module_is_not_imported(web, raw, tmp_path, monkeypatch):
    (tmp_path / "bing.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes") == 0


def test_several_queries_at_once_bring_what_one_after_the_other_does(web, raw, tmp_path):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(12)}
    queries = ("lakes", "rivers", "seas")
    assert download(raw, *queries, limit=4, at_once=3) == 0
    kept = [row for row in manifest(raw) if "rejected" not in row]
    assert len(kept) == len({row["sha256"] for row in kept}) == len(files(raw)) - 1
    assert {row["link"] for row in kept} <= web.bodies.keys()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_download_keeps_what_came_and_leaves_no_process(
    web, raw, monkeypatch, signum, code
):
    children = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            children.append(self.pid)

    def interrupt():
        while len(web.fetched) < 3:
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    web.faults = {"http://a.test/2.jpg": "silent"}
    threading.Thread(target=interrupt).start()
    assert download(raw, "lakes", "rivers", limit=3) == code
    assert sorted(p.name for p in raw.iterdir()) == ["lakes", "manifest.jsonl"]
    assert len(files(raw / "lakes")) == 2
    (child,) = children
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    web.faults = {}
    assert download(raw, "lakes", limit=3) == 0
    assert sorted(web.fetched) == sorted([*web.bodies, "http://a.test/2.jpg"])


def test_a_killed_download_leaves_no_process_and_the_next_takes_up_what_came(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    web.faults = {"http://a.test/2.jpg": "silent"}
    command = [sys.executable, ROOT / "dataset.py", "lakes", "-o", raw, "--limit", "3"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while len(web.fetched) < 3:
            time.sleep(0.01)
        run.kill()
    (temporary,) = raw.glob(".download-*")
    assert not manifest(raw)
    deadline = time.monotonic() + 10
    while str(temporary) in os.popen("ps -A -o args").read():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    web.faults = {}
    assert download(raw, "lakes", limit=3) == 0
    assert len(files(raw / "lakes")) == 3
    assert [row["page"] for row in manifest(raw)] == [
        f"https://pages.test/{i}.jpg" for i in range(3)
    ]
    assert not list(raw.glob(".download-*"))
    assert sorted(web.fetched) == sorted([*web.bodies, "http://a.test/2.jpg"])


@pytest.mark.long
def test_killed_at_20_moments_nothing_is_fetched_twice_and_everything_is_listed(web, raw):
    chance = random.Random(0)
    queries = [f"query {i}" for i in range(40)]
    web.listed_for = {q: [f"http://a.test/{q[6:]}/{i}.jpg" for i in range(40)] for q in queries}
    links = [link for listed in web.listed_for.values() for link in listed]
    web.bodies = {link: picture(i) for i, link in enumerate(links)}
    web.faults = dict.fromkeys(chance.sample(links, 50), 404)
    command = [sys.executable, ROOT / "dataset.py", *queries, "-o", raw, "--limit", "35"]
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
            time.sleep(1 + chance.random())
            run.kill()
    interrupted = len(web.fetched)
    subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert 100 < interrupted < len(web.fetched)
    rows = manifest(raw)
    kept = [row for row in rows if "rejected" not in row]
    assert {row["file"] for row in kept} == set(files(raw)) - {"manifest.jsonl"}
    assert len(kept) == len({row["sha256"] for row in kept}) > 1000
    assert {row["link"] for row in rows} == set(web.fetched)
    # But for what was under way at such a moment, of four queries.
    assert len(web.fetched) - len(set(web.fetched)) <= 80


def test_open_collections_are_searched_alike_and_the_manifest_has_author_and_licence(
    raw, certificate, monkeypatch
):
    links = [f"http://a.test/{i}.jpg" for i in range(3)]
    web = Collections(works=[openverse_work(link) for link in links])
    web.bodies = {link: picture(i) for i, link in enumerate(links)}
    monkeypatch.setattr(open_collections, "RATE_LIMITERS", {})
    with FakeCollections(web, *certificate) as server:
        ask_it_everything(server, certificate, monkeypatch)
        options = ["lakes", "-o", str(raw), "--limit", "2", "--source", "openverse"]
        assert dataset.main(options) == 0
        assert dataset.main([*options, "--limit", "3"]) == 0
    assert web.fetched == links
    for row in manifest(raw):
        assert (row["source"], row["provider"]) == ("openverse", "stocksnap")
        assert (row["author"], row["licence"]) == ("Tim Sullivan", "CC0 1.0")
        assert row["licence_url"] == "https://creativecommons.org/publicdomain/zero/1.0/"
        assert (raw / row["file"]).exists()


def test_what_a_killed_run_has_noted_and_not_moved_yet_is_moved_by_the_next(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(2)}
    web.bodies["http://a.test/2.jpg"] = b"broken"
    web.listed = ["http://a.test/2.jpg", "http://a.test/1.jpg", "http://a.test/0.jpg"]
    download(raw, "lakes", limit=2)
    before, rows = files(raw), manifest(raw)
    temporary = raw / ".download-x"
    temporary.mkdir()
    (temporary / "asked.json").write_text('{"query": "lakes", "source": "bing"}')
    notes = [{"link": row["link"], "origin": {}, "file": row["link"][14]} for row in rows]
    (temporary / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    (raw / rows[1]["file"]).rename(temporary / "1")
    (temporary / "2").write_bytes(b"broken")
    Collection(raw).close()
    assert files(raw) == before
    assert manifest(raw) == rows


def test_a_delivery_that_cannot_be_taken_is_left_for_the_next_run(web, raw):
    collection = Collection(raw)
    (raw / "lakes").write_text("a file")
    with pytest.raises(OSError), collection.delivery_folder("lakes", "bing") as folder:
        delivery = Delivery(folder)
        delivery.add_file("http://a.test/0.jpg", picture(0), {"title": "A title"})
        collection.add("lakes", "bing", delivery)
    collection.close()
    (raw / "lakes").unlink()
    Collection(raw).close()
    assert len(files(raw / "lakes")) == 1
    assert manifest(raw)[0]["title"] == "A title"
    assert not list(raw.glob(".download-*"))


def test_a_manifest_that_was_cut_short_goes_on_in_a_line_of_its_own(web, raw):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    download(raw, "lakes")
    with (raw / "manifest.jsonl").open("a") as file:
        file.write('{"query": "la')
    web.bodies = {"http://a.test/2.jpg": picture(2)}
    assert download(raw, "lakes", limit=2) == 0
    lines = (raw / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["link"] for line in (lines[0], lines[2])] == [
        "http://a.test/1.jpg",
        "http://a.test/2.jpg",
    ]


def test_a_second_download_into_the_same_folder_is_refused(web, raw, capsys):
    collection = Collection(raw)
    assert download(raw, "lakes") == 2
    assert "another dataset.py is at work there" in capsys.readouterr().err
    collection.close()


@pytest.mark.parametrize(
    "arguments", [["--limit", "0"], [""], ["two\nlines"], [os.fsdecode(b"\xff")], ["x" * 241]]
)
def test_nonsense_on_the_command_line_is_refused(arguments):
    with pytest.raises(SystemExit) as stop:
        dataset.main(arguments)
    assert stop.value.code == 2


def test_an_output_that_is_no_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert download(tmp_path / "file", "lakes") == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}: ")
