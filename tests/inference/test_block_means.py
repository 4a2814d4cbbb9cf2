"""block_means.py: means over blocks, each computed once."""

import warnings

import numpy as np
import pytest

from colourizer.inference import block_means
from colourizer.inference.block_means import BlockMeans

SIZES = [(64, 48), (65, 48), (67, 52), (40, 56), (41, 47), (3, 8), (5, 3), (4, 16), (1, 1)]


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    top = int(np.iinfo(dtype).max) + 1
    return np.random.default_rng(5).integers(0, top, shape, dtype=dtype)


def mean_of_squares(pixels: np.ndarray, side: int) -> np.ndarray:
    """Compute in float64 what is to come out, before rounding."""
    rows = [pixels[y : y + side] for y in range(0, len(pixels), side)]
    means = [
        [row[:, x : x + side].mean(axis=(0, 1)) for x in range(0, row.shape[1], side)]
        for row in rows
    ]
    return np.array(means)


def check(found: np.ndarray, means: np.ndarray, pixels: np.ndarray, side: int, off: float) -> None:
    assert found.shape == means.shape
    if side <= 4:  # of averages of averages, those at the edge count as if they were whole
        assert np.abs(found - means).max() < 1  # Pillow rounds what is left at a corner down
    height, width = (size // side for size in pixels.shape[:2])
    found, means = found[:height, :width], means[:height, :width]
    assert np.abs(found - means).max(initial=0) <= off + 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_each_square_is_its_mean(size):
    grey = noise(*size)
    for side, off in ((2, 0.5), (4, 0.5), (8, 1.0), (16, 1.5)):
        found = BlockMeans(grey).of(side)
        assert found.dtype == np.uint8
        check(found, mean_of_squares(grey, side), grey, side, off)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_and_16_bits_are_averaged_to_8_bits(monkeypatch, dtype):
    monkeypatch.setattr(block_means, "STRIP_ROWS", 16)
    full = int(np.iinfo(dtype).max)
    for pixels in (noise(50, 37, 3, dtype=dtype), noise(50, 37, dtype=dtype)):
        for side, off in ((2, 1.0), (4, 1.0), (8, 1.5)):
            found = BlockMeans(pixels).of(side)
            expected = mean_of_squares(pixels, side) / full * 255
            check(found, expected, pixels, side, off)


def test_what_is_no_plain_memory_is_averaged_too_and_stays_as_it_is():
    grey = noise(64, 96)
    locked = grey.copy()
    locked.setflags(write=False)
    expected = BlockMeans(grey.copy()).of(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(BlockMeans(locked).of(4), expected)
        assert np.array_equal(BlockMeans(grey[::-1]).of(4), expected[::-1])
    assert np.array_equal(locked, grey)


def test_of_averages_at_hand_those_of_larger_squares_are_computed(monkeypatch):
    grey = noise(66, 48)
    known = BlockMeans(grey)
    known.of(2)
    monkeypatch.setattr(known, "_pixels", None)  # not of all pixels again
    found = known.of(4)
    assert found.shape == (17, 12)
    assert np.abs(found - mean_of_squares(grey, 4))[:16].max() <= 1


def test_an_average_is_computed_once(monkeypatch):
    ours, counts = block_means._reduce, []
    monkeypatch.setattr(block_means, "_reduce", lambda *args: counts.append(args) or ours(*args))
    known = BlockMeans(noise(64, 64))
    assert known.of(8) is known.of(8)
    known.of(16)
    assert len([1 for _, side in counts if side == 2]) == 2
