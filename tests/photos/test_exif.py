"""exif.py: tags stay as they were, but for what changed."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from colourizer.photos.exif import (
    MAX_DIRECTORIES,
    extract_exif,
    parse_exif,
    read_tags,
    update_exif,
)

MADE_BY = "colourized with Image Colourizer, model M & N, version 0123abcd"


MAKER_NOTE = bytes(range(256)) * 3


def exif(order: str = "<", **more: object) -> bytes:
    """EXIF with a camera, a place, a maker note, an orientation."""
    tags = Image.Exif()
    tags.endian = order
    tags[0x010F], tags[0x0112], tags[0x0131] = "Zeiss", 6, "Scanner 1.0"
    tags.get_ifd(ExifTags.IFD.Exif)[0x9003] = "1931:05:01 12:00:00"
    tags.get_ifd(ExifTags.IFD.Exif)[0x927C] = MAKER_NOTE
    tags.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    tags.get_ifd(ExifTags.IFD.GPSInfo)[2] = (52.0, 31.0, 12.5)
    return tags.tobytes().removeprefix(b"Exif\0\0")


def as_pillow_reads(content: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + content)
    return tags


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("software", [None, MADE_BY])
def test_exif_says_upright_and_who_and_all_else_as_before(order, software):
    before = exif(order)
    after = update_exif(before, software)
    old, new = as_pillow_reads(before), as_pillow_reads(after)
    assert new[0x0112] == 1
    assert new[0x0131] == (f"Scanner 1.0; {MADE_BY}" if software else "Scanner 1.0")
    assert new[0x010F] == "Zeiss"
    for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        assert dict(new.get_ifd(ifd)) == dict(old.get_ifd(ifd)) != {}
    assert after.index(MAKER_NOTE) == before.index(MAKER_NOTE)  # it may hold places of its own


def test_the_maker_is_named_once_however_often_it_is_said():
    twice = as_pillow_reads(update_exif(update_exif(exif(), MADE_BY), MADE_BY))
    assert twice[0x0131].count(MADE_BY) == 1


def test_exif_of_what_is_in_colour_no_longer_says_that_it_is_grey():
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + exif())
    tags[258], tags[262], tags[277] = 8, 1, 1
    after = as_pillow_reads(update_exif(tags.tobytes().removeprefix(b"Exif\0\0"), None))
    assert after.keys() & {258, 262, 277} == set()
    assert after[0x010F] == "Zeiss"


def test_exif_can_leave_orientation_out():
    assert 0x0112 not in as_pillow_reads(update_exif(exif(), None, keep_orientation=False))


@pytest.mark.parametrize("broken", [b"no EXIF", b"II*\0\xff\xff\xff\x7f", exif()[:20], b"II*\0"])
def test_broken_exif_gives_way_to_what_is_to_be_said(broken):
    assert as_pillow_reads(update_exif(broken, MADE_BY))[0x0131] == MADE_BY
    assert update_exif(broken, None) == b""


def test_of_nothing_comes_nothing_and_of_a_maker_a_maker():
    assert update_exif(b"", None) == b""
    assert dict(as_pillow_reads(update_exif(b"", MADE_BY))) == {0x0131: MADE_BY}


def test_a_tiff_gives_its_tags_but_not_how_it_is_stored(tmp_path):
    options = {"compression": "zlib", "tile": (16, 16), "byteorder": ">", "bigtiff": True}
    extra = [(270, 2, 0, "aunt Mary", True), (315, 2, 0, "uncle Fred", True)]
    extra += [(33432, 2, 0, "public domain", True), (65000, 7, 5, b"house", True)]
    pixels = [[[0, 0, 0]] * 40] * 40
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", dtype="uint8",
                     metadata=None, extratags=extra, resolution=(30, 40),
                     resolutionunit=3, **options)  # fmt: skip
    with (tmp_path / "a.tif").open("rb") as file:
        found = read_tags(io.BytesIO(extract_exif(file)))
    assert found.tags[270][2] == b"aunt Mary\0"
    assert found.tags[315][2] == b"uncle Fred\0"
    assert found.tags[65000][2] == b"house"
    assert found.numbers(296) == (3,)
    assert found.tags[282][2] == struct.pack(">2I", 30, 1)
    assert not {256, 257, 258, 259, 262, 277, 322, 324, 325} & set(found.tags)


@pytest.mark.parametrize("kind", [{}, {"imagej": True}, {"ome": True}])
def test_a_description_of_grey_samples_is_not_taken_for_a_caption(kind):
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((8, 8), np.uint8), **kind)
    assert 270 in read_tags(file).tags
    assert 270 not in parse_exif(extract_exif(file)).tags


def test_a_directory_of_too_many_tags_is_refused():
    endless = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", MAX_DIRECTORIES + 1)
    with pytest.raises(ValueError, match="too many"):
        read_tags(io.BytesIO(endless + bytes(10**6)))


def test_tags_that_claim_more_than_the_file_has_take_no_memory():
    n = 900
    entries = b"".join(struct.pack("<HHII", 1000 + i, 7, 10**5, 8) for i in range(n))
    content = struct.pack("<2sHIH", b"II", 42, 8, n) + entries + bytes(10**5)
    found = read_tags(io.BytesIO(content))
    assert sum(len(raw) for _, _, raw in found.tags.values()) <= len(content)
    claims = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 270, 2, 0xFFFFFFF0, 8, 0)
    assert read_tags(io.BytesIO(claims)).tags == {}
