"""photo_store.py: photographs expire, are bounded, come back as colourize.py writes them."""

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

import colourize
from colourizer.app import photo_store
from colourizer.app.photo_store import (
    NotFoundError,
    PhotoStore,
    StoreFullError,
)
from colourizer.app.shown_pictures import ColourSettings
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.looks import Look
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import TARGETS

DEFAULT = ColourSettings()


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def put(store: PhotoStore, content: bytes, name: str = "photo.png") -> str:
    file = store.create_file()
    file.write(content)
    return store.add(name, file).key


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(checkpoint_file, "cpu")


@pytest.fixture
def store(colourizer, checkpoint_file) -> PhotoStore:
    return PhotoStore(colourizer)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
def test_a_download_is_what_colourize_py_writes(store, tmp_path, checkpoint_file, file_format):
    grey = scene(1).convert("L")
    name = {"JPEG": "a.jpg", "PNG": "a.png", "TIFF": "a.tif", "GIF": "a.gif", "WEBP": "a.webp"}
    path = tmp_path / "in" / name[file_format]
    path.parent.mkdir()
    path.write_bytes(encoded(grey, file_format))
    out = tmp_path / "out"
    command = [str(path), "-o", str(out), "--checkpoint", str(checkpoint_file), "--device", "cpu"]
    assert colourize.main(command) == 0
    (expected,) = out.iterdir()
    file = io.BytesIO()
    assert store.write(put(store, path.read_bytes(), path.name), DEFAULT, file) == expected.name
    assert file.getvalue() == expected.read_bytes()


def test_pictures_have_the_size_asked_for_grey_or_in_colour(store):
    key = put(store, encoded(scene(1, 300, 400).convert("L")))
    grey = Image.open(io.BytesIO(store.predict(key).draw_before(100)))
    coloured = Image.open(io.BytesIO(store.predict(key).draw_coloured(200, DEFAULT)))
    confidence = Image.open(io.BytesIO(store.predict(key).draw_confidence(200)))
    assert (grey.size, grey.mode) == ((100, 75), "L")
    assert (coloured.size, coloured.mode) == ((200, 150), "RGB")
    assert confidence.size == (200, 150)


def test_look_variant_and_hints_change_the_picture(store):
    key = put(store, encoded(scene(1).convert("L")))
    steered = [
        ColourSettings(Look(vividness=0)),
        ColourSettings(Look(warmth=0.5)),
        ColourSettings(Look(saturation=0.5)),
        ColourSettings(variant=2),
        ColourSettings(hints=(Hint(5, 5, (200, 30, 30)),)),
    ]
    pictures = {store.predict(key).draw_coloured(64, settings) for settings in (DEFAULT, *steered)}
    assert len(pictures) == 6


def test_before_is_the_photograph_with_the_colours_that_it_has(store):
    sepia = Image.merge(
        "RGB", [scene(1).convert("L").point(lambda v, n=n: v * n) for n in (1, 0.8, 0.6)]
    )
    before = Image.open(io.BytesIO(store.predict(put(store, encoded(sepia))).draw_before(64)))
    assert np.abs(np.asarray(before).astype(int) - np.asarray(sepia)).mean() < 3


def test_a_reference_s_colours_are_taken(store):
    key = put(store, encoded(scene(1).convert("L")))
    file = store.create_file()
    file.write(encoded(scene(2)))
    settings = ColourSettings(reference=store.study_reference(file))
    drawn = [store.predict(key).draw_coloured(64, each) for each in (DEFAULT, settings)]
    assert drawn[0] != drawn[1]
    assert file.closed


def test_a_reference_without_colours_is_refused(store):
    file = store.create_file()
    file.write(encoded(scene(2).convert("L")))
    with pytest.raises(PhotoError, match="no colours"):
        store.study_reference(file)


@pytest.mark.parametrize("target", TARGETS)
def test_a_download_has_the_format_that_is_asked_for(store, target):
    file = io.BytesIO()
    key = put(store, encoded(scene(1).convert("L"), "TIFF"), "a.tif")
    name = store.write(key, DEFAULT, file, target)
    assert Path(name).suffix == TARGETS[target]
    assert Image.open(file).format == target.upper()


def test_keep_luma_keeps_what_a_grey_jpeg_stores(store):
    content = encoded(scene(1).convert("L"), "JPEG")
    key, file = put(store, content, "a.jpg"), io.BytesIO()
    store.write(key, DEFAULT, file, keep_luma=True)
    luma = Image.open(file)
    luma.draft("L", luma.size)
    assert np.array_equal(luma.convert("YCbCr").getchannel(0), Image.open(io.BytesIO(content)))


def test_a_hint_outside_the_photograph_is_refused(store):
    key = put(store, encoded(scene(1).convert("L")))
    with pytest.raises(ValueError, match="outside the photograph, which has 64x48 pixels"):
        store.predict(key).draw_coloured(64, ColourSettings(hints=(Hint(64, 0, (0, 0, 0)),)))


def test_transparent_parts_are_white_in_the_picture(store):
    image = scene(1).convert("LA")
    image.putalpha(Image.new("L", image.size, 0))
    grey = Image.open(io.BytesIO(store.predict(put(store, encoded(image))).draw_before(64)))
    assert grey.getextrema() == (255, 255)


def test_what_is_no_photograph_is_refused_and_not_stored(store):
    for content in (b"", b"hello", encoded(scene(1))[:500]):
        with pytest.raises(PhotoError):
            put(store, content)
    with pytest.raises(PhotoError, match="pages"):
        put(store, encoded(scene(1), "TIFF", save_all=True, append_images=[scene(2)]))
    assert not store._photos


def test_a_full_store_takes_no_more(store, monkeypatch):
    monkeypatch.setattr(photo_store, "MAX_PHOTOS", 2)
    keys = [put(store, encoded(scene(n))) for n in range(2)]
    with pytest.raises(StoreFullError, match="remove some"):
        store.create_file()
    store.remove(keys[:1])
    store.create_file().close()
    monkeypatch.setattr(photo_store, "MAX_STORED_BYTES", 100)
    with pytest.raises(StoreFullError, match="remove some"):
        store.create_file()


def test_a_removed_photograph_is_gone_and_its_file_closed(store):
    key = put(store, encoded(scene(1)))
    file = store.find(key).file
    store.remove([key, "never was"])
    assert file.closed
    assert not store._predicted
    with pytest.raises(NotFoundError, match="add it again"):
        store.predict(key).draw_coloured(64, DEFAULT)


def test_a_photograph_that_is_removed_while_it_is_found_is_gone(store, monkeypatch):
    key = put(store, encoded(scene(1)))
    photo = store.find(key)
    store.remove([key])
    monkeypatch.setattr(store, "find", lambda _: photo)
    with pytest.raises(NotFoundError, match="add it again"):
        store.predict(key).draw_coloured(64, DEFAULT)


def test_photographs_that_no_page_uses_expire(store, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(photo_store.time, "monotonic", lambda: now[0])
    old, new = (put(store, encoded(scene(n))) for n in range(2))
    for key in (old, new):
        store.find(key)
    now[0] += photo_store.EXPIRY_SECONDS
    store.touch([new, "never was"])
    now[0] += 1
    store.remove_expired()
    assert set(store._photos) == {new}


def test_predictions_beyond_the_cache_are_computed_again_with_the_same_result(store, monkeypatch):
    monkeypatch.setattr(photo_store, "MAX_CACHED_PREDICTIONS", 2)
    keys = [put(store, encoded(scene(n).convert("L"))) for n in range(4)]
    before = [store.predict(key).draw_coloured(64, DEFAULT) for key in keys]
    assert len(store._predicted) == 2
    assert [store.predict(key).draw_coloured(64, DEFAULT) for key in keys] == before


def test_a_zip_holds_all_under_different_names_and_says_what_is_missing(store):
    keys = [put(store, encoded(scene(n)), "album/a.png") for n in range(2)]
    keys += [put(store, encoded(scene(2)), "album/A.PNG"), "never was"]
    keys += [put(store, encoded(scene(2)), name) for name in ("\u00e4.png", "a\u0308.png")]
    keys += [put(store, encoded(scene(2)), "Failed.txt")]
    file = io.BytesIO()
    failed = store.write_zip(dict.fromkeys(keys, DEFAULT), file)
    assert len(failed) == 1
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[:3] == ["album/a.png", "album/a_2.png", "album/A_3.PNG"]
        assert names[3:] == ["\u00e4.png", "a\u0308_2.png", "Failed_2.txt", "failed.txt"]
        assert b"add it again" in archive.read("failed.txt")
        assert Image.open(io.BytesIO(archive.read("album/a.png"))).size == (64, 48)


def test_a_heavy_photograph_waits_for_those_before_it_and_is_not_overtaken(store):
    order: list[str] = []

    def hold(name: str, weight: int) -> None:
        with store._hold_budget(weight):
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with store._hold_budget(1):
            heavy = pool.submit(hold, "heavy", photo_store.MAX_BYTES_IN_FLIGHT)
            until = time.monotonic() + 10
            while not store._next.locked() and time.monotonic() < until:
                time.sleep(0.001)
            light = pool.submit(hold, "light", 1)
            time.sleep(0.05)  # in which it would overtake
            assert not order
        heavy.result(10)
        light.result(10)
    assert order == ["heavy", "light"]
