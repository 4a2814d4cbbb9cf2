"""png.py, tiff.py: sixteen bits come and go whole; other readers agree."""

import io
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.scenes import scene

from colourizer.photos.errors import PhotoError
from colourizer.photos.exif import Directory, tiff_header
from colourizer.photos.metadata import Metadata
from colourizer.photos.png import write_png
from colourizer.photos.read import read_photo
from colourizer.photos.tiff import write_tiff


def deep(seed: int, *shape: int) -> np.ndarray:
    """Noise of 16 bits: every bit counts."""
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def cut(values: np.ndarray, rows: int) -> list[np.ndarray]:
    """Cut an array into strips."""
    return [values[y : y + rows] for y in range(0, len(values), rows)]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (31, 45), (7, 300), (700, 201)])
def test_a_png_is_read_as_it_was_written(size, channels, bits):
    values = deep(0, *size, channels) >> (16 - bits)
    values = values.astype(f"u{bits // 8}")
    file = io.BytesIO()
    write_png(file, cut(values, 5), values.shape, bits, Metadata())
    photo = read_photo(file)
    assert np.array_equal(photo.pixels, values[..., :3])
    if channels == 4:
        assert np.array_equal(photo.alpha, values[..., 3])
    Image.open(file).verify()  # checksums
    high = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(high, values[..., :3] >> (bits - 8))


def test_a_smooth_deep_png_is_smaller_than_its_values():
    ramp = np.broadcast_to(np.arange(0, 51200, 200, dtype=np.uint16)[None, :, None], (64, 256, 3))
    file = io.BytesIO()
    write_png(file, cut(ramp, 16), ramp.shape, 16, Metadata())
    assert file.tell() < ramp.nbytes / 20


def test_a_png_of_8_bits_is_about_as_small_as_pillows():
    values = np.asarray(scene(1, 300, 400))
    file, pillows = io.BytesIO(), io.BytesIO()
    write_png(file, cut(values, 16), values.shape, 8, Metadata())
    Image.fromarray(values).save(pillows, "PNG", compress_level=1)
    assert file.tell() < 1.1 * pillows.tell()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_tiff_is_read_by_others_as_it_was_written(tmp_path, order, bits, channels):
    values = deep(1, 90, 1001, channels) >> (16 - bits)
    values = values.astype(np.uint8 if bits == 8 else np.uint16)
    exif = tiff_header(order, 8) + Directory(order).pack(8)
    with (tmp_path / "a.tif").open("w+b") as file:
        metadata = Metadata(exif, dpi=(300.5, 300.5))
        write_tiff(file, cut(values, 7), values.shape, bits, metadata)
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, values[..., :3])
    if channels == 4:
        assert np.array_equal(photo.alpha, values[..., 3])
    assert photo.metadata.dpi == pytest.approx((300.5, 300.5))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages[0]
        assert page.shape == values.shape
        assert page.compression == 8
        assert len(page.dataoffsets) > 1
        packed = (tmp_path / "a.tif").read_bytes()[page.dataoffsets[1] :][: page.databytecounts[1]]
    rows = page.rowsperstrip
    numbers = np.frombuffer(zlib.decompress(packed), f"{order}u{bits // 8}")
    strip = np.cumsum(numbers.reshape(-1, 1001, channels), axis=1, dtype=values.dtype)
    assert np.array_equal(strip, values[rows : 2 * rows])


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
    truth = np.moveaxis(values, 0, -1)
    if compression:  # Pillow gives their high bytes only
        assert np.array_equal(pixels, truth >> 8)
    else:
        assert np.array_equal(pixels, truth)


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
