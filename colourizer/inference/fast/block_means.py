"""Pixels averaged over squares of 2, 4, 8 and more: what suffices for chroma, which is smooth."""

import math
import platform
from functools import cache, lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colourizer.photos.pixels import to_8_bits

ROWS_AT_ONCE = 256  # of pixels that have to be copied first
SHAPES = 20  # of photographs for which the convolution's weights are kept


class Averages:
    """Averages of a photograph's pixels, each computed when it is first asked for."""

    def __init__(self, pixels: np.ndarray) -> None:
        """Take pixels, (H, W) grey or (H, W, 3); uint8 in [0, 255] or uint16 in [0, 65535]."""
        self._pixels = pixels
        self._known: dict[int, np.ndarray] = {}

    def over(self, side: int) -> np.ndarray:
        """Average over squares.

        Args:
            side: of a square, pixels; a power of two, 2 or more.

        Returns:
            (H/side, W/side) or (H/side, W/side, 3) uint8, rounded up; of squares that reach beyond
            the edge, what there is of them. From 8 on, and where those of half the side are at
            hand, averages of averages, each counting alike.
        """
        if side not in self._known:
            if side > 4 or side // 2 in self._known:
                self._known[side] = _reduce(self.over(side // 2), 2)
            elif self._pixels.ndim == 2 and self._pixels.dtype == np.uint8:
                self._known[side] = _over(side, self._pixels)
            else:  # a strip at a time: copied, it takes memory
                strips = range(0, len(self._pixels), ROWS_AT_ONCE)
                self._known[side] = np.concatenate(
                    [_reduce(to_8_bits(self._pixels[y : y + ROWS_AT_ONCE]), side) for y in strips]
                )
        return self._known[side]


def _reduce(pixels: np.ndarray, side: int) -> np.ndarray:
    """Average (H, W) or (H, W, 3) uint8 over squares."""
    return np.asarray(Image.fromarray(pixels).reduce(side))


def _over(side: int, grey: np.ndarray) -> np.ndarray:
    """Average (H, W) uint8 over squares of 2 or 4; by integer convolution, in half the time."""
    whole = len(grey) - len(grey) % side
    if not whole or grey.shape[1] % 4 or not _convolves():
        return _reduce(grey, side)
    averages, rest = _convolve(grey[:whole], side), grey[whole:]
    return np.concatenate((averages, _reduce(rest, side))) if len(rest) else averages


@torch.inference_mode()
def _convolve(grey: np.ndarray, side: int) -> np.ndarray:
    """Average (H, W) uint8 over squares; H is a multiple of side, W one of 4."""
    # Pixels beside each other are channels, which oneDNN wants last: a view. Fewer come out; 16 are
    # faster than 4.
    channels = math.gcd(grey.shape[1], 16)
    rows = np.require(grey, requirements=("C", "W"))  # others PyTorch cannot view, or warns of
    features = torch.from_numpy(rows.reshape(1, len(rows), -1, channels)).permute(0, 3, 1, 2)
    weight, scales, zeros, halves = _weights(side, features.shape)
    averages = torch.ops.onednn.qconv2d_pointwise(
        features, 1.0, 0, weight, scales, zeros, halves, [side, 1], [0, 0], [1, 1], 1,
        float(side**2), 0, torch.uint8, "none", [], "",
    )  # fmt: skip
    return averages.permute(0, 2, 3, 1).reshape(len(rows) // side, -1).numpy()


@lru_cache(SHAPES)
def _weights(side: int, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make the weights for features of a shape; their scales and zero points; and the bias."""
    out = shape[1] // side
    weight = torch.eye(out, dtype=torch.int8).repeat_interleave(side, dim=1)  # (out, side * out)
    weight = weight[:, :, None, None].repeat(1, 1, side, 1)
    scales = torch.ones(out)
    weight = torch.ops.onednn.qconv_prepack(
        weight, scales, 1.0, 0, [side, 1], [0, 0], [1, 1], 1, shape
    )
    # Half of what lies in the middle between two is to be rounded up; oneDNN rounds to even ones.
    return weight, scales, torch.zeros(out, dtype=torch.int64), torch.full((out,), 0.5)


@cache
def _convolves() -> bool:
    """Say whether this machine and this PyTorch can do it; see packed_convolutions.py."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    grey = (np.arange(64 * 240) % 251).astype(np.uint8).reshape(64, 240)
    grey[:16] = 255  # the largest sums
    try:
        of_widths = [grey[:, :width] for width in (240, 232, 236)]  # 16, 8 and 4 channels
        return all(
            (_convolve(part, side) == _reduce(part, side)).all()
            for part in of_widths
            for side in (2, 4)
        )
    except Exception:  # whatever has become of the operators: Pillow does the same
        return False
