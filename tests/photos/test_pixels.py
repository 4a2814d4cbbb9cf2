"""pixels.py: every mode that a file can have comes out as grey or sRGB, and alpha."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from support.scenes import scene

from colourizer.photos.pixels import reduce_neutral, to_8_bits, to_16_bits
from colourizer.photos.read import read_photo, read_rgb
from colourizer.photos.write import write_photo

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")


def of_mode(mode: str, size: tuple[int, int]) -> Image.Image:
    height, width = size
    picture = scene(0, height, width)
    if mode == "LAB":
        return Image.merge("LAB", picture.split())
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(picture.convert("L")).astype(np.float64)
        kinds = {"I;16": (np.uint16, 257), "I": (np.int32, 257), "F": (np.float32, 1 / 255)}
        dtype, full = kinds[mode]
        return Image.fromarray((grey * full).astype(dtype))
    image = picture.convert(mode)
    if mode in ("LA", "PA", "RGBA"):
        image.putalpha(Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(size)))
    return image


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 18)])
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_in_every_format_is_read_and_written(tmp_path, mode, file_format, size):
    path = tmp_path / "a"
    try:
        of_mode(mode, size).save(path, file_format)
    except (OSError, ValueError, KeyError):
        return  # the format has no such mode
    photo = read_photo(path)
    assert photo.pixels.shape in (size, (*size, 3))
    deep = mode in ("I;16", "I", "F") and file_format in ("PNG", "TIFF")
    assert photo.pixels.dtype == (np.uint16 if deep else np.uint8)
    assert read_rgb(path).size == size[::-1]
    if photo.alpha is not None:
        assert photo.alpha.shape == size
    rgb = photo.pixels if photo.pixels.ndim == 3 else np.stack([photo.pixels] * 3, axis=2)
    file = io.BytesIO()
    write_photo(file, rgb, photo, provenance="us")
    again = read_photo(file)
    assert again.pixels.shape[:2] == size
    if file_format in ("PNG", "TIFF", "BMP", "GIF"):
        assert np.array_equal(again.pixels, photo.pixels)
        assert again.pixels.dtype == photo.pixels.dtype
        if photo.alpha is not None and file_format != "BMP":
            assert np.array_equal(to_16_bits(again.alpha), to_16_bits(photo.alpha))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_alpha_is_what_the_file_says(tmp_path, mode, file_format):
    image = of_mode(mode, (16, 16))
    image.save(tmp_path / "a", file_format, quality=100)
    truth = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(read_photo(tmp_path / "a").alpha, truth)


def test_lab_becomes_the_colour_it_says(tmp_path):
    profiles = [ImageCms.createProfile(kind) for kind in ("sRGB", "LAB")]
    red = Image.new("RGB", (3, 2), (200, 40, 60))
    ImageCms.profileToProfile(red, *profiles, outputMode="LAB").save(tmp_path / "a.tif")
    pixels = read_photo(tmp_path / "a.tif").pixels
    assert np.abs(pixels.astype(int) - [200, 40, 60]).max() <= 3


def test_a_palettes_transparent_entry_becomes_alpha(tmp_path):
    image = scene(0).quantize(16)
    image.save(tmp_path / "a.png", transparency=3)
    image.save(tmp_path / "a.gif", transparency=3)
    for name in ("a.png", "a.gif"):
        assert np.array_equal(read_photo(tmp_path / name).alpha == 0, np.asarray(image) == 3)


def test_the_unseen_value_of_a_png_becomes_alpha_in_any_depth(tmp_path):
    grey = np.arange(0, 51200, 200, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "16.png", transparency=2000)
    Image.fromarray((grey >> 8).astype(np.uint8)).save(tmp_path / "8.png", transparency=7)
    for name, unseen in (("16.png", grey == 2000), ("8.png", grey >> 8 == 7)):
        photo = read_photo(tmp_path / name)
        assert photo.pixels.ndim == 2
        assert np.array_equal(photo.alpha == 0, unseen)
        assert unseen.any()


def test_white_may_be_zero_in_any_depth(tmp_path):
    ramp = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for bits, values in ((8, (ramp >> 8).astype(np.uint8)), (16, ramp)):
        top = 2**bits - 1
        tifffile.imwrite(tmp_path / "a.tif", top - values, photometric="miniswhite")
        assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, values)


def test_twelve_bits_reach_white(tmp_path):
    values = np.array([[0, 0x800], [0xFFF, 1]], dtype=np.uint16)
    packed = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x01])
    tifffile.imwrite(tmp_path / "a.tif", np.frombuffer(packed, np.uint8).reshape(2, 3))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tags = tiff.pages[0].tags
        for code, value in ((256, 2), (258, 12)):
            place = tags[code].valueoffset
            content[place : place + 2] = value.to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(content)
    pixels = read_photo(tmp_path / "a.tif").pixels
    assert np.array_equal(pixels, (values * (65535 / 4095)).round())


def test_depths_change_without_a_shift():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_8_bits(to_16_bits(every)), every)
    assert to_16_bits(every)[[0, -1]].tolist() == [0, 65535]
    deep = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_8_bits(deep), (deep / 257).round().astype(np.uint8))


def test_tolerance_is_what_it_says():
    nearly = np.full((300, 4, 3), 100, np.uint8)
    nearly[299, 3] = (101, 100, 99)
    assert reduce_neutral(nearly).ndim == 3
    assert reduce_neutral(nearly, tolerance=1).shape == (300, 4)
    nearly[299, 3, 0] = 102
    assert reduce_neutral(nearly, tolerance=1).ndim == 3
