"""Albums of the page: the same things get the same colours, a hint is carried to the others."""

import io
import json
import time
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from support.page_client import Client, serve
from support.scenes import SAMPLES

pytest.importorskip("starlette")

from colourizer.app import handlers
from colourizer.app.photo_store import PhotoStore
from colourizer.colour.space import rgb_to_lab
from colourizer.inference.colourizer import Colourizer
from colourizer.record.tag import find_tag
from colourizer.runtime.interrupt import Interrupt

SIDE, EDGE = 256, 64  # pixels: of a part, and how much of it the other part has not
HINT = "160,140,207020"


def part(name: str, edge: int) -> bytes:
    whole = Image.open(SAMPLES / name).convert("L").resize((SIDE + EDGE, SIDE + EDGE))
    file = io.BytesIO()
    whole.crop((edge, edge, SIDE + edge, SIDE + edge)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def store() -> PhotoStore:
    return PhotoStore(Colourizer.load(device="cpu"))


@pytest.fixture(scope="module")
def client(store):
    with serve(store) as port:
        yield Client(port)


@pytest.fixture(scope="module")
def keys(client) -> list[str]:
    """Two overlapping parts of one photograph, and another photograph."""
    parts = [("canyon_ashim_dsilva.jpg", 0), ("canyon_ashim_dsilva.jpg", EDGE), ("coffee.jpg", 0)]
    return [client.upload(part(*each), f"{n}.png")[1]["id"] for n, each in enumerate(parts)]


def add_album(client, keys: list[str]) -> dict:
    status, _, body = client.post("/api/albums", keys)
    assert status == 200
    return json.loads(body)


@pytest.fixture(scope="module")
def album(client, keys) -> dict:
    return add_album(client, keys)


def download(client, key: str, **settings: str) -> bytes:
    status, _, content = client.get(f"/api/photos/{key}/download", **settings)
    assert status == 200
    return content


def ab_of(content: bytes) -> torch.Tensor:
    rgb = torch.from_numpy(np.array(Image.open(io.BytesIO(content)))).movedim(-1, 0) / 255
    return rgb_to_lab(rgb)[1:]


def difference(client, keys: list[str], **settings: str) -> float:
    one, other = (ab_of(download(client, key, **settings)) for key in keys[:2])
    return (one[:, EDGE:, EDGE:] - other[:, :-EDGE, :-EDGE]).norm(dim=0).mean().item()


def test_the_same_things_get_the_same_colours_in_an_album(client, keys, album):
    assert album["changed"] == keys[:2]
    assert difference(client, keys, album=album["id"]) < 0.5 * difference(client, keys)
    other = [ab_of(download(client, keys[2], **given)) for given in ({}, {"album": album["id"]})]
    assert other[0].equal(other[1])
    shown = [
        client.get(f"/api/photos/{keys[0]}/coloured", **given)[2]
        for given in ({}, {"album": album["id"]})
    ]
    assert shown[0] != shown[1]


def test_files_say_that_they_were_coloured_as_an_album(client, keys, album):
    tags = [find_tag(download(client, keys[0], **given)) for given in ({}, {"album": album["id"]})]
    assert [tag.settings.album for tag in tags] == [False, True]


def test_a_hint_is_carried_to_the_same_place_of_the_others(client, keys, album):
    hints = f"{HINT};8,200,ff0000"  # the left edge is not in the other part
    status, _, body = client.get(f"/api/photos/{keys[0]}/carried", album=album["id"], hints=hints)
    assert status == 200
    (there,) = json.loads(body)
    assert (there["id"], there["colour"]) == (keys[1], "#207020")
    assert abs(there["x"] - (160 - EDGE)) < 8
    assert abs(there["y"] - (140 - EDGE)) < 8
    for key in (keys[2], "gone"):
        assert client.get(f"/api/photos/{key}/carried", album=album["id"], hints=HINT)[2] == b"[]"


def test_an_album_that_is_not_here_is_named(client, keys, album):
    for address in ("coloured", "download", "carried"):
        status, _, body = client.get(f"/api/photos/{keys[0]}/{address}", album="x", hints=HINT)
        assert (status, "this album is not here" in json.loads(body)["error"]) == (404, True)
    assert client.get(f"/api/photos/{keys[0]}/carried", hints=HINT)[0] == 400
    forgotten = add_album(client, keys)["id"]
    assert client.post("/api/forget", [forgotten])[0] == 204
    assert client.get(f"/api/photos/{keys[0]}/coloured", album=forgotten)[0] == 404
    assert client.get(f"/api/photos/{keys[0]}/coloured", album=album["id"])[0] == 200


def test_photographs_that_cannot_be_compared_are_left_out(client, keys, store, monkeypatch):
    bad = client.upload(part("coffee.jpg", EDGE), "bad.png")[1]["id"]
    predict = store._predict

    def fails_for_one(photo):
        if photo.key == bad:
            raise RuntimeError("no memory")
        return predict(photo)

    monkeypatch.setattr(store, "find_predicted", lambda _: None)
    monkeypatch.setattr(store, "_predict", fails_for_one)
    assert add_album(client, ["gone", bad, *keys, *keys])["changed"] == keys[:2]
    assert add_album(client, [])["changed"] == []
    assert client.post("/api/albums", [3])[0] == 400


def test_albums_are_few(client, keys, monkeypatch):
    albums = [add_album(client, keys[:1])["id"] for _ in range(handlers.MAX_ALBUMS + 1)]
    status = [client.get(f"/api/photos/{keys[0]}/coloured", album=each)[0] for each in albums]
    assert status == [404] + [200] * handlers.MAX_ALBUMS


def test_a_comparison_ends_when_the_server_does(store, keys):
    stop = Interrupt()
    stop.exit_code = 1
    assert store.compare(keys, stop).members == []


def test_a_disk_without_room_for_an_album_is_said_in_words(client, keys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("colourizer.app.photo_store.ArrayFile.append", full)
    status, _, body = client.post("/api/albums", keys)
    assert (status, "no space left" in json.loads(body)["error"]) == (507, True)


def test_too_many_comparisons_at_once_are_told_to_try_again(store, keys, monkeypatch):
    monkeypatch.setattr(store, "compare", lambda *_: time.sleep(0.5) or pytest.fail("late"))
    limits = handlers.ServerLimits(pending=1)
    with serve(store, limits) as port:
        client = Client(port)
        first = Thread(target=client.post, args=("/api/albums", keys))
        first.start()
        time.sleep(0.2)
        status, headers, _ = client.post("/api/albums", keys)
        assert (status, headers["retry-after"]) == (503, "1")
        first.join()
