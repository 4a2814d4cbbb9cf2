"""png.py: pixels come back; other readers agree."""

import io

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

from colourizer.photos.metadata import Metadata
from colourizer.photos.png import write_png
from colourizer.photos.read import read_photo


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
