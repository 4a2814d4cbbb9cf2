"""server.py and handlers.py: what the page may ask, and how bad requests are answered."""

import errno
import io
import json
import os
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.page_client import Client, serve
from support.scenes import scene

pytest.importorskip("starlette")

from colourizer.app import handlers, photo_store, server
from colourizer.app.handlers import ServerLimits
from colourizer.app.photo_store import PhotoStore
from colourizer.app.shown_pictures import PredictedPhoto
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.readout import DEFAULT_VIVIDNESS


def encoded(image: Image.Image, file_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, file_format)
    return file.getvalue()


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(checkpoint_file, "cpu")


@pytest.fixture(scope="module")
def client(colourizer):
    with serve(PhotoStore(colourizer)) as port:
        yield Client(port)


@pytest.fixture
def photo(client) -> str:
    status, answer = client.upload(encoded(scene(1).convert("L")), "album/größe.png")
    assert status == 200
    return answer["id"]


def test_the_page_comes_and_may_load_nothing_from_elsewhere(client):
    status, headers, content = client.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert content == (server.PAGE / "index.html").read_bytes()
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "server" not in headers


def test_all_files_of_the_page_come_and_no_others(client):
    kinds = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".jpg": "image/jpeg",
    }
    names = [p.relative_to(server.PAGE).as_posix() for p in server.PAGE.rglob("*") if p.is_file()]
    assert "editor/start.js" in names
    for name in set(names) - {"index.html"}:
        status, headers, content = client.get(f"/{name}")
        assert (status, content) == (200, (server.PAGE / name).read_bytes())
        assert headers["content-type"] == kinds[Path(name).suffix]
    for name in (
        "index.html",
        "editor",
        "editor/",
        "server.py",
        "..%2fserver.py",
        "editor/../main.js",
    ):
        assert client.get(f"/{name}")[0] == 404, name


def test_an_upload_says_what_it_is(client):
    status, answer = client.upload(encoded(scene(1, 30, 40)), "a/b.png")
    assert status == 200
    assert len(answer.pop("id")) > 20
    assert answer == {
        "name": "a/b.png",
        "width": 40,
        "height": 30,
        "view": [40, 30],
        "knows": True,
        "vividness": DEFAULT_VIVIDNESS,
    }


@pytest.mark.parametrize("what", ["before", "coloured", "confidence"])
def test_a_photograph_is_shown(client, photo, what):
    status, headers, content = client.get(f"/api/photos/{photo}/{what}", side=32)
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert headers["cache-control"] == "no-store"
    assert Image.open(io.BytesIO(content)).size == (32, 24)


def test_a_download_has_its_name_and_length(client, photo):
    status, headers, content = client.get(f"/api/photos/{photo}/download", hints="3,4,ff8000")
    assert status == 200
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.png"
    assert headers["content-length"] == str(len(content))
    assert Image.open(io.BytesIO(content)).size == (64, 48)


def test_a_zip_counts_what_failed(client, photo):
    asked = [{"id": photo, "vividness": 0.2, "variant": 1, "hints": "1,2,00ff00"}, {"id": "gone"}]
    status, headers, content = client.post("/api/zip", asked)
    assert (status, headers["x-failed"]) == (200, "1")
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert names == ["album/größe.png", "failed.txt"]


def test_a_zip_holds_each_photograph_once_however_often_it_is_asked_for(client, photo):
    status, _, content = client.post("/api/zip", [{"id": photo}] * 200)
    assert status == 200
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["album/größe.png"]


def test_no_name_that_a_system_reserves_comes_back(client):
    _, answer = client.upload(encoded(scene(1)), "COM1/CON.png. ")
    assert answer["name"] == "_COM1/_CON.png"
    _, headers, _ = client.get(f"/api/photos/{answer['id']}/download")
    assert headers["content-disposition"].endswith("''_CON.png")


def test_what_is_forgotten_is_gone(client, photo):
    assert client.post("/api/keep", [photo])[0] == 204
    assert client.post("/api/forget", [photo])[0] == 204
    status, _, content = client.get(f"/api/photos/{photo}/before")
    assert status == 404
    assert "add it again" in json.loads(content)["error"]


def test_a_reference_is_used_until_it_is_forgotten(client, photo):
    status, _, content = client.request("POST", "/api/references", encoded(scene(2)))
    reference = json.loads(content)["id"]
    shown = f"/api/photos/{photo}/coloured"
    plain, steered = client.get(shown)[2], client.get(shown, reference=reference)[2]
    assert status == 200
    assert plain != steered
    matched = f"/api/photos/{photo}/match"
    found, none = (json.loads(client.get(matched, **p)[2]) for p in ({"reference": reference}, {}))
    assert 0 <= found["share"] <= 1
    assert none == {"share": None, "hardly": False}
    assert client.post("/api/zip", [{"id": photo, "reference": reference}])[0] == 200
    assert client.post("/api/keep", [reference])[0] == 204
    assert client.post("/api/forget", [reference])[0] == 204
    status, _, content = client.get(shown, reference=reference)
    assert status == 404
    assert "choose it again" in json.loads(content)["error"]


def test_a_reference_that_is_none_is_told_so(client):
    for body in (b"hello", encoded(scene(2).convert("L"))):
        status, _, content = client.request("POST", "/api/references", body)
        assert status == 422
        assert json.loads(content)["error"]


def test_references_are_few(client, photo, colourizer, monkeypatch):
    reference = colourizer.study_reference(scene(2))
    monkeypatch.setattr(PhotoStore, "study_reference", lambda *_: reference)
    keys = [
        json.loads(client.request("POST", "/api/references", b"photograph")[2])["id"]
        for _ in range(handlers.MAX_REFERENCES + 1)
    ]
    answers = [client.get(f"/api/photos/{photo}/match", reference=key) for key in keys]
    assert [status for status, _, _ in answers] == [404] + [200] * handlers.MAX_REFERENCES
    assert "choose it again" in json.loads(answers[0][2])["error"]


def test_too_large_a_reference_is_refused(client, monkeypatch):
    header = encoded(Image.new("RGB", (1, 1)), "BMP")
    vast = header[:18] + (20_000).to_bytes(4, "little") * 2 + header[26:]
    status, _, content = client.request("POST", "/api/references", vast)
    assert status in (413, 422)
    assert "pixels" in json.loads(content)["error"]
    monkeypatch.setattr(handlers, "MAX_UPLOAD_BYTES", 1000)
    status, _, content = client.request("POST", "/api/references", encoded(scene(1)))
    assert (status, "too large a file" in json.loads(content)["error"]) == (413, True)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_a_reference_of_any_shape_matches_a_share(client, size):
    _, answer = client.upload(encoded(Image.new("L", size)))
    _, _, content = client.request(
        "POST", "/api/references", encoded(Image.new("RGB", size, "red"))
    )
    reference = json.loads(content)["id"]
    status, _, content = client.get(f"/api/photos/{answer['id']}/match", reference=reference)
    assert status == 200
    assert 0 <= json.loads(content)["share"] <= 1


def test_files_have_the_format_that_is_asked_for(client, photo):
    _, headers, content = client.get(f"/api/photos/{photo}/download", format="webp")
    assert headers["content-disposition"].endswith(".webp")
    assert Image.open(io.BytesIO(content)).format == "WEBP"
    _, _, content = client.post("/api/zip?format=jpeg&keep_luma=1", [{"id": photo}])
    assert zipfile.ZipFile(io.BytesIO(content)).namelist()[0].endswith(".jpg")
    for odd in ({"format": "exe"}, {"keep_luma": "yes"}):
        assert client.get(f"/api/photos/{photo}/download", **odd)[0] == 400


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"vividness": "2"}, "between 0 and 1"),
        ({"vividness": "nan"}, "between 0 and 1"),
        ({"vividness": "much"}, "much"),
        ({"warmth": "-1.5"}, "between -1 and 1"),
        ({"saturation": "2.5"}, "between 0 and 2"),
        ({"reference": ""}, "ids"),
        ({"variant": "-1"}, "variant"),
        ({"variant": "1000"}, "variant"),
        ({"hints": "1,2"}, "X,Y,#RRGGBB"),
        ({"hints": "1,2,ff0000;" * 101}, "100 are the most"),
        ({"hints": "9999,2,ff0000"}, "outside the photograph"),
        ({"side": "x"}, "side"),
    ],
)
def test_what_makes_no_sense_is_told_so(client, photo, parameters, word):
    status, _, content = client.get(f"/api/photos/{photo}/coloured", **parameters)
    assert status == 400
    assert word in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/api/photos/a/b/c", None, 404),
        ("GET", "/../../etc/passwd", None, 404),
        ("GET", "/api/photos", None, 405),
        ("POST", "/", None, 405),
        ("POST", "/api/zip", "{", 400),
        ("POST", "/api/zip", "{}", 400),
        ("POST", "/api/zip", '["a"]', 400),
        ("POST", "/api/zip", "[" * 100_000, 400),
        ("POST", "/api/zip", '[{"id": ' + "[" * 900 + "]" * 900 + "}]", 400),
        ("POST", "/api/zip", '[{"id": "a", "hints": ' + "[" * 900 + "]" * 900 + "}]", 400),
        ("POST", "/api/zip", '[{"id": "\\ud800"}]', 400),
        ("POST", "/api/zip", '[{"id": "a", "hints": "\\ud800"}]', 400),
        ("POST", "/api/zip", '[{"id": "a", "vividness": "\\ud800"}]', 400),
        ("POST", "/api/zip", '[{"id": "a", "vividness": 1' + "0" * 400 + "}]", 400),
        ("POST", "/api/zip", '[{"id": "' + "a" * 65 + '"}]', 400),
        ("POST", "/api/keep", b'["\xed\xa0\x80"]', 400),
        ("POST", "/api/keep", b"\xff\xfe", 400),
        ("POST", "/api/forget", '["\\udfff"]', 400),
        ("POST", "/api/forget", "[null]", 400),
        ("POST", "/api/zip", '[{"id": 1, "vividness": []}]', 400),
        ("POST", "/api/keep", " " * (handlers.MAX_JSON_BYTES + 1), 413),
        ("POST", "/api/keep", str(list(range(photo_store.MAX_PHOTOS + 1))), 400),
    ],
)
def test_odd_requests_get_a_sentence(client, method, path, body, status):
    answer = client.request(method, path, body)
    assert answer[0] == status
    assert json.loads(answer[2])["error"]


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (b"", 422, "is empty"),
        (b"<html>", 422, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", 422, "not an image"),
        (encoded(scene(1))[:700], 422, "cannot be decoded"),
    ],
)
def test_a_bad_file_gets_a_sentence(client, content, status, word):
    code, answer = client.upload(content)
    assert code == status
    assert word in answer["error"]


def test_a_bomb_is_refused(client):
    header = encoded(Image.new("1", (1, 1)), "BMP")
    bomb = header[:18] + (60000).to_bytes(4, "little") * 2 + header[26:]
    status, answer = client.upload(bomb, "bomb.bmp")
    assert status in (413, 422)
    assert "pixels" in answer["error"]


def test_too_large_a_file_is_refused(client, monkeypatch):
    monkeypatch.setattr(handlers, "MAX_UPLOAD_BYTES", 1000)
    status, answer = client.upload(encoded(scene(1)))
    assert status == 413
    assert "too large a file" in answer["error"]


@pytest.mark.parametrize("path", ["/api/photos", "/api/zip", "/api/keep", "/api/forget"])
def test_a_body_of_100_gigabytes_is_refused_before_it_comes(client, path):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {client.cookie}\r\n"
    with socket.create_connection(("127.0.0.1", client.port), 20) as connection:
        connection.sendall(f"{head}Content-Length: {100 << 30}\r\n\r\n".encode())
        answer = connection.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 413 ")


def test_pictures_are_drawn_while_every_upload_waits(colourizer, monkeypatch):
    store = PhotoStore(colourizer)
    go_on = threading.Event()
    with serve(store) as port, ThreadPoolExecutor(80) as pool:
        client = Client(port)
        key = client.upload(encoded(scene(1)))[1]["id"]
        monkeypatch.setattr(PhotoStore, "add", lambda *_: go_on.wait(30))
        waiting = [pool.submit(client.upload, b"never decoded") for _ in range(80)]
        try:
            while sum(future.done() for future in waiting) < 80 - ServerLimits().pending:
                time.sleep(0.01)
            assert client.get("/")[0] == 200
            for what in ("before", "coloured", "confidence", "download"):
                assert client.get(f"/api/photos/{key}/{what}")[0] == 200
            store._predicted.clear()
            assert client.get(f"/api/photos/{key}/before")[0] == 200
        finally:
            go_on.set()


def test_too_many_at_once_are_told_to_wait_and_the_others_are_answered(colourizer):
    content = encoded(scene(1, 300, 300))
    few = ServerLimits(pending=3)
    with serve(PhotoStore(colourizer), few) as port, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: Client(port).upload(content), range(24)))
    assert {status for status, _ in answers} == {200, 503}
    assert all("try again" in answer["error"] for status, answer in answers if status == 503)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_full_disk_is_no_fault_of_the_program(client, monkeypatch, number):
    def refuses(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("colourizer.app.photo_store.tempfile.TemporaryFile", refuses)
    status, answer = client.upload(encoded(scene(1)))
    assert status == 507
    assert os.strerror(number).lower() in answer["error"]
    monkeypatch.undo()
    assert client.upload(encoded(scene(1)))[0] == 200


def test_too_little_memory_is_no_fault_of_the_program(client, photo, monkeypatch):
    def refuses(*_):
        raise MemoryError

    monkeypatch.setattr(PredictedPhoto, "draw_before", refuses)
    status, _, content = client.get(f"/api/photos/{photo}/before")
    assert status == 507
    assert "not enough memory" in json.loads(content)["error"]


def test_what_nobody_foresaw_is_told_the_terminal_and_not_the_page(
    client, photo, monkeypatch, capsys
):
    def breaks(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(PredictedPhoto, "draw_before", breaks)
    status, _, content = client.get(f"/api/photos/{photo}/before")
    assert status == 500
    assert b"secret" not in content
    assert "RuntimeError: secret" in capsys.readouterr().err
