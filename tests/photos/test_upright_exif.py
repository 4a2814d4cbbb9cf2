"""upright_exif.py: sizes and positions in EXIF are the upright picture's."""

import struct

import pytest
from PIL import ExifTags, Image

from colourizer.photos.upright_exif import upright_exif

PIXEL_X, PIXEL_Y, FOCAL_X, FOCAL_Y = 0xA002, 0xA003, 0xA20E, 0xA20F
SUBJECT_AREA, SUBJECT_LOCATION = 0x9214, 0xA214


def exif(order: str = "<", size: tuple[int, int] = (240, 160)) -> bytes:
    """EXIF of a stored picture of 240x160 pixels."""
    tags = Image.Exif()
    tags.endian = order
    tags[0x0112], tags[0x010F], tags[282], tags[283] = 6, "Zeiss", 300.0, 150.0
    camera = tags.get_ifd(ExifTags.IFD.Exif)
    camera[PIXEL_X], camera[PIXEL_Y] = size
    camera[FOCAL_X], camera[FOCAL_Y] = 1000.0, 500.0
    camera[SUBJECT_AREA], camera[SUBJECT_LOCATION] = (60, 80, 24, 16), (60, 80)
    camera[0x927C] = b"maker's note"
    return tags.tobytes().removeprefix(b"Exif\0\0")


def values(content: bytes) -> tuple[Image.Exif, dict[int, object]]:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + content)
    return tags, dict(tags.get_ifd(ExifTags.IFD.Exif))


@pytest.mark.parametrize("order", "<>")
def test_sizes_and_positions_are_turned_and_all_else_stays_where_it_was(order):
    before = exif(order)
    after = upright_exif(before, 6, (240, 160))
    assert len(after) == len(before)
    first, camera = values(after)
    assert (camera[PIXEL_X], camera[PIXEL_Y]) == (160, 240)
    assert (camera[FOCAL_X], camera[FOCAL_Y]) == (500, 1000)
    assert (first[282], first[283]) == (150, 300)
    assert camera[SUBJECT_AREA] == (80, 60, 16, 24)
    assert camera[SUBJECT_LOCATION] == (80, 60)
    assert first[0x010F] == "Zeiss"
    assert after.index(b"maker's note") == before.index(b"maker's note")


def test_of_an_upright_picture_with_true_sizes_every_byte_stays():
    assert upright_exif(exif(), 1, (160, 240)) == exif()


def test_sizes_of_another_picture_give_way_to_the_true_ones():
    _, camera = values(upright_exif(exif(), 1, (70_000, 100)))
    assert (camera[PIXEL_X], camera[PIXEL_Y]) == (100, 70_000)


@pytest.mark.parametrize(
    "broken", [b"", b"no EXIF", exif()[:60], b"II*\0\xff\xff\xff\x7f", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_exif_stays_as_it_is(broken):
    assert upright_exif(broken, 6, (3, 2)) == broken


def test_a_directory_that_points_to_itself_comes_to_an_end():
    ring = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHII", 1, 34665, 4, 1, 8)
    assert upright_exif(ring, 6, (3, 2)) == ring
