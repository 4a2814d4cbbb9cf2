"""tiff.py: pixels come back; other readers agree."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from colourizer.photos.exif import ASCII, SHORT, Directory, tiff_header
from colourizer.photos.icc import grey_srgb_profile
from colourizer.photos.metadata import LZW, Metadata, TiffStorage
from colourizer.photos.read import read_photo
from colourizer.photos.tiff import write_tiff
from colourizer.photos.write import write_photo


def deep(seed: int, *shape: int) -> np.ndarray:
    """Noise of 16 bits: every bit counts."""
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def cut(values: np.ndarray, rows: int) -> list[np.ndarray]:
    """Cut an array into strips."""
    return [values[y : y + rows] for y in range(0, len(values), rows)]


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


def written(path, values: np.ndarray, storage: TiffStorage | None, order: str = "<") -> bytes:
    """Write a TIFF, and return its bytes."""
    exif = tiff_header(order, 8) + Directory(order).pack(8)
    with path.open("w+b") as file:
        metadata = Metadata(exif, xmp=b"<x/>" * 9, tiff=storage)
        write_tiff(file, cut(values, 7), values.shape, 8 * values.itemsize, metadata)
    return path.read_bytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("name", "predictor"), [("NONE", 1), ("LZW", 2), ("PACKBITS", 1), ("ADOBE_DEFLATE", 2)]
)
def test_a_tiff_is_compressed_as_the_original_was(
    tmp_path, order, dtype, channels, name, predictor
):
    values = deep(1, 90, 401, channels).astype(dtype)
    values[10:30] = 7  # runs, which PackBits shortens
    code = tifffile.COMPRESSION[name]
    written(tmp_path / "a.tif", values, TiffStorage(code), order)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages[0]
        assert (page.compression, page.predictor, tiff.byteorder) == (code, predictor, order)
        assert page.shape == values.shape
        assert (code == 1) == (page.databytecounts[0] == page.rowsperstrip * values[0].nbytes)
        if name != "LZW":  # which it decodes by another package only
            assert np.array_equal(page.asarray(), values)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.metadata.tiff == TiffStorage(code)
    assert np.array_equal(photo.pixels, values[..., :3])
    if name == "LZW" and dtype == np.uint8:
        with Image.open(tmp_path / "a.tif") as image:  # decoded by libtiff
            assert np.array_equal(np.asarray(image), values)


@pytest.mark.parametrize("name", ["JPEG", "LZMA", "ZSTD", "CCITT_T6", "DEFLATE"])
def test_what_is_not_written_becomes_deflate(tmp_path, name):
    values = deep(2, 20, 30, 3)
    storage = TiffStorage(tifffile.COMPRESSION[name])
    written(tmp_path / "a.tif", values, storage)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert np.array_equal(tiff.asarray(), values)
    assert storage.is_kept == (name == "DEFLATE")  # which is another number of the same


@pytest.mark.parametrize("order", "<>")
def test_a_bigtiff_stays_one_with_all_its_tags(tmp_path, order):
    below = Directory(order)
    below.put(0x8827, SHORT, 400)  # ISO speed, in EXIF's own directory
    first = Directory(order)
    first.tags[315] = (ASCII, 12, b"Aunt Mary  \0")
    first.children[34665] = below
    exif = tiff_header(order, 8) + first.pack(8)
    values = deep(3, 50, 60, 3)
    with (tmp_path / "a.tif").open("w+b") as file:
        metadata = Metadata(exif, dpi=(600, 300), xmp=b"<x/>", tiff=TiffStorage(LZW, is_big=True))
        write_tiff(file, [values], values.shape, 16, metadata)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff
        tags = tiff.pages[0].tags
        assert tags["Artist"].value.strip() == "Aunt Mary"
        assert tags["ExifTag"].value["ISOSpeedRatings"] == 400
        assert tags["XResolution"].value == (600, 1)
        assert tags["XMP"].value == b"<x/>"
        assert tiff.pages[0].shape == values.shape
    if order == "<":  # Pillow reads no others
        photo = read_photo(tmp_path / "a.tif")
        assert np.array_equal(photo.pixels, values)
        assert photo.metadata.tiff == TiffStorage(LZW, is_big=True)


def test_a_tiff_becomes_big_where_offsets_need_it(tmp_path, monkeypatch):
    values = deep(4, 100, 300, 3)
    for end, big in ((1 << 32, False), (values.nbytes, True)):
        monkeypatch.setattr("colourizer.photos.tiff.CLASSIC_END", end)
        written(tmp_path / "a.tif", values, TiffStorage(1))
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            assert tiff.is_bigtiff == big
            assert np.array_equal(tiff.asarray(), values)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_of_a_profile_of_its_own_is_written_as_srgb_that_says_so(tmp_path, bits):
    greys = np.linspace(0, 2**bits - 1, 64 * 48).reshape(48, 64).astype(f"u{bits // 8}")
    profile = bytearray(grey_srgb_profile())
    place = struct.unpack(">I", profile[profile.index(b"kTRC") + 4 :][:4])[0]
    profile[place : place + 16] = b"curv" + struct.pack(">2I2H", 0, 1, 0x0100, 0)  # gamma 1
    tifffile.imwrite(tmp_path / "a.tif", greys, iccprofile=bytes(profile), metadata=None)
    photo = read_photo(tmp_path / "a.tif")
    rgb = np.repeat(photo.pixels[..., None], 3, axis=2)
    write_photo(tmp_path / "b.tif", rgb, photo)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        values, carried = tiff.asarray(), tiff.pages[0].iccprofile
    assert values.dtype == greys.dtype
    assert ImageCms.getProfileDescription(io.BytesIO(carried)).strip() == "sRGB"
    light = greys / (2**bits - 1)  # since its gamma is 1
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(values[..., 0] / (2**bits - 1) - srgb).max() < 0.51 / 255
    assert photo.converted == ("grey profile -> sRGB",)
