"""Screening: photographs that colours cannot be learnt from: near grey, toned, or graphics."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from colourizer.colour.metrics import colourfulness_of_pixels
from colourizer.colour.space import MAX_LIGHTNESS, pixels_to_lab

# Longest sides in pixels, at most, of the picture whose neighbouring pixels are compared, and of
# the one, reduced from it, whose colours are measured.
TEXTURE_SIDE, COLOUR_SIDE = MEASURED_SIDES = (256, 96)
GRID_SIDE = 64  # pixels compared with their neighbours along the longest side, at most
# Of 500 photographs in colour none is less colourful than that, fog and concrete among them.
MIN_COLOURFULNESS = 8.0
# Lab units. A toned photograph has one colour at each lightness: of 34 old ones none deviates by
# more than 2.7 from it; of 13,577 photographs in colour 117 deviate by less than 2.75.
MIN_TONE_DEVIATION = 2.75
LIGHTNESS_LEVELS = 16
# Charts, logos and screenshots: equal neighbours, few colours. Of 13,897 photographs none has so
# much of both. Black, as of the night sky, does not count as equal.
FLAT_SHARE, TOP_COLOURS, TOP_COLOURS_SHARE = 0.72, 8, 0.6
FLAT_STEP, BLACK = 1, 24  # of 255


@dataclass(frozen=True)
class PhotoStatistics:
    """What a photograph is screened by.

    colourfulness: of Hasler and Suesstrunk, from 0.
    tone_deviation: root mean square distance of ab from its mean at the same lightness, Lab units.
    flat_share: share of its pixels that equal their neighbours, [0, 1].
    top_colours_share: share of its pixels that have one of its TOP_COLOURS commonest colours.
    """

    colourfulness: float
    tone_deviation: float
    flat_share: float
    top_colours_share: float


def measure_photo(image: Image.Image) -> PhotoStatistics:
    """Return a photograph's statistics, from small versions of it, in 0.3 ms.

    Args:
        image: RGB, of any size.
    """
    textured = _reduce_to(image, TEXTURE_SIDE)
    coloured = np.asarray(_reduce_to(textured, COLOUR_SIDE))
    planes = np.ascontiguousarray(coloured.reshape(-1, 3).T)  # (3, N) uint8
    # Odd, so that the pixels compared are at all positions in the 8x8 blocks of a JPEG.
    stride = -(-max(textured.size) // GRID_SIDE) | 1
    return PhotoStatistics(
        round(colourfulness_of_pixels(planes), 3),
        round(tone_deviation(planes), 3),
        round(flat_share(np.asarray(textured), stride), 3),
        round(top_colours_share(planes), 3),
    )


def _reduce_to(image: Image.Image, side: int) -> Image.Image:
    """Return an image averaged over the smallest blocks that make no side longer than this."""
    factor = -(-max(image.size) // side)
    return image.reduce(factor) if factor > 1 else image


def tone_deviation(planes: np.ndarray) -> float:
    """Return how far pixels' colours lie from those of a toned photograph of the same lightness.

    Args:
        planes: (3, N) uint8 sRGB.

    Returns:
        Root mean square, Lab units; 0 where every lightness has one colour, as in sepia.
    """
    lightness, *ab = pixels_to_lab(planes)
    level = (lightness * (LIGHTNESS_LEVELS / MAX_LIGHTNESS)).astype(np.int64)
    count = np.bincount(level).clip(1)
    squares = 0.0
    for channel in ab:  # sum of squares about the mean of each level
        sums = np.bincount(level, channel)
        squares += float(channel @ channel - (sums * sums / count).sum())
    return float(np.sqrt(max(squares, 0) / level.size))


def flat_share(pixels: np.ndarray, stride: int) -> float:
    """Return the share of pixels that equal those to the right and below, and are not black.

    Args:
        pixels: (H, W, 3) uint8.
        stride: of the pixels that are compared, along both axes.
    """
    here = pixels[:-1:stride, :-1:stride].astype(np.int16)
    right = abs(pixels[:-1:stride, 1::stride] - here)
    below = abs(pixels[1::stride, :-1:stride] - here)
    flat = _max_channel(np.maximum(right, below)) <= FLAT_STEP
    flat &= _max_channel(here) > BLACK
    return float(flat.mean()) if flat.size else 0.0


def _max_channel(pixels: np.ndarray) -> np.ndarray:
    """Return the largest channel of (H, W, 3), in a tenth of the time of max(axis=-1)."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def top_colours_share(planes: np.ndarray) -> float:
    """Return the share of pixels, (3, N) uint8, that have one of the commonest colours."""
    red, green, blue = (planes >> 3).astype(np.int64)  # 32 levels are enough
    counts = np.bincount((red << 10) | (green << 5) | blue)
    return float(np.sort(counts)[-TOP_COLOURS:].sum() / red.size)


def reason_to_reject(statistics: PhotoStatistics) -> str:
    """Return why colours cannot be learnt from a photograph; empty if they can.

    A toned photograph, in sepia for one, counts as near grey.
    """
    is_toned = statistics.tone_deviation < MIN_TONE_DEVIATION
    if is_toned or statistics.colourfulness < MIN_COLOURFULNESS:
        return "near grey"
    if statistics.flat_share >= FLAT_SHARE and statistics.top_colours_share >= TOP_COLOURS_SHARE:
        return "graphic"
    return ""
