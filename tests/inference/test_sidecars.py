"""sidecars.py: XMP beside a photograph goes along, and nothing is overwritten."""

import os

import pytest
from PIL import ExifTags, Image
from support.scenes import scene
from support.sidecar import XMP
from support.xmp_packets import packet

from colourizer.inference.sidecars import copy_sidecars, pair_sidecars
from colourizer.storage.address import parse_location
from colourizer.storage.listing import Listed


@pytest.fixture
def photo(tmp_path):
    scene(0).save(tmp_path / "aunt.tif")
    (tmp_path / "out").mkdir()
    return tmp_path / "aunt.tif"


def test_both_kinds_of_names_are_copied_under_the_results_name_with_their_times(photo, tmp_path):
    for name in ("aunt.xmp", "aunt.tif.xmp"):
        (tmp_path / name).write_bytes(XMP + name.encode())
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    result = tmp_path / "out" / "aunt.tif.jpg"
    copied = copy_sidecars(photo, result)
    assert [path.name for path in copied] == ["aunt.tif.xmp", "aunt.tif.jpg.xmp"]
    assert copied[0].read_bytes() == XMP + b"aunt.xmp"
    assert copied[1].read_bytes() == XMP + b"aunt.tif.xmp"
    assert {path.stat().st_mtime for path in copied} == {1_000_000_000}


def test_what_exists_is_never_overwritten(photo, tmp_path):
    (tmp_path / "aunt.xmp").write_bytes(XMP)
    (tmp_path / "out" / "aunt.xmp").write_text("by hand")
    assert copy_sidecars(photo, tmp_path / "out" / "aunt.tif") == []
    assert (tmp_path / "out" / "aunt.xmp").read_text() == "by hand"


def test_without_sidecars_nothing_is_written(photo, tmp_path):
    assert copy_sidecars(photo, tmp_path / "out" / "aunt.tif") == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_sidecar_of_a_photograph_that_was_turned_no_longer_turns_it(tmp_path, encoding):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    scene(0).save(tmp_path / "a.jpg", exif=exif.tobytes())
    (tmp_path / "a.xmp").write_bytes(XMP.decode().encode(encoding))
    (tmp_path / "out").mkdir()
    (copied,) = copy_sidecars(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    assert copied.read_bytes() == XMP.replace(b'Orientation="6"', b'Orientation="1"')


def test_a_sidecar_promises_nothing_that_the_result_lacks_and_keeps_the_rest(photo, tmp_path):
    said = 'GCamera:MotionPhoto="1" photoshop:ColorMode="1" dc:format="image/tiff" xmp:Rating="4"'
    said += ' tiff:Orientation="8" exif:PixelXDimension="9"'  # which nobody has obeyed
    (tmp_path / "aunt.xmp").write_bytes(packet(said))
    (copied,) = copy_sidecars(photo, tmp_path / "out" / "aunt.tif.jpg", is_upright=True)
    made = copied.read_text()
    assert "MotionPhoto=" not in made
    assert "ColorMode=" not in made
    for kept in ('dc:format="image/jpeg"', 'Rating="4"', 'Orientation="8"', 'Dimension="9"'):
        assert kept in made


@pytest.mark.parametrize("content", [b"", b"<x:xmpmeta <<", b"\xff\xff", packet('xmp:Rating="4"')])
@pytest.mark.parametrize("is_upright", [False, True])
def test_what_is_true_or_no_xmp_stays_byte_for_byte(photo, tmp_path, content, is_upright):
    (tmp_path / "aunt.XMP").write_bytes(content)
    (copied,) = copy_sidecars(photo, tmp_path / "out" / "aunt.tif", is_upright=is_upright)
    assert copied.name.lower() == "aunt.xmp"
    assert copied.read_bytes() == content


NAMES = ["a.jpg", "a.jpg.xmp", "a.png", "a.xmp", "a.1.jpg", "a.1.xmp", "a-b.tif", "a/c.jpg",
         "b.gif", "b.txt", "b.gif.xmp", "c.xmp", "d.JPG", "d.JPG-2.xmp", "d.Q.jpg",
         "d.xmp"]  # fmt: skip


def test_photographs_of_a_listing_wait_for_their_sidecars_and_for_no_more():
    folder = parse_location("s3://scans")
    listed = (Listed(folder / name, name, 1) for name in sorted(NAMES))
    found = {}
    for file, sidecars in pair_sidecars(listed):
        found[file.below] = " ".join(sidecar.name for sidecar in sidecars)
        if file.below == "a-b.tif":
            assert next(listed).below == "a.1.xmp"  # so far was read ahead
    assert len(found) == len(NAMES) - 1
    assert {name: sidecars for name, sidecars in found.items() if sidecars} == {
        "a.jpg": "a.jpg.xmp a.xmp",
        "a.png": "a.xmp",
        "b.gif": "b.gif.xmp",
        "d.JPG": "d.xmp",
    }
