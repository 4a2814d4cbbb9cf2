"""access.py: the token and its cookie, other origins, the page's policy."""

import io
import json

import pytest
from PIL import Image
from support.page_client import TOKEN, Client, serve
from support.scenes import scene

pytest.importorskip("starlette")

from colourizer.app.photo_store import PhotoStore
from colourizer.inference.colourizer import Colourizer

ADDRESSES = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("POST", "/"),
    ("GET", "/main.js"),
    ("GET", "/editor/editor.css"),
    ("GET", "/nothing"),
    ("POST", "/api/photos"),
    ("GET", "/api/photos/a/before"),
    ("POST", "/api/zip"),
    ("POST", "/api/keep"),
    ("POST", "/api/forget"),
]


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(checkpoint_file):
    with serve(PhotoStore(Colourizer.load(checkpoint_file, "cpu"))) as port:
        yield Client(port)


@pytest.fixture
def photo(client) -> str:
    return client.upload(encoded(scene(1)))[1]["id"]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize(
    ("query", "cookie"),
    [
        ("", ""),
        ("?token=", "colourizer={token}"),
        ("?token=wrong", "colourizer-{port}=wrong"),
        ("?token=%ED%A0%80%FF", "colourizer-{port}={token}x"),
        ("?Token={token}", "other-{port}={token}"),
    ],
)
def test_no_address_is_answered_without_the_token(client, method, path, query, cookie):
    known = {"token": TOKEN, "port": client.port}
    headers = {"Cookie": cookie.format(**known)}
    status, answer, content = client.request(method, path + query.format(**known), "[]", headers)
    assert status == 403
    assert "set-cookie" not in answer
    if method != "HEAD":
        text = content.decode() if path == "/" else json.loads(content)["error"]
        assert "the address, token included, that the program printed" in text


def test_the_first_visit_sets_a_cookie_with_which_all_the_rest_is_answered(client):
    status, headers, _ = client.request("GET", f"/?token={TOKEN}", headers={"Cookie": ""})
    assert status == 200
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert cookie == f"colourizer-{client.port}={TOKEN}"
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    other = f"somebody=else; {cookie}; more"
    assert client.request("GET", "/", headers={"Cookie": other})[0] == 200
    assert client.request("POST", "/api/keep", "[]", {"Cookie": other})[0] == 204


def test_the_cookie_is_not_given_to_other_origins(client):
    foreign = {"Cookie": "", "Origin": "http://evil.example"}
    status, headers, _ = client.request("GET", f"/?token={TOKEN}", headers=foreign)
    assert status == 403
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_no_other_origin_is_answered(client, photo, headers, status):
    answer = client.request("GET", f"/api/photos/{photo}/before", headers=headers)
    assert answer[0] == status
    assert answer[1]["cross-origin-resource-policy"] == "same-origin"
    answer = client.request("POST", "/api/photos", encoded(scene(1)), headers)
    assert answer[0] == status


def test_the_own_origin_is_answered(client):
    for host in ("127.0.0.1", "localhost"):
        headers = {"Host": f"{host}:{client.port}", "Origin": f"http://{host}:{client.port}"}
        assert client.request("POST", "/api/keep", "[]", headers)[0] == 204
