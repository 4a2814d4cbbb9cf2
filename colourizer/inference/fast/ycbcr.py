"""Luma and 4:2:0 chroma looked up cell by cell; the plain definition is recombine_ycbcr."""

import numpy as np
from torch import Tensor

from colourizer.inference.block_means import BlockMeans
from colourizer.inference.fast.cells import add_to_cells, cell_size
from colourizer.inference.fast.colour_table import colour_table
from colourizer.inference.upsample import upsample_strips
from colourizer.photos.pixels import repeat_pixels

STRIP_CELLS = 1 << 16  # looked up at a time: their tables and results stay in the cache


def look_up_ycbcr(
    grey: np.ndarray, ab: Tensor, keep_luma: bool, means: BlockMeans
) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as `recombine_ycbcr` does, by the mean grey level of each cell.

    What luma differs from grey in a cell is added to each of its pixels.

    Args:
        grey: (H, W) uint8.
        ab: (1, 2, h, w) in Lab units.
        keep_luma: return grey itself as luma.
        means: block means of grey.

    Returns:
        luma (H, W) uint8; chroma (2, H/2, W/2) uint8, rounded up.
    """
    cell = cell_size(*grey.shape)
    cells = means.of(cell)
    levels = np.empty((3, *cells.shape), dtype=np.uint8)  # luma less grey, modulo 256; chroma
    table = colour_table(np.uint8, as_ycbcr=True)
    rows = max(1, STRIP_CELLS // cells.shape[1])
    for n, strip in enumerate(upsample_strips(ab, cells.shape[0], cells.shape[1], rows)):
        here = slice(n * rows, (n + 1) * rows)
        levels[:, here] = table.look_up_ycbcr(cells[here], table.row_index(strip))
    added, *planes = levels
    luma = grey if keep_luma else add_to_cells(grey, added.view(np.int8), cell)
    half = (grey.shape[0] + 1) // 2, (grey.shape[1] + 1) // 2
    chroma = np.empty((2, *half), dtype=np.uint8)
    for n, plane in enumerate(planes):
        chroma[n] = repeat_pixels(plane, cell // 2, cell // 2)[: half[0], : half[1]]
    return luma, chroma
