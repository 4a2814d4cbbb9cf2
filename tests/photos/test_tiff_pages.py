"""tiff_pages.py: of a TIFF's pictures the photograph is taken, never a thumbnail of it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene
from support.tiff_kinds import LONG, SHORT, assemble

from colourizer.photos.decode import open_image
from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.read import read_photo, read_rgb
from colourizer.photos.tiff_pages import find_photographs

FULL = np.asarray(scene(0))  # (48, 64, 3)
SMALL, HALF = (np.asarray(scene(0).reduce(n)) for n in (4, 2))
OTHER = np.asarray(scene(1))
Picture = tuple[dict, list[bytes], tuple[int, int]]


def picture(pixels: np.ndarray, **tags: int) -> Picture:
    """Return a directory of an uncompressed picture for `assemble`."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    fields = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8 * pixels.itemsize] * samples),
        259: (SHORT, [1]),
        262: (SHORT, [1 if samples == 1 else 2]),
        277: (SHORT, [samples]),
        278: (LONG, [height]),
    }
    numbers = {"kind": 254, "old_kind": 255, "orientation": 274, "photometric": 262, "page": 297}
    fields |= {numbers[name]: (SHORT, [value]) for name, value in tags.items()}
    if "page" in tags:
        fields[297] = (SHORT, [tags["page"], 2])
    return fields, [pixels.tobytes()], (273, 279)


def hang_below(content: bytes, first: int = 1) -> bytes:
    """Turn the directories of a TIFF after the first into subdirectories of it.

    The first one needs a tag 330 of as many values.
    """
    data = bytearray(content)
    offsets, (offset,) = [], struct.unpack_from("<I", data, 4)
    while offset:
        (n,) = struct.unpack_from("<H", data, offset)
        offsets.append((offset, n))
        (offset,) = struct.unpack_from("<I", data, offset + 2 + 12 * n)
    below = [place for place, _ in offsets[first:]]
    for place, n in offsets:
        struct.pack_into("<I", data, place + 2 + 12 * n, 0)
    place, n = offsets[0]
    for at in range(place + 2, place + 2 + 12 * n, 12):
        tag, _, count, value = struct.unpack_from("<HHII", data, at)
        if tag == 330:
            assert count == len(below)
            struct.pack_into(f"<{count}I", data, at + 8 if count == 1 else value, *below)
    return bytes(data)


def with_room_below(described: Picture, count: int) -> Picture:
    fields, pieces, places = described
    return {**fields, 330: (LONG, [0] * count)}, pieces, places


def broken(described: Picture) -> Picture:
    """Say that an uncompressed picture's bytes are deflated."""
    fields, pieces, places = described
    return {**fields, 259: (SHORT, [8])}, pieces, places


GREY = np.asarray(scene(2).convert("L"))
CHAINS = {
    "alone": [picture(FULL)],
    "alone, though it says that it is reduced": [picture(FULL, kind=1)],
    "a reduced copy after it": [picture(FULL), picture(SMALL, kind=1)],
    "a reduced copy before it": [picture(SMALL, kind=1), picture(FULL)],
    "a reduced copy of the old kind before it": [picture(SMALL, old_kind=2), picture(FULL)],
    "copies before and after": [picture(SMALL, kind=1), picture(FULL), picture(SMALL, kind=1)],
    "a copy of nearly its size before it": [picture(FULL[:40, :50], kind=1), picture(FULL)],
    "a copy that does not say so": [picture(SMALL), picture(FULL)],
    "a pyramid that does not say so": [
        picture(FULL),
        picture(HALF),
        picture(np.asarray(scene(0).reduce(8))),
    ],
    "copies that do not say so, of one size": [picture(SMALL), picture(FULL), picture(SMALL)],
    "a mask": [picture(FULL), picture(GREY, kind=4)],
    "a mask before it": [picture(GREY, kind=4), picture(FULL)],
    "a mask that its photometric tells": [picture(FULL), picture(GREY, photometric=4)],
    "two masks that their photometric tells": [
        picture(GREY, photometric=4), picture(FULL), picture(GREY, photometric=4),
    ],
    "an infrared channel": [picture(FULL), picture(GREY)],
    "an infrared channel before it": [picture(GREY), picture(FULL)],
    "infrared and a copy": [picture(SMALL, kind=1), picture(FULL), picture(GREY)],
}  # fmt: skip
BELOW = {
    "the photograph below a reduced copy": [picture(SMALL, kind=1), picture(FULL)],
    "the photograph below a copy that does not say so": [picture(SMALL), picture(FULL)],
    "copies below the photograph": [
        picture(FULL), picture(SMALL, kind=1), picture(SMALL[::2, ::2], kind=1),
    ],
    "copies below that do not say so": [picture(FULL), picture(SMALL), picture(SMALL[::2, ::2])],
}  # fmt: skip


def all_kinds() -> dict[str, bytes]:
    kinds = {name: assemble(pictures) for name, pictures in CHAINS.items()}
    for name, (first, *others) in BELOW.items():
        kinds[name] = hang_below(assemble([with_room_below(first, len(others)), *others]))
    return kinds


@pytest.mark.parametrize("name", all_kinds())
def test_the_photograph_is_taken_and_not_a_copy_of_it(tmp_path, name):
    (tmp_path / "a.tif").write_bytes(all_kinds()[name])
    assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, FULL)
    assert np.array_equal(np.asarray(read_rgb(tmp_path / "a.tif")), FULL)
    with open_image(tmp_path / "a.tif") as image:
        assert image.size == (64, 48)
    assert np.array_equal(read_photo(io.BytesIO(all_kinds()[name])).pixels, FULL)


SEVERAL = {
    "three pages": [picture(FULL), picture(OTHER), picture(FULL)],
    "two pages of grey": [picture(GREY), picture(GREY)],
    "two pages of different sizes": [picture(FULL), picture(OTHER[:30])],
    "two pages, one of them half as large": [picture(FULL), picture(np.asarray(scene(1, 24, 32)))],
    "three pages, two of them half as large": [
        picture(FULL), picture(np.asarray(scene(1, 24, 32))), picture(np.asarray(scene(2, 24, 32))),
    ],
    "a page of colours and one of grey, numbered": [picture(FULL, page=0), picture(GREY, page=1)],
    "a page of colours and one of grey, of a kind": [picture(FULL, kind=2), picture(GREY, kind=2)],
    "a page of colours and two of grey": [picture(FULL), picture(GREY), picture(GREY)],
    "a page that cannot be decoded": [picture(FULL), broken(picture(HALF))],
    "two pages and a copy": [picture(SMALL, kind=1), picture(FULL), picture(OTHER)],
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_photographs_none_is_taken(name):
    content = io.BytesIO(assemble(SEVERAL[name]))
    with pytest.raises(SeveralPicturesError, match=r"[23] pages"):
        read_photo(content)
    assert read_rgb(content).size == (64, 48)  # the training takes one of them


def test_a_camera_s_raw_file_is_refused_though_it_holds_a_thumbnail():
    raw = picture(GREY.astype(np.uint16), photometric=32803)
    content = hang_below(assemble([with_room_below(picture(SMALL, kind=1), 1), raw]))
    for read in (read_photo, read_rgb):
        with pytest.raises(PhotoError, match="raw values of a camera's sensor"):
            read(io.BytesIO(content))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_what_hangs_below_is_turned_as_the_one_above_says(deep, compressed):
    pixels = FULL.astype(np.uint16) * 257 if deep else FULL
    fields, pieces, places = picture(pixels)
    if compressed:
        import zlib

        fields[259], pieces = (SHORT, [8]), [zlib.compress(pieces[0])]
    above = with_room_below(picture(SMALL, kind=1, orientation=6), 1)
    content = io.BytesIO(hang_below(assemble([above, (fields, pieces, places)])))
    photo = read_photo(content)
    assert np.array_equal(photo.pixels, np.rot90(pixels, -1))
    assert np.array_equal(np.asarray(read_rgb(content)), np.rot90(FULL, -1))


def test_an_infrared_sample_is_no_transparency():
    fields, _, places = picture(np.dstack((FULL, GREY)))
    fields[338] = (SHORT, [0])
    content = assemble([(fields, [np.dstack((FULL, GREY)).tobytes()], places)])
    photo = read_photo(io.BytesIO(content))
    assert np.array_equal(photo.pixels, FULL)
    assert photo.alpha is None


def test_directories_in_a_ring_come_to_an_end():
    fields, pieces, places = picture(FULL)
    ring = bytearray(assemble([with_room_below((fields, pieces, places), 1)]))
    (offset,) = struct.unpack_from("<I", ring, 4)
    (n,) = struct.unpack_from("<H", ring, offset)
    struct.pack_into("<I", ring, offset + 2 + 12 * n, offset)
    assert len(find_photographs(io.BytesIO(ring))) == 1
    nothing = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHIII", 1, 254, 4, 1, 0, 8)
    assert len(find_photographs(io.BytesIO(nothing))) == 1
    with pytest.raises(PhotoError):
        read_photo(io.BytesIO(nothing))


def test_pages_that_pillow_writes_are_counted(tmp_path):
    page = Image.new("L", (9, 9))
    page.save(tmp_path / "3.tif", save_all=True, append_images=[page, page])
    with (tmp_path / "3.tif").open("rb") as file:
        assert len(find_photographs(file)) == 3


@pytest.mark.parametrize("kind", [LONG, SHORT])
@pytest.mark.parametrize("orientation", [0, 6, 9, 200])
def test_an_orientation_that_there_is_not_turns_nothing(kind, orientation):
    fields, pieces, places = picture(GREY)
    fields[274] = (kind, [orientation])
    content = io.BytesIO(assemble([(fields, pieces, places)]))
    expected = np.rot90(GREY, -1) if orientation == 6 else GREY
    assert np.array_equal(read_photo(content).pixels, expected)
    assert np.array_equal(np.asarray(read_rgb(content))[..., 0], expected)
