"""files.py: photographs are found, and results are named."""

from pathlib import Path

import pytest
from support.scenes import scene

from colourizer.photos.files import FORMAT_OF, find_photos, written_name


def test_photos_are_found_in_subfolders_in_order_but_not_in_the_output(album):
    (album / "out").mkdir()
    scene(0).save(album / "out" / "done.png")
    (album / ".hidden.png").write_bytes(b"")
    (album / "notes.txt").write_text("")
    found = find_photos(album, without=album / "out")
    assert len(found) == 12
    assert found == find_photos(album, without=album / "out")
    assert {p.parent.name for p in found} == {"album", "sub"}


@pytest.mark.parametrize(
    ("name", "target", "written"),
    [
        ("a.jpg", None, "a.jpg"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("a.gif", None, "a.gif.png"),
        ("a.heic", None, "a.heic.jpg"),
        ("a.tif", "tiff", "a.tif"),
        ("a.jpg", "webp", "a.jpg.webp"),
        ("a.png", "avif", "a.png.avif"),
        ("a.bmp", "tiff", "a.bmp.tif"),
    ],
)
def test_a_result_is_named_for_its_format(name, target, written):
    assert written_name(Path(name), target) == written
    assert (
        FORMAT_OF[Path(written).suffix.lower()]
        == (target or FORMAT_OF[Path(written).suffix.lower()]).upper()
    )


def test_hidden_folders_are_left_alone(album):
    (album / ".thumbnails").mkdir()
    scene(0).save(album / ".thumbnails" / "a.png")
    assert len(find_photos(album)) == 12
