"""desk.py: photographs are kept while a page is open, bounded, and come back as of colourize.py."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from support.scenes import scene

import colourize
from colourizer.app import photo_store
from colourizer.app.photo_store import Desk, GoneError, NoRoomError, TooMuchError, Wish, safe_name
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.photos.errors import PhotoError

PLAIN = Wish(0.5)


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def put(on: Desk, content: bytes, name: str = "photo.png") -> str:
    file = on.new_file()
    file.write(content)
    return on.take(name, file)[0]


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(checkpoint_file, "cpu")


@pytest.fixture
def empty(colourizer, checkpoint_file) -> Desk:
    return Desk(colourizer, colourizer.provenance)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "GIF", "WEBP"])
def test_a_download_is_what_colourize_py_writes(empty, tmp_path, checkpoint_file, file_format):
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
    assert empty.write(put(empty, path.read_bytes(), path.name), PLAIN, file) == expected.name
    assert file.getvalue() == expected.read_bytes()


def test_a_picture_is_as_large_as_asked_for_and_grey_only_before(empty):
    key = put(empty, encoded(scene(1, 300, 400).convert("L")))
    grey = Image.open(io.BytesIO(empty.draw_grey(key, 100)))
    coloured = Image.open(io.BytesIO(empty.draw(key, 200, PLAIN)))
    sure = Image.open(io.BytesIO(empty.draw_confidence(key, 200)))
    assert (grey.size, grey.mode) == ((100, 75), "L")
    assert (coloured.size, coloured.mode) == ((200, 150), "RGB")
    assert sure.size == (200, 150)


def test_vividness_variant_and_hints_change_the_picture(empty):
    key = put(empty, encoded(scene(1).convert("L")))
    hint = Hint(5, 5, (200, 30, 30))
    wishes = [PLAIN, Wish(0.1), Wish(0.5, 2), Wish(0.5, 0, (hint,))]
    assert len({empty.draw(key, 64, wish) for wish in wishes}) == len(wishes)


def test_a_hint_outside_the_photograph_is_refused(empty):
    key = put(empty, encoded(scene(1).convert("L")))
    with pytest.raises(ValueError, match="outside the photograph, which has 64x48 pixels"):
        empty.draw(key, 64, Wish(0.5, 0, (Hint(64, 0, (0, 0, 0)),)))


def test_what_is_transparent_is_white_in_the_picture(empty):
    image = scene(1).convert("LA")
    image.putalpha(Image.new("L", image.size, 0))
    grey = Image.open(io.BytesIO(empty.draw_grey(put(empty, encoded(image)), 64)))
    assert grey.getextrema() == (255, 255)


def test_what_is_no_photograph_is_refused_and_not_kept(empty):
    for content in (b"", b"hello", encoded(scene(1))[:500]):
        with pytest.raises(PhotoError):
            put(empty, content)
    with pytest.raises(PhotoError, match="pages"):
        put(empty, encoded(scene(1), "TIFF", save_all=True, append_images=[scene(2)]))
    assert not empty._kept


def test_too_many_pixels_are_refused_before_they_are_decoded(empty, monkeypatch):
    monkeypatch.setattr(photo_store, "MOST_PIXELS", 1000)
    monkeypatch.setattr(photo_store, "read_prepared", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(TooMuchError, match=r"colourize\.py takes more"):
        put(empty, encoded(scene(1)))


def test_there_is_no_room_for_too_many(empty, monkeypatch):
    monkeypatch.setattr(photo_store, "MOST_PHOTOS", 2)
    keys = [put(empty, encoded(scene(n))) for n in range(2)]
    with pytest.raises(NoRoomError, match="remove some"):
        empty.new_file()
    empty.forget(keys[:1])
    empty.new_file().close()
    monkeypatch.setattr(photo_store, "MOST_KEPT", 100)
    with pytest.raises(NoRoomError, match="remove some"):
        empty.new_file()


def test_what_is_forgotten_is_gone_and_its_file_closed(empty):
    key = put(empty, encoded(scene(1)))
    file = empty.find(key).file
    empty.forget([key, "never was"])
    assert file.closed
    assert not empty._opened
    with pytest.raises(GoneError, match="add it again"):
        empty.draw(key, 64, PLAIN)


def test_what_no_page_asks_for_is_forgotten_in_the_end(empty, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(photo_store.time, "monotonic", lambda: now[0])
    old, new = (put(empty, encoded(scene(n))) for n in range(2))
    for key in (old, new):
        empty.find(key)
    now[0] += photo_store.KEPT_SECONDS
    empty.keep([new, "never was"])
    now[0] += 1
    empty.forget_old()
    assert set(empty._kept) == {new}


def test_only_some_are_in_memory_and_the_others_look_the_same_again(empty, monkeypatch):
    monkeypatch.setattr(photo_store, "OPENED", 2)
    keys = [put(empty, encoded(scene(n).convert("L"))) for n in range(4)]
    before = [empty.draw(key, 64, PLAIN) for key in keys]
    assert len(empty._opened) == 2
    assert [empty.draw(key, 64, PLAIN) for key in keys] == before


def test_a_zip_holds_all_under_different_names_and_says_what_is_missing(empty):
    keys = [put(empty, encoded(scene(n)), "album/a.png") for n in range(2)]
    keys += [put(empty, encoded(scene(2)), "album/A.PNG"), "never was"]
    file = io.BytesIO()
    failed = empty.write_all([(key, PLAIN) for key in keys], file)
    assert len(failed) == 1
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == ["album/a.png", "album/a_2.png", "album/A_3.PNG", "failed.txt"]
        assert b"add it again" in archive.read("failed.txt")
        assert Image.open(io.BytesIO(archive.read("album/a.png"))).size == (64, 48)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("grandmother.jpg", "grandmother.jpg"),
        ("album/1950/ä ö.png", "album/1950/ä ö.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\photos\\a.jpg", "C_/photos/a.jpg"),
        ("..", "photograph"),
        ("", "photograph"),
        ("a\0b\n<c>.jpg", "a_b__c_.jpg"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
        ("./a/./b.png", "a/b.png"),
    ],
)
def test_no_name_leads_out_of_a_folder(said, kept):
    assert safe_name(said) == kept
    assert ".." not in Path(kept).parts
