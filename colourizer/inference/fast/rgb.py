"""RGB looked up by grey level and chroma; the plain definition is recombine.recombine_rgb."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from colourizer.inference.fast.cells import cell_size
from colourizer.inference.fast.colour_table import colour_table
from colourizer.inference.lightness import to_grey
from colourizer.inference.upsample import upsample_strips


def look_up_rgb(pixels: np.ndarray, ab: Tensor, rows: int) -> Iterator[np.ndarray]:
    """Colour a photograph as `recombine_rgb` does, in strips of about `rows` rows.

    Every pixel keeps its lightness (of 8-bit colours that of the nearest grey level); chroma is
    quantized to the table's steps, and one for all pixels of a cell.

    Args:
        pixels: (H, W) uint8 or uint16, or (H, W, 3) uint8.
        ab: (1, 2, h, w) in Lab units.
        rows: of a strip, about.

    Yields:
        rgb (rows, W, 3) of the type of pixels.
    """
    height, width = pixels.shape[:2]
    table, cell = colour_table(pixels.dtype), cell_size(height, width)
    rows = max(1, rows // cell)  # of cells
    for n, strip in enumerate(upsample_strips(ab, -(-height // cell), -(-width // cell), rows)):
        grey = to_grey(pixels[n * rows * cell : (n + 1) * rows * cell])
        index = table.row_index(strip).repeat(cell, axis=1).repeat(cell, axis=0)
        yield table.look_up_rgb(grey, index[: len(grey), :width])
