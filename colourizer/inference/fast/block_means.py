"""Means over blocks of 2x2, 4x4, 8x8 pixels and more; the plain definition is Pillow's reduce."""

import math
import platform
from functools import cache, lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colourizer.photos.pixels import to_8_bits

STRIP_ROWS = 256
SHAPES = 20  # of photographs for which the convolution's weights are kept


class BlockMeans:
    """A photograph's pixels averaged over square blocks, each size computed once, on demand."""

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
                self._known[block] = reduce_by_pillow(self.of(block // 2), 2)
            elif self._pixels.ndim == 2 and self._pixels.dtype == np.uint8:
                self._known[block] = _reduce_grey(block, self._pixels)
            else:  # strip by strip: an 8-bit copy of the whole would take memory
                strips = range(0, len(self._pixels), STRIP_ROWS)
                self._known[block] = np.concatenate(
                    [
                        reduce_by_pillow(to_8_bits(self._pixels[y : y + STRIP_ROWS]), block)
                        for y in strips
                    ]
                )
        return self._known[block]


def reduce_by_pillow(pixels: np.ndarray, block: int) -> np.ndarray:
    """Return the means of (H, W) or (H, W, 3) uint8 over blocks: the plain definition."""
    return np.asarray(Image.fromarray(pixels).reduce(block))


def _reduce_grey(block: int, grey: np.ndarray) -> np.ndarray:
    """Return the means of (H, W) uint8 over blocks of 2 or 4; where supported, in half the time."""
    whole = len(grey) - len(grey) % block
    if not whole or grey.shape[1] % 4 or not is_supported():
        return reduce_by_pillow(grey, block)
    means, rest = reduce_by_convolution(grey[:whole], block), grey[whole:]
    return np.concatenate((means, reduce_by_pillow(rest, block))) if len(rest) else means


@torch.inference_mode()
def reduce_by_convolution(grey: np.ndarray, block: int) -> np.ndarray:
    """Return the means of (H, W) uint8 over blocks; H is a multiple of block, W one of 4.

    oneDNN's 8-bit convolution with weights of 1 and a scale of 1/block^2 is a box filter.
    """
    # Neighbouring pixels of a row become channels, which oneDNN wants last: a view of the rows.
    # With 16 input channels it is faster than with 4.
    channels = math.gcd(grey.shape[1], 16)
    rows = np.require(grey, requirements=("C", "W"))  # others PyTorch cannot view, or warns of
    features = torch.from_numpy(rows.reshape(1, len(rows), -1, channels)).permute(0, 3, 1, 2)
    weight, scales, zeros, halves = _weights(block, features.shape)
    means = torch.ops.onednn.qconv2d_pointwise(
        features, 1.0, 0, weight, scales, zeros, halves, [block, 1], [0, 0], [1, 1], 1,
        float(block**2), 0, torch.uint8, "none", [], "",
    )  # fmt: skip
    return means.permute(0, 2, 3, 1).reshape(len(rows) // block, -1).numpy()


@lru_cache(SHAPES)
def _weights(block: int, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return packed weights for an input shape, their scales and zero points, and the bias."""
    out = shape[1] // block
    weight = torch.eye(out, dtype=torch.int8).repeat_interleave(block, dim=1)  # (out, block * out)
    weight = weight[:, :, None, None].repeat(1, 1, block, 1)
    scales = torch.ones(out)
    weight = torch.ops.onednn.qconv_prepack(
        weight, scales, 1.0, 0, [block, 1], [0, 0], [1, 1], 1, shape
    )
    # The bias of 1/2 rounds halves up, as Pillow does; oneDNN alone rounds them to even.
    return weight, scales, torch.zeros(out, dtype=torch.int64), torch.full((out,), 0.5)


@cache
def is_supported() -> bool:
    """Return whether oneDNN's 8-bit convolution exists here and equals the plain definition."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    grey = (np.arange(64 * 240) % 251).astype(np.uint8).reshape(64, 240)
    grey[:16] = 255  # the largest sums
    try:
        of_widths = [grey[:, :width] for width in (240, 232, 236)]  # 16, 8 and 4 channels
        return all(
            (reduce_by_convolution(part, block) == reduce_by_pillow(part, block)).all()
            for part in of_widths
            for block in (2, 4)
        )
    except Exception:  # whatever has become of the operators: Pillow does the same
        return False
