"""A photograph's own lightness and predicted chroma -> coloured pixels."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from colourizer.colour.space import fit_to_gamut, rgb_to_pixels
from colourizer.inference.fast.block_means import Averages
from colourizer.inference.fast.colour_table import colour_table
from colourizer.inference.lightness import STRIP_PIXELS, photo_lightness, to_grey
from colourizer.inference.upsample import enlarge
from colourizer.photos.pixels import repeat_pixels

TABLE_PIXELS = 1_000_000  # from so many on colours are looked up
# All pixels of a cell have one chroma, as JPEG stores one for 2x2. Cells are as large as leaves
# LEAST_CELLS of them. In JPEG what luma differs there from grey is added to each pixel's own value.
CELLS, LEAST_CELLS = (8, 4, 2), 30_000
STRIP_CELLS = 1 << 16  # converted at a time: few, since what is made of them stays in the cache


def rgb_strips(pixels: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph; every pixel keeps its lightness.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma. Photographs of
            TABLE_PIXELS and more get it rounded, and one for each of CELLS.

    Yields:
        rgb (rows, W, 3) of the type of pixels, from top to bottom.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    if height * width >= TABLE_PIXELS and (pixels.ndim == 2 or pixels.dtype == np.uint8):
        yield from _looked_up(pixels, ab, rows)
        return
    for n, strip in enumerate(enlarge(ab, height, width, rows)):
        lightness = photo_lightness(pixels[n * rows : (n + 1) * rows])
        yield rgb_to_pixels(fit_to_gamut(lightness, strip), pixels.dtype)


def _looked_up(pixels: np.ndarray, ab: Tensor, rows: int) -> Iterator[np.ndarray]:
    """Colour a large photograph in about so many rows at a time; see `rgb_strips`.

    Of colours in 8 bits the lightness is that of the nearest grey level. Chroma is rounded as
    colour_table.py says, and is the same for all pixels of a cell.
    """
    height, width = pixels.shape[:2]
    table, cell = colour_table(pixels.dtype), _cell_of(height, width)
    rows = max(1, rows // cell)
    for n, strip in enumerate(enlarge(ab, -(-height // cell), -(-width // cell), rows)):
        grey = to_grey(pixels[n * rows * cell : (n + 1) * rows * cell])
        places = table.places(strip).repeat(cell, axis=1).repeat(cell, axis=0)
        yield table.colours(grey, places[: len(grey), :width])


def ycbcr_planes(
    grey: np.ndarray, ab: Tensor, keep_luma: bool = False, averages: Averages | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as JPEG stores it, without a trip of every pixel through RGB.

    Args:
        grey: (H, W) uint8.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.
        keep_luma: let grey be the luma as it is. Strong colours become lighter by that, photographs
            by 0.7 Lab units on average (docs/experiments.md); without, the lightness stays.
        averages: of grey, if they are at hand.

    Returns:
        luma (H, W) uint8; chroma (2, H/2, W/2) uint8, rounded up.
    """
    cell = _cell_of(*grey.shape)
    cells = (averages or Averages(grey)).over(cell)
    levels = np.empty((3, *cells.shape), dtype=np.uint8)  # what luma differs from grey, and chroma
    table = colour_table(np.uint8, as_ycbcr=True)
    rows = max(1, STRIP_CELLS // cells.shape[1])
    for n, strip in enumerate(enlarge(ab, cells.shape[0], cells.shape[1], rows)):
        here = slice(n * rows, (n + 1) * rows)
        levels[:, here] = table.luma_and_chroma(cells[here], table.places(strip))
    added, *planes = levels
    luma = grey if keep_luma else _add_to_cells(grey, added.view(np.int8), cell)
    half = (grey.shape[0] + 1) // 2, (grey.shape[1] + 1) // 2
    chroma = np.empty((2, *half), dtype=np.uint8)
    for n, plane in enumerate(planes):
        chroma[n] = repeat_pixels(plane, cell // 2, cell // 2)[: half[0], : half[1]]
    return luma, chroma


def _cell_of(height: int, width: int) -> int:
    """Say how large cells are: few enough pixels that cells are many, also across both sides."""
    for cell in CELLS:
        if height * width >= LEAST_CELLS * cell**2 and min(height, width) >= 32 * cell:
            return cell
    return CELLS[-1]


def _add_to_cells(grey: np.ndarray, added: np.ndarray, cell: int) -> np.ndarray:
    """Add to all pixels of each cell the same; what leaves [0, 255] stops there.

    Args:
        grey: (H, W) uint8.
        added: (H/cell, W/cell) int8, rounded up; -127 at least.
        cell: pixels across a cell and down.

    Returns:
        (H, W) uint8.
    """
    # In 8 bits a sum wraps around: what would, is brought to the edge before.
    change = torch.from_numpy(added)
    least, most = (-change).clamp_min_(0), ~change.clamp_min(0)  # ~ is what is left to 255
    width = grey.shape[1]
    of_rows = [
        torch.from_numpy(repeat_pixels(plane.numpy().view(np.uint8), cell)[:, None, :width])
        for plane in (least, most, change)
    ]
    # What may not be written to PyTorch warns of, what lies otherwise in memory it cannot divide.
    pixels = torch.from_numpy(np.require(grey, requirements=("C", "W")))
    out = torch.empty_like(pixels)
    whole = len(grey) // cell  # rows of cells; the last one may be cut off
    for first, last, tall in ((0, whole, cell), (whole, len(added), len(grey) - whole * cell)):
        if first == last:
            continue
        here = slice(first * cell, first * cell + (last - first) * tall)
        shape = last - first, tall, width
        low, high, more = (plane[first:last] for plane in of_rows)
        sums = torch.clamp(pixels[here].view(shape), low, high, out=out[here].view(shape))
        sums += more
    return out.numpy()
