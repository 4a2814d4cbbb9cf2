"""A photograph's own lightness + predicted chroma -> coloured pixels.

`recombine_rgb` and `recombine_ycbcr` are the definitions. `rgb_strips` and `ycbcr_planes` give the
same pixels, to within what 8 bits round, in less time and memory: fast/rgb.py and fast/ycbcr.py.
"""

from collections.abc import Iterator

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import fit_to_gamut, rgb_to_pixels, rgb_to_ycbcr
from colourizer.inference.block_means import BlockMeans
from colourizer.inference.fast.rgb import look_up_rgb
from colourizer.inference.fast.ycbcr import look_up_ycbcr
from colourizer.inference.lightness import STRIP_PIXELS, photo_lightness
from colourizer.inference.upsample import upsample, upsample_strips

TABLE_PIXELS = 1_000_000  # photographs with this many or more are coloured by look-up table


def recombine_rgb(pixels: np.ndarray, ab: Tensor) -> np.ndarray:
    """Colour a photograph; every pixel keeps its lightness.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
        ab: (1, 2, h, w) in Lab units, of any size; beyond sRGB's gamut chroma is reduced.

    Returns:
        rgb (H, W, 3) of the type of pixels.
    """
    lightness = photo_lightness(pixels)  # (1, H, W)
    full_ab = upsample(ab, *pixels.shape[:2])  # (2, H, W)
    return rgb_to_pixels(fit_to_gamut(lightness, full_ab), pixels.dtype)


def recombine_ycbcr(grey: np.ndarray, ab: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as JPEG stores it: luma, and chroma subsampled 4:2:0.

    Args:
        grey: (H, W) uint8.
        ab: as for `recombine_rgb`.

    Returns:
        luma (H, W) uint8; chroma (2, H/2, W/2) uint8, rounded up.
    """
    rgb = fit_to_gamut(photo_lightness(grey), upsample(ab, *grey.shape))  # (3, H, W)
    ycbcr = rgb_to_ycbcr(rgb) * 255
    chroma = F.avg_pool2d(ycbcr[1:], 2, ceil_mode=True, count_include_pad=False)
    luma, subsampled = (planes.round().clamp(0, 255).byte() for planes in (ycbcr[0], chroma))
    return luma.numpy(), subsampled.numpy()


def rgb_strips(pixels: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph as `recombine_rgb` does, strip by strip.

    Args:
        pixels: as for `recombine_rgb`.
        ab: as for `recombine_rgb`.

    Yields:
        rgb (rows, W, 3) of the type of pixels, from top to bottom.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    if height * width >= TABLE_PIXELS and (pixels.ndim == 2 or pixels.dtype == np.uint8):
        yield from look_up_rgb(pixels, ab, rows)
        return
    for n, strip in enumerate(upsample_strips(ab, height, width, rows)):
        lightness = photo_lightness(pixels[n * rows : (n + 1) * rows])
        yield rgb_to_pixels(fit_to_gamut(lightness, strip), pixels.dtype)


def ycbcr_planes(
    grey: np.ndarray, ab: Tensor, keep_luma: bool = False, means: BlockMeans | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as `recombine_ycbcr` does, without a trip of every pixel through RGB.

    Args:
        grey: as for `recombine_ycbcr`.
        ab: as for `recombine_ycbcr`.
        keep_luma: return grey itself as luma. Strong colours become lighter by that, photographs by
            0.7 Lab units on average (docs/experiments.md); without, the lightness is kept.
        means: block means of grey, where they are known already.

    Returns:
        luma (H, W) uint8; chroma (2, H/2, W/2) uint8, rounded up.
    """
    return look_up_ycbcr(grey, ab, keep_luma, means or BlockMeans(grey))
