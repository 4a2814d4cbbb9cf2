"""A photograph's own lightness, and the grey levels of that lightness."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from colourizer.colour.space import grey_to_lightness, linear_to_srgb, luminance, rgb_to_lab

STRIP_PIXELS = 1 << 18  # converted at a time: few calls, between which threads wait for the GIL


@cache
def _lightness_of_greys(full: int) -> np.ndarray:
    """Return the lightness (full + 1,) in [0, 100] of all grey levels."""
    return grey_to_lightness(torch.linspace(0, 1, full + 1)).numpy()


@cache
def _luminance_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return look-up tables from sRGB to luminance in 65535ths, and from that to grey levels.

    Returns:
        (65536,) int32, red's and green's luminance together, by their two bytes as one number;
        (256,) int32, blue's luminance; (65539,) uint8, the grey level of a luminance.
    """
    of_channels = luminance(torch.linspace(0, 1, 256).expand(3, 1, 256))  # (3, 1, 256)
    red, green, blue = (of_channels[:, 0] * 65535).round().int().numpy()
    bytes_of = np.arange(65536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    greys = linear_to_srgb(torch.arange(65536 + 3) / 65535).clamp(0, 1) * 255
    return red[bytes_of[:, 0]] + green[bytes_of[:, 1]], blue, greys.round().byte().numpy()


def photo_lightness(pixels: np.ndarray) -> Tensor:
    """Return the lightness of every pixel.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, H, W) in [0, 100].
    """
    full = int(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:
        return torch.from_numpy(_lightness_of_greys(full).take(pixels))[None]
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = []
    for y in range(0, len(pixels), rows):
        rgb = torch.from_numpy(pixels[y : y + rows].astype(np.float32) / full).movedim(-1, 0)
        strips.append(rgb_to_lab(rgb)[:1])
    return torch.cat(strips, dim=1)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Return the grey levels of the same lightness as colours, to within half a level.

    Args:
        pixels: (H, W, 3) sRGB, uint8; or (H, W), which stays as it is.

    Returns:
        grey (H, W) uint8.
    """
    if pixels.ndim == 2:
        return pixels
    red_green_luminance, blue_luminance, grey_levels = _luminance_tables()
    grey = np.empty(pixels.shape[:2], dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    for y in range(0, len(pixels), rows):
        strip = np.ascontiguousarray(pixels[y : y + rows])
        red_and_green = np.ndarray(strip.shape[:2], np.uint16, strip, strides=strip.strides[:2])
        # mode="wrap" spares take the check for indices out of range.
        total = red_green_luminance.take(red_and_green, mode="wrap")
        total += blue_luminance.take(strip[..., 2], mode="wrap")
        grey[y : y + rows] = grey_levels.take(total, mode="wrap")
    return grey
