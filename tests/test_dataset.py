"""Downloading: the real bing_image_downloader against a stand-in for Bing, on 127.0.0.1."""

import hashlib
import io
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import scene
from fake_bing import SEARCH_HOST, FakeBing, Web

import dataset

PORT_THAT_REFUSES = 1


def encode(image, file_format="JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def picture(seed: int, file_format="JPEG") -> bytes:
    return encode(scene(seed, 80, 96), file_format)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for the search host, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={SEARCH_HOST}",
         "-addext", f"subjectAltName=DNS:{SEARCH_HOST}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def web(certificate, monkeypatch):
    """An empty web that everything asks from here on."""
    web = Web()
    with FakeBing(web, *certificate) as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, server.address)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        yield web


@pytest.fixture
def raw(tmp_path) -> Path:
    return tmp_path / "raw"


def download(raw: Path, *queries: str, limit: int = 10) -> int:
    return dataset.main([*queries, "-o", str(raw), "--limit", str(limit)])


def manifest(raw: Path) -> list[dict]:
    return [json.loads(line) for line in (raw / "manifest.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_good_photographs_are_kept_under_their_checksum_and_listed(web, raw, capsys):
    web.bodies = {
        "http://a.test/one.jpg": picture(1),
        "http://b.test/two.png": picture(2, "PNG"),
        "http://b.test/misnamed.gif": picture(3, "WEBP"),
    }
    assert download(raw, "lakes") == 0
    names = [hashlib.sha256(picture(*p)).hexdigest()[:16] for p in ((1,), (2, "PNG"), (3, "WEBP"))]
    expected = {f"lakes/{n}.{s}" for n, s in zip(names, ("jpg", "png", "webp"), strict=True)}
    assert set(files(raw)) == expected | {"manifest.jsonl"}
    assert {row["file"] for row in manifest(raw)} == expected
    for row in manifest(raw):
        content = (raw / row["file"]).read_bytes()
        assert row["query"] == "lakes"
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["bytes"], row["width"], row["height"]) == (len(content), 96, 80)
        assert row["time"].startswith("20")
    streams = capsys.readouterr()
    assert streams.out == "lakes: 3 of 10\n"
    assert streams.err == "3 downloaded, 0 rejected, 0 of 1 queries not done\n"


def test_bad_files_are_rejected_and_the_manifest_says_why(web, raw):
    good = picture(1)
    web.bodies = {
        "http://a.test/1.jpg": good,
        "http://a.test/2.jpg": good[: len(good) // 2],
        "http://a.test/3.jpg": b"<html>hotlinking is forbidden</html>",
        "http://a.test/4.bmp": b"BM, but no bitmap",
        "http://a.test/5.jpg": encode(scene(5, 80, 96).convert("L")),
        "http://a.test/6.jpg": good,
        "http://a.test/7.jpg": encode(scene(7, 63, 200)),
        "http://a.test/8.png": encode(scene(8).convert("1").resize((20_000, 20_000)), "PNG"),
    }
    web.listed = [*web.bodies, "http://a.test/gone.jpg"]
    assert download(raw, "lakes") == 0
    assert len(files(raw / "lakes")) == 1
    why = {Path(row["file"]).name: row["rejected"] for row in manifest(raw) if "rejected" in row}
    assert why == {
        "Image_2.jpg": "broken",
        "3.jpg": "not downloaded",
        "Image_3.bmp": "broken",
        "Image_4.jpg": "near grey",
        "Image_5.jpg": "duplicate",
        "Image_6.jpg": "too small",
        "Image_7.png": "broken",
        "gone.jpg": "not downloaded",
    }


def test_a_photograph_found_twice_is_kept_once(web, raw, capsys):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes", "rivers") == 1
    assert "error: rivers: no photograph was of use\n" in capsys.readouterr().err
    assert [row.get("rejected") for row in manifest(raw)] == [None, "duplicate"]
    assert len(files(raw)) == 2


def test_a_rerun_fetches_nothing_again(web, raw, capsys):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(3)}
    assert download(raw, "lakes", limit=3) == 0
    before, fetched = files(raw), list(web.fetched)
    assert download(raw, "lakes", limit=3) == 0
    assert (files(raw), web.fetched, web.searches) == (before, fetched, ["lakes"])
    assert capsys.readouterr().out == "lakes: 3 of 3\n" * 2


def test_a_rerun_with_a_higher_limit_adds_up_to_it(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(2)}
    download(raw, "lakes", limit=2)
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(2, 6)}
    assert download(raw, "lakes", limit=3) == 0
    assert len(files(raw / "lakes")) == 3


def test_a_photograph_deleted_by_hand_does_not_come_back(web, raw):
    web.bodies = {f"http://a.test/{i}.jpg": picture(i) for i in range(2)}
    download(raw, "lakes")
    unwanted = raw / "lakes" / files(raw / "lakes")[0]
    unwanted.unlink()
    assert download(raw, "lakes") == 0
    assert not unwanted.exists()
    assert {"duplicate", "deleted by hand"} == {
        row["rejected"] for row in manifest(raw) if "rejected" in row
    }


def test_a_search_that_fails_is_an_error_and_the_next_query_is_tried(web, raw, capsys):
    web.search = "error 500"
    assert download(raw, "lakes", "rivers") == 1
    assert web.searches == ["lakes", "rivers"]
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("error: lakes: HTTPError: HTTP Error 500")
    assert errors[-1].startswith("hint: ")


def test_three_queries_in_vain_are_enough(web, raw):
    web.search = "captcha"
    assert download(raw, "a", "b", "c", "d") == 1
    assert web.searches == ["a", "b", "c"]


def test_without_a_network_it_ends_at_once_and_harms_nothing(web, raw, monkeypatch, capsys):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    download(raw, "lakes")
    before = files(raw)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{PORT_THAT_REFUSES}")
    capsys.readouterr()
    assert download(raw, "lakes") == 1
    assert download(raw, "lakes", "rivers") == 1
    assert files(raw) == before
    streams = capsys.readouterr()
    assert streams.out == "lakes: 1 of 10\n" * 2  # rivers was not tried
    assert "error: bing: cannot be reached" in streams.err
    assert "hint: " in streams.err


def test_a_search_that_never_ends_is_killed(web, raw, monkeypatch, capsys):
    monkeypatch.setattr(dataset, "START_SECONDS", 1)
    monkeypatch.setattr(dataset, "PHOTO_SECONDS", 0)
    web.search = "silent"
    assert download(raw, "lakes") == 1
    assert "error: lakes: stopped after 1 s" in capsys.readouterr().err
    assert files(raw) == ["manifest.jsonl"]


def test_a_search_that_breaks_off_keeps_what_came_and_says_so(web, raw, capsys):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    web.search = "error 500 from the second page on"
    assert download(raw, "lakes") == 0
    streams = capsys.readouterr()
    assert streams.out == "lakes: 1 of 10\n"
    assert streams.err.startswith("note: lakes: HTTPError: HTTP Error 500")


def test_a_slow_or_huge_body_does_not_cost_the_query(web, raw, monkeypatch):
    monkeypatch.setattr(dataset, "FILE_SECONDS", 0.3)
    monkeypatch.setattr(dataset, "LARGEST_FILE", 100_000)
    web.bodies = {
        "http://a.test/slow.jpg": picture(0),
        "http://a.test/huge.jpg": picture(1) + bytes(200_000),
        "http://a.test/good.jpg": picture(2),
    }
    web.slow = frozenset(["http://a.test/slow.jpg"])
    assert download(raw, "lakes") == 0
    assert len(files(raw / "lakes")) == 1
    why = [row["why"] for row in manifest(raw) if "rejected" in row]
    assert why == ["too large or too slow"] * 2


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
    names = [dataset.folder_name(query) for query in queries]
    assert len(set(names)) == len(names)
    assert names[2:5] == ["a_b", "A B", "a b"]


def test_a_query_may_begin_with_a_dash(web, raw):
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert dataset.main(["-o", str(raw), "--limit", "5", "--", "--force-replace"]) == 0
    assert web.searches[0] == "--force-replace"


def test_links_to_local_files_bring_nothing(web, raw, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(1))
    web.listed = [secret.as_uri(), f"FILE://localhost{secret}", "file:///etc/passwd"]
    assert download(raw, "lakes") == 1
    assert files(raw) == ["manifest.jsonl"]
    assert [row["rejected"] for row in manifest(raw)] == ["not downloaded"] * 3


def test_a_strangers_bing_module_is_not_imported(web, raw, tmp_path, monkeypatch):
    (tmp_path / "bing.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    web.bodies = {"http://a.test/1.jpg": picture(1)}
    assert download(raw, "lakes") == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_download_leaves_no_process_and_no_temporary_folder(
    web, raw, monkeypatch, signum, code
):
    children = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            children.append(self.pid)

    def interrupt():
        web.asked.wait(30)
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    web.search = "silent"
    threading.Thread(target=interrupt).start()
    assert download(raw, "lakes", "rivers") == code
    assert [p.name for p in raw.iterdir()] == ["manifest.jsonl"]
    (child,) = children
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize(
    "arguments", [["--limit", "0"], [""], ["two\nlines"], [os.fsdecode(b"\xff")]]
)
def test_nonsense_on_the_command_line_is_refused(arguments):
    with pytest.raises(SystemExit) as stop:
        dataset.main(arguments)
    assert stop.value.code == 2


def test_an_output_that_is_no_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert download(tmp_path / "file", "lakes") == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}: ")
