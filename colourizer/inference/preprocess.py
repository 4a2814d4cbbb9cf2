"""A photograph's lightness -> what the network sees of it."""

import math

import numpy as np
from torch import Tensor

from colourizer.colour.space import MAX_LIGHTNESS
from colourizer.inference.fast.block_means import Averages
from colourizer.inference.lightness import photo_lightness
from Model_CNN import STRIDE

# The network looks at every photograph at about this many pixels, whatever its own size, so that
# a scan and its thumbnail get the same colours.
WORKING_PIXELS = 256 * 256
# The network sees the darkest of a photograph's pixels no lighter than BLACK and the lightest no
# darker than WHITE, lightness in Lab units, this share of them left out: faded and toned prints
# become as fresh ones.
LEVELS_SHARE, BLACK, WHITE = 0.005, 5.0, 95.0
LEAST_DETAIL = 4 / 3  # times the network's size: what pixels are averaged to, before finer reducing
LEAST_RANGE = 15.0  # Lab units of lightness; what has less is an empty picture and left alone


def stretch_levels(lightness: Tensor) -> Tensor:
    """Undo fading, and what is left of a tone: let lightness reach from BLACK to WHITE at least.

    Args:
        lightness: (1, 1, h, w) in [0, 100].

    Returns:
        lightness (1, 1, h, w) in [0, 100].
    """
    values = lightness.numpy().ravel()
    last = len(values) - 1
    left_out = round(LEVELS_SHARE * last)
    # One place at a time: for two NumPy has no quick way.
    black, white = (float(np.partition(values, n)[n]) for n in (left_out, last - left_out))
    if white - black < LEAST_RANGE or (black <= BLACK and white >= WHITE):
        return lightness
    new_black, new_white = min(black, BLACK), max(white, WHITE)
    stretched = (lightness - black) * ((new_white - new_black) / (white - black)) + new_black
    return stretched.clamp(0, MAX_LIGHTNESS)


def working_size(height: int, width: int) -> tuple[int, int]:
    """Choose the size at which the network sees a photograph.

    Returns:
        (height, width), multiples of the network's stride, about WORKING_PIXELS in all, of nearly
        the photograph's own aspect; beyond 4:1 the long side is squeezed.
    """
    aspect = min(4.0, max(0.25, height / width))
    rows = math.sqrt(WORKING_PIXELS * aspect)
    return (
        max(STRIDE, round(rows / STRIDE) * STRIDE),
        max(STRIDE, round(rows / aspect / STRIDE) * STRIDE),
    )


def reduced_lightness(pixels: np.ndarray, averages: Averages | None = None) -> Tensor:
    """Measure a photograph's lightness at LEAST_DETAIL times the network's size or more.

    A photograph that is not twice as large as that is left as large as it is.

    Whole numbers of pixels are averaged, which takes a tenth of the time of anything finer.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].
        averages: of pixels, if they are at hand.

    Returns:
        lightness (1, h, w) in [0, 100].
    """
    height, width = working_size(*pixels.shape[:2])
    factor = min(pixels.shape[0] / height, pixels.shape[1] / width) / LEAST_DETAIL
    if factor >= 2:
        pixels = (averages or Averages(pixels)).over(2 ** int(math.log2(factor)))
    return photo_lightness(pixels)
