"""sixteen_bit.py: sixteen bits are read to the last one."""

import io
import zlib

import numpy as np
import pytest
import tifffile

from colourizer.photos.errors import PhotoError
from colourizer.photos.metadata import Metadata
from colourizer.photos.png import write_png
from colourizer.photos.read import read_photo
from colourizer.photos.tiff import write_tiff


def deep(seed: int, *shape: int) -> np.ndarray:
    """Noise of 16 bits: every bit counts."""
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


KINDS = [
    (order, compression, tile, alpha)
    for order in "<>"
    for compression in (None, "zlib")
    for tile in (None, (16, 16))
    for alpha in (None, "unassalpha", "assocalpha", "unspecified")
]


@pytest.mark.parametrize(("order", "compression", "tile", "alpha"), KINDS)
def test_deep_tiffs_of_others_are_read_to_the_last_bit(tmp_path, order, compression, tile, alpha):
    values = deep(2, 31, 45, 4 if alpha else 3)
    if alpha == "assocalpha":
        values[..., 3] |= 0x8000  # alphas of a half and more
        values[..., :3] = np.minimum(values[..., :3], values[..., 3:])
    options = {"extrasamples": [alpha]} if alpha else {}
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="rgb", byteorder=order, compression=compression,
        tile=tile, **options,
    )  # fmt: skip
    photo = read_photo(tmp_path / "a.tif")
    assert photo.pixels.dtype == np.uint16
    if alpha == "assocalpha":
        truth = values[..., :3] / np.maximum(values[..., 3:], 1) * 65535
        assert np.abs(photo.pixels - truth).max() <= 0.51
    else:
        assert np.array_equal(photo.pixels, values[..., :3])
    if alpha in ("unassalpha", "assocalpha"):
        assert np.array_equal(photo.alpha, values[..., 3])
    else:
        assert photo.alpha is None


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_lie_apart_are_read_too(tmp_path, order, compression):
    values = deep(3, 3, 31, 45)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="rgb", byteorder=order, compression=compression,
        planarconfig="separate",
    )  # fmt: skip
    pixels = read_photo(tmp_path / "a.tif").pixels
    assert np.array_equal(pixels, np.moveaxis(values, 0, -1))


def test_deep_grey_with_alpha_is_read_from_png():
    grey, alpha = deep(4, 9, 11), deep(5, 9, 11)
    rows = np.stack((grey, alpha), axis=2).astype(">u2").tobytes()
    rows = b"".join(b"\0" + rows[y : y + 44] for y in range(0, len(rows), 44))
    file = io.BytesIO()
    write_png(file, [np.zeros((9, 11, 4), np.uint16)], (9, 11, 4), 16, Metadata())
    content = bytearray(file.getvalue())
    content[25] = 4  # colour type: grey and alpha
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    packed = zlib.compress(rows)
    content[33:] = len(packed).to_bytes(4, "big") + b"IDAT" + packed
    content += zlib.crc32(b"IDAT" + packed).to_bytes(4, "big") + b"\0\0\0\0IEND\xae\x42\x60\x82"
    photo = read_photo(io.BytesIO(content))
    assert np.array_equal(photo.pixels, grey)
    assert np.array_equal(photo.alpha, alpha)


def test_half_a_deep_file_is_no_photo(tmp_path):
    values = deep(6, 40, 40, 3)
    for write, name in ((write_png, "a.png"), (write_tiff, "a.tif")):
        with (tmp_path / name).open("w+b") as file:
            write(file, [values], values.shape, 16, Metadata())
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(PhotoError):
            read_photo(tmp_path / name)
