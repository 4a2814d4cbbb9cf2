"""files.py: photographs are found, and results are named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

from colourizer.photos.files import (
    FORMAT_OF,
    find_format,
    find_photos,
    why_left_out,
    written_name,
)
from colourizer.photos.read import read_photo
from colourizer.photos.write import write_photo


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


@pytest.mark.parametrize("suffix", ["gif", "heic", "mpo"])
@pytest.mark.parametrize("really", ["GIF", "JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP"])
def test_a_suffix_that_is_added_says_what_the_file_is(tmp_path, suffix, really):
    path = tmp_path / f"aunt.{suffix}"
    scene(0).convert("L").save(path, really)
    photo = read_photo(path)
    name = written_name(path, file_format=find_format(path))
    assert name.startswith(f"aunt.{suffix}.")
    write_photo(tmp_path / name, np.asarray(scene(0)), like=photo)
    with Image.open(tmp_path / name) as image:
        assert image.format == FORMAT_OF[Path(name).suffix]
    assert written_name(path, "jpeg", find_format(path)) == f"aunt.{suffix}.jpg"


@pytest.mark.parametrize("suffix", ["gif", "heic"])
def test_an_avif_that_first_names_another_brand_is_one(tmp_path, suffix):
    path = tmp_path / f"aunt.{suffix}"
    scene(0).save(path, "AVIF")
    path.write_bytes(path.read_bytes().replace(b"ftypavif", b"ftypmif1", 1))
    assert read_photo(path).format == "AVIF"
    assert written_name(path, file_format=find_format(path)) == f"aunt.{suffix}.avif"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.jpg_original", "with an unknown suffix; name them on the command line"),
        ("Scan.001", "with an unknown suffix; name them on the command line"),
        ("scan", "without a suffix; name them on the command line"),
        (".scan", ""),
    ],
)
def test_a_photograph_that_its_name_hides_is_named(tmp_path, name, reason):
    scene(0).save(tmp_path / name, "JPEG")
    assert why_left_out(tmp_path / name) == reason
    (tmp_path / name).write_text("of aunt Mary")
    assert why_left_out(tmp_path / name) == ""


def test_a_name_that_stays_is_not_looked_into(tmp_path):
    assert find_format(tmp_path / "nowhere.jpg") == "JPEG"
    assert find_format(tmp_path / "nowhere.heic") == "HEIF"
