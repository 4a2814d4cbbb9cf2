"""A photograph prepared for the network: its lightness, reduced, stretched, at the working size."""

import math
from functools import cached_property

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import MAX_LIGHTNESS, round_to_greys
from colourizer.inference.block_means import BlockMeans
from colourizer.inference.lightness import photo_lightness
from colourizer.photos.photo import Photo
from Model_CNN import STRIDE

# Every photograph is resized to about this many pixels for the network, so that a scan and its
# thumbnail get the same colours.
WORKING_PIXELS = 256 * 256
# Faded and toned prints are stretched so that their darkest lightness is BLACK or less and their
# lightest WHITE or more (Lab units), LEVELS_SHARE of the pixels at either end ignored.
LEVELS_SHARE, BLACK, WHITE = 0.005, 5.0, 95.0
MIN_RANGE = 15.0  # Lab units of lightness; a picture with less is blank, and not stretched
MIN_DETAIL = 4 / 3  # times the working size: to no less are photographs reduced by block means


class PreparedPhoto:
    """A photograph on its way through the network and into a file.

    photo: its pixels, alpha and metadata.
    means: block means of its pixels, shared by preprocessing and recombining.
    size: its (height, width) in pixels.
    """

    def __init__(self, photo: Photo) -> None:
        self.photo = photo
        self.means = BlockMeans(photo.pixels)
        self.size: tuple[int, int] = (photo.pixels.shape[0], photo.pixels.shape[1])

    @cached_property
    def lightness(self) -> Tensor:
        """Lightness (1, h, w) in [0, 100], at MIN_DETAIL times the working size or more."""
        return reduced_lightness(self.photo.pixels, self.means)


def working_size(height: int, width: int) -> tuple[int, int]:
    """Return the size to which a photograph is resized for the network.

    Returns:
        (height, width), multiples of the network's stride, about WORKING_PIXELS in all, of nearly
        the photograph's aspect ratio; beyond 4:1 the long side is squeezed.
    """
    aspect = min(4.0, max(0.25, height / width))
    rows = math.sqrt(WORKING_PIXELS * aspect)
    return (
        max(STRIDE, round(rows / STRIDE) * STRIDE),
        max(STRIDE, round(rows / aspect / STRIDE) * STRIDE),
    )


def reduced_lightness(pixels: np.ndarray, means: BlockMeans | None = None) -> Tensor:
    """Return a photograph's lightness, block-averaged to MIN_DETAIL times the working size.

    It has that size or more; a photograph less than twice as large keeps its own. Block means take
    a tenth of the time of finer resampling.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].
        means: block means of pixels, where they are known already.

    Returns:
        lightness (1, h, w) in [0, 100].
    """
    height, width = working_size(*pixels.shape[:2])
    factor = min(pixels.shape[0] / height, pixels.shape[1] / width) / MIN_DETAIL
    if factor >= 2:
        pixels = (means or BlockMeans(pixels)).of(2 ** int(math.log2(factor)))
    return photo_lightness(pixels)


def find_levels(lightness: Tensor) -> tuple[float, float]:
    """Return the darkest and the lightest lightness but for LEVELS_SHARE of the pixels at each end.

    Args:
        lightness: any shape, in [0, 100], on the CPU.
    """
    values = lightness.numpy().ravel()
    last = len(values) - 1
    left_out = round(LEVELS_SHARE * last)
    # One quantile at a time: np.partition with two of them is slow.
    black, white = (float(np.partition(values, n)[n]) for n in (left_out, last - left_out))
    return black, white


def stretch_levels(lightness: Tensor, levels: tuple[float, float] | None = None) -> Tensor:
    """Return lightness stretched to reach from BLACK to WHITE at least.

    Args:
        lightness: (1, 1, h, w) in [0, 100].
        levels: from `find_levels`, where those of other frames count as well; None: its own.

    Returns:
        lightness (1, 1, h, w) in [0, 100].
    """
    black, white = levels or find_levels(lightness)
    if white - black < MIN_RANGE or (black <= BLACK and white >= WHITE):
        return lightness
    new_black, new_white = min(black, BLACK), max(white, WHITE)
    stretched = (lightness - black) * ((new_white - new_black) / (white - black)) + new_black
    return stretched.clamp(0, MAX_LIGHTNESS)


def to_working_size(lightness: Tensor) -> Tensor:
    """Return lightness (1, H, W) in [0, 100] as (1, 1, h, w), of the working size."""
    size = working_size(*lightness.shape[-2:])
    return F.interpolate(lightness[None], size, mode="bilinear", antialias=True)


def network_input(lightness: Tensor) -> Tensor:
    """Return the network's input for a photograph.

    Args:
        lightness: (1, H, W) in [0, 100], on the CPU.

    Returns:
        lightness (1, 1, h, w) in [0, 100], of the working size, levels stretched.
    """
    # Rounded, since the network was trained on 8-bit greys: for the smoother values that resampling
    # gives it predicts wrong colours (docs/experiments.md).
    return round_to_greys(stretch_levels(to_working_size(lightness)))
