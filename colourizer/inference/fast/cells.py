"""Cells: blocks of pixels that share one chroma, as JPEG's 2x2, and larger in large photographs."""

import numpy as np
import torch

from colourizer.photos.pixels import repeat_pixels

# Sides of a cell in pixels, the largest first; a photograph has at least MIN_CELLS of them.
CELLS, MIN_CELLS = (8, 4, 2), 30_000


def cell_size(height: int, width: int) -> int:
    """Return the side of a photograph's cells: the largest of which there are enough."""
    for cell in CELLS:
        if height * width >= MIN_CELLS * cell**2 and min(height, width) >= 32 * cell:
            return cell
    return CELLS[-1]


def cell_ranges(grey: np.ndarray, cell: int) -> np.ndarray:
    """Return the difference of the brightest and the darkest pixel of each cell.

    Args:
        grey: (H, W) uint8.
        cell: side of a cell in pixels.

    Returns:
        (H/cell, W/cell) uint8, rounded up.
    """
    height, width = grey.shape
    whole = height // cell * cell  # rows; the last row of cells may be cut off
    parts = [grey[:whole].reshape(-1, cell, width)]
    parts += [grey[None, whole:]] if whole < height else []
    columns = ((0, 0), (0, -width % cell))
    high, low = (
        torch.from_numpy(np.pad(np.concatenate(extremes), columns, mode="edge"))
        for extremes in ([p.max(axis=1) for p in parts], [p.min(axis=1) for p in parts])
    )
    shape = len(high), -1, cell
    return (high.view(shape).amax(dim=2) - low.view(shape).amin(dim=2)).numpy()


def add_to_cells(grey: np.ndarray, added: np.ndarray, cell: int) -> np.ndarray:
    """Add one value to all pixels of each cell, saturating at 0 and 255.

    The plain definition: `(grey + added.repeat(cell, 0).repeat(cell, 1)).clip(0, 255)`.

    Args:
        grey: (H, W) uint8.
        added: (H/cell, W/cell) int8, rounded up; -127 at least.
        cell: side of a cell in pixels.

    Returns:
        (H, W) uint8.
    """
    # In 8 bits a sum wraps around: pixels that would are clamped to the edge before it.
    change = torch.from_numpy(added)
    least, most = (-change).clamp_min_(0), ~change.clamp_min(0)  # ~x is 255 - x, as uint8
    width = grey.shape[1]
    rows_of = [
        torch.from_numpy(repeat_pixels(plane.numpy().view(np.uint8), cell)[:, None, :width])
        for plane in (least, most, change)
    ]
    # PyTorch warns of arrays that are not writable, and views only contiguous ones.
    pixels = torch.from_numpy(np.require(grey, requirements=("C", "W")))
    out = torch.empty_like(pixels)
    whole = len(grey) // cell  # rows of whole cells; the last row of cells may be cut off
    for first, last, tall in ((0, whole, cell), (whole, len(added), len(grey) - whole * cell)):
        if first == last:
            continue
        here = slice(first * cell, first * cell + (last - first) * tall)
        shape = last - first, tall, width
        low, high, more = (plane[first:last] for plane in rows_of)
        sums = torch.clamp(pixels[here].view(shape), low, high, out=out[here].view(shape))
        sums += more
    return out.numpy()
