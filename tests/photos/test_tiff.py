"""tiff.py: pixels come back; other readers agree."""

import zlib

import numpy as np
import pytest
import tifffile

from colourizer.photos.exif import Directory, tiff_header
from colourizer.photos.metadata import Metadata
from colourizer.photos.read import read_photo
from colourizer.photos.tiff import write_tiff


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
