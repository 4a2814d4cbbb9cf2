"""A photograph's own lightness and predicted chroma -> coloured pixels, strip by strip."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colour_space import (
    fit_to_gamut,
    grey_to_lightness,
    linear_to_srgb,
    luminance,
    rgb_to_lab,
    rgb_to_pixels,
    rgb_to_ycbcr,
)

STRIP_PIXELS = 1 << 17  # converted at a time: what is computed with stays in the processor's cache
# JPEG stores one chroma value for 2x2 pixels: the conversion to YCbCr is done once for such a cell
# too, and what luma differs there from the grey value is added to each pixel's own. Of a photograph
# of more than LARGE pixels a cell of 4x4 is still far smaller than what the network sees.
CELL, LARGE_CELL, LARGE = 2, 4, 3_000_000


@cache
def _lightness_of_greys(full: int) -> np.ndarray:
    """List the lightness, (full + 1,) in [0, 100], of all grey levels."""
    return grey_to_lightness(torch.linspace(0, 1, full + 1)).numpy()


@cache
def _luminance_tables() -> tuple[np.ndarray, np.ndarray]:
    """List each channel's share of luminance by its value, and greys by luminance, in 65535ths."""
    of_channels = luminance(torch.linspace(0, 1, 256).expand(3, 1, 256))  # (3, 1, 256)
    shares = (of_channels[:, 0] * 65535).round().int().numpy()
    greys = linear_to_srgb(torch.arange(65536 + 3) / 65535).clamp(0, 1) * 255
    return shares, greys.round().byte().numpy()


def photo_lightness(pixels: np.ndarray) -> Tensor:
    """Measure the lightness of every pixel.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, H, W) in [0, 100].
    """
    full = int(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:  # one value per grey level, looked up
        return torch.from_numpy(_lightness_of_greys(full)[pixels])[None]
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = []
    for y in range(0, len(pixels), rows):
        rgb = torch.from_numpy(pixels[y : y + rows].astype(np.float32) / full).movedim(-1, 0)
        strips.append(rgb_to_lab(rgb)[:1])
    return torch.cat(strips, dim=1)


def enlarge(planes: Tensor, height: int, width: int, rows: int) -> Iterator[Tensor]:
    """Enlarge what the network said to a photograph's size, without ever holding all of it.

    Args:
        planes: (1, C, h, w).
        height: the photograph's.
        width: the photograph's.
        rows: how many to give at a time.

    Yields:
        strips (C, rows, width), from top to bottom; the last may have fewer rows.
    """
    planes = planes.float().cpu()
    low = planes.shape[2]
    wide = F.interpolate(planes, (low, width), mode="bicubic", align_corners=False)[0]
    # How much of each low row goes into each high one: what bicubic makes of the unit matrix.
    unit = torch.eye(low)[None, None]
    weights = F.interpolate(unit, (height, low), mode="bicubic", align_corners=False)[0, 0]
    for y in range(0, height, rows):
        yield torch.einsum("yl,clx->cyx", weights[y : y + rows], wide)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Turn colours into the greys of the same lightness, to within half a grey level.

    Args:
        pixels: (H, W, 3) sRGB, uint8; or (H, W), which stays as it is.

    Returns:
        grey (H, W) uint8.
    """
    if pixels.ndim == 2:
        return pixels
    shares, greys = _luminance_tables()
    grey = np.empty(pixels.shape[:2], dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    for y in range(0, len(pixels), rows):
        strip = pixels[y : y + rows]
        of_pixels = sum(shares[channel][strip[..., channel]] for channel in range(3))
        grey[y : y + rows] = greys[of_pixels]
    return grey


def rgb_strips(pixels: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph; every pixel keeps its lightness.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.

    Yields:
        rgb (rows, W, 3) of the type of pixels, from top to bottom.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    for n, strip in enumerate(enlarge(ab, height, width, rows)):
        lightness = photo_lightness(pixels[n * rows : (n + 1) * rows])
        yield rgb_to_pixels(fit_to_gamut(lightness, strip), pixels.dtype)


def ycbcr_strips(grey: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph for JPEG, without a trip of every pixel through RGB.

    Args:
        grey: (H, W) uint8.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.

    Yields:
        ycbcr (rows, W, 3) uint8 as JPEG stores it, from top to bottom.
    """
    height, width = grey.shape
    cell = LARGE_CELL if grey.size > LARGE else CELL
    cells = np.asarray(Image.fromarray(grey).reduce(cell))  # (H/cell, W/cell), their mean grey
    cells_high, cells_wide = cells.shape
    edge = ((0, cells_high * cell - height), (0, cells_wide * cell - width))
    grey = np.pad(grey, edge) if any(after for _, after in edge) else grey
    rows = max(1, STRIP_PIXELS // cells_wide)
    for n, strip in enumerate(enlarge(ab, cells_high, cells_wide, rows)):
        mean = cells[n * rows : (n + 1) * rows]
        ycbcr = rgb_to_ycbcr(fit_to_gamut(photo_lightness(mean), strip)) * 255
        ycbcr[0] -= torch.from_numpy(mean.astype(np.float32))
        added = ycbcr.round().to(torch.int16).numpy()  # luma: what to add; chroma: as it is
        own = grey[n * rows * cell : (n + 1) * rows * cell].reshape(-1, cell, cells_wide, cell)
        out = np.empty((*own.shape, 3), dtype=np.uint8)
        luma = own + added[0][:, None, :, None]
        np.clip(luma, 0, 255, out=out[..., 0], casting="unsafe")
        out[..., 1:] = added[1:].clip(0, 255).transpose(1, 2, 0)[:, None, :, None]
        yield out.reshape(-1, cells_wide * cell, 3)[: height - n * rows * cell, :width]
