"""Means over blocks of 2x2, 4x4, 8x8 pixels and more, each size computed once, on demand."""

import numpy as np
from PIL import Image

from colourizer.photos.pixels import to_8_bits

STRIP_ROWS = 256


class BlockMeans:
    """A photograph's pixels averaged over square blocks."""

    def __init__(self, pixels: np.ndarray) -> None:
        """Take pixels, (H, W) grey or (H, W, 3); uint8 in [0, 255] or uint16 in [0, 65535]."""
        self._pixels = pixels
        self._known: dict[int, np.ndarray] = {}

    def of(self, block: int) -> np.ndarray:
        """Return the means over blocks.

        Args:
            block: side of a block in pixels; a power of two, 2 or more.

        Returns:
            (H/block, W/block) or (H/block, W/block, 3) uint8, rounded up; a block that reaches
            beyond the edge is averaged over what lies inside. From 8 on, and where the means over
            half the side are known, means of those means.
        """
        if block not in self._known:
            if block > 4 or block // 2 in self._known:
                self._known[block] = _reduce(self.of(block // 2), 2)
            else:  # strip by strip: an 8-bit copy of the whole would take memory
                strips = range(0, len(self._pixels), STRIP_ROWS)
                self._known[block] = np.concatenate(
                    [_reduce(to_8_bits(self._pixels[y : y + STRIP_ROWS]), block) for y in strips]
                )
        return self._known[block]


def _reduce(pixels: np.ndarray, block: int) -> np.ndarray:
    """Return the means of (H, W) or (H, W, 3) uint8 over blocks."""
    return np.asarray(Image.fromarray(pixels).reduce(block))
