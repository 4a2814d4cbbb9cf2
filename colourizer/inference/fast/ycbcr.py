"""Luma and 4:2:0 chroma looked up cell by cell; the plain definition is recombine_ycbcr."""

import numpy as np
from torch import Tensor

from colourizer.colour.space import JFIF
from colourizer.inference.block_means import BlockMeans
from colourizer.inference.fast.cells import add_to_cells, cell_ranges, cell_size
from colourizer.inference.fast.colour_table import colour_table
from colourizer.inference.upsample import upsample_strips
from colourizer.photos.pixels import repeat_pixels

STRIP_CELLS = 1 << 16  # looked up at a time: their tables and results stay in the cache
# Grey levels between the brightest and the darkest pixel of a cell, times the levels by which luma
# or chroma of its colour differ from grey: beyond this its pixels are looked up one by one. In dots
# of a printed picture and at edges, what fits the mean fits none of them.
MAX_CONTRAST = 2500
CELLS_AT_ONCE = 4096  # looked up pixel by pixel


def look_up_ycbcr(
    grey: np.ndarray, ab: Tensor, keep_luma: bool, means: BlockMeans
) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as `recombine_ycbcr` does, by the mean grey level of each cell.

    What luma differs from grey in a cell is added to each of its pixels, except in cells of
    contrast, where every pixel is looked up for itself.

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
    ranges = cell_ranges(grey, cell).astype(np.int16)
    contrast = np.empty(ranges.shape, dtype=np.bool_)
    contrast_index = []  # of the table, for each cell of contrast
    levels = np.empty((3, *cells.shape), dtype=np.uint8)  # luma less grey, modulo 256; chroma
    table = colour_table(np.uint8, JFIF)
    rows = max(1, STRIP_CELLS // cells.shape[1])
    for n, strip in enumerate(upsample_strips(ab, cells.shape[0], cells.shape[1], rows)):
        here = slice(n * rows, (n + 1) * rows)
        index = table.row_index(strip)
        added, *planes = levels[:, here] = table.look_up_ycbcr(cells[here], index)
        # Distances from grey, in levels.
        shifts = [
            np.abs(added.view(np.int8)),
            *(np.abs(plane.astype(np.int16) - 128) for plane in planes),
        ]
        contrast[here] = ranges[here] * np.maximum.reduce(shifts) > MAX_CONTRAST
        contrast_index.append(index[contrast[here]])
    added, *planes = levels
    luma = grey if keep_luma else add_to_cells(grey, added.view(np.int8), cell)
    half = (grey.shape[0] + 1) // 2, (grey.shape[1] + 1) // 2
    chroma = np.empty((2, *half), dtype=np.uint8)
    for n, plane in enumerate(planes):
        chroma[n] = repeat_pixels(plane, cell // 2, cell // 2)[: half[0], : half[1]]
    places, index = np.argwhere(contrast), np.concatenate(contrast_index)
    for n in range(0, len(places), CELLS_AT_ONCE):
        here = slice(n, n + CELLS_AT_ONCE)
        _recolour_cells(grey, places[here], index[here], cell, None if keep_luma else luma, chroma)
    return luma, chroma


def _recolour_cells(
    grey: np.ndarray,
    places: np.ndarray,
    index: np.ndarray,
    cell: int,
    luma: np.ndarray | None,
    chroma: np.ndarray,
) -> None:
    """Look up every pixel of some cells for itself, in place.

    Args:
        grey: (H, W) uint8.
        places: (N, 2) row and column of each cell.
        index: (N,) of the table, from `row_index`.
        cell: side of a cell in pixels.
        luma: (H, W) uint8; None if it is to stay.
        chroma: (2, H/2, W/2) uint8, rounded up.
    """
    (height, width), steps = grey.shape, np.arange(cell)
    y = (places[:, :1] * cell + steps).clip(max=height - 1)[:, :, None]  # (N, cell, 1)
    x = (places[:, 1:] * cell + steps).clip(max=width - 1)[:, None]  # (N, 1, cell)
    pixels = grey[y, x]
    flat = pixels.reshape(len(places), -1)
    added, *planes = colour_table(np.uint8, JFIF).look_up_ycbcr(flat, index[:, None])
    if luma is not None:
        luma[y, x] = pixels + added.reshape(pixels.shape)  # modulo 256
    side = cell // 2
    y, x = (place * side + np.arange(side) for place in (places[:, :1], places[:, 1:]))
    inside = (y < chroma.shape[1])[:, :, None] & (x < chroma.shape[2])[:, None]
    rows, columns = (np.broadcast_to(a, inside.shape)[inside] for a in (y[:, :, None], x[:, None]))
    for plane, values in zip(chroma, planes, strict=True):
        sums = values.reshape(-1, side, 2, side, 2).sum(axis=(2, 4), dtype=np.uint16)
        plane[rows, columns] = ((sums + 2) // 4)[inside]
