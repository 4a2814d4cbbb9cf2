"""A look-up table from (grey level, quantized chroma) to RGB or YCbCr.

A row holds the colours of all grey levels for one chroma, and is computed when a photograph first
needs it. Photographs have 500 to 7,000 chromas, most of them in common; sRGB has 90,000, for which
the table takes 90 MB, in 16 bits 140.
"""

from functools import cache
from threading import Lock

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from colourizer.colour.space import (
    YcbcrCoding,
    fit_to_gamut,
    grey_to_lightness,
    rgb_to_ycbcr,
)

AB_STEP = 0.5  # Lab units: chroma is quantized to multiples; 8 bits resolve no finer
MAX_AB = 128  # Lab units: no colour of sRGB has an a or b beyond
_SIDE = round(2 * MAX_AB / AB_STEP) + 1  # quantized values of a, and of b
# Colours are computed at the ends of STEPS equal steps of grey, each of STEP 65536ths, and
# interpolated linearly; lightness is off by 0.2 Lab units at most (docs/experiments.md).
STEPS, STEP = 64, 1024
ROWS_AT_ONCE = 1024  # computed at a time


def _grey_ends() -> Tensor:
    """Return the ends of the steps of grey, (STEPS + 1,) in 65535ths, the last one clipped."""
    return (torch.arange(STEPS + 1) * STEP).clamp_max(65535)


@cache
@torch.inference_mode(False)  # a caller may want gradients
def _interpolation_weights() -> Tensor:
    """Return each 8-bit grey level's position within its step, (256 / STEPS, STEPS) in [0, 1]."""
    levels = (torch.arange(256) * 257).view(STEPS, -1).T
    return (levels - _grey_ends()[:-1]) / _grey_ends().diff()


class ColourTable:
    """Colours of all grey levels for every chroma that was needed so far; threads share it."""

    def __init__(self, dtype: DTypeLike, coding: YcbcrCoding | None = None) -> None:
        """Make an empty table.

        Args:
            dtype: of greys and colours, uint8 or uint16.
            coding: hold YCbCr of that coding in uint8 instead of RGB, luma as its difference from
                grey.
        """
        self._dtype = np.dtype(dtype)
        self._coding = coding
        self._row_of = np.full(_SIDE**2, -1, dtype=np.int32)  # of each chroma; -1 is none yet
        self._used = 0  # rows
        # An 8-bit row holds for each grey level its three channels in one 32-bit number, looked up
        # at once. A 16-bit row holds for each channel and step of grey two float32: the value at
        # the step's beginning, and the slope per 65535th.
        is_deep = self._dtype == np.uint16
        shape = (0, 3 * STEPS) if is_deep else (0, 256)
        self._rows = np.empty(shape, dtype=np.uint64 if is_deep else np.uint32)
        self._adding = Lock()

    def row_index(self, ab: Tensor) -> np.ndarray:
        """Return where the rows of chromas begin; missing rows are computed.

        Args:
            ab: (2, h, w) in Lab units.

        Returns:
            index (h, w) int32, to be handed to `look_up_rgb` or `look_up_ycbcr`.
        """
        half = _SIDE // 2
        a, b = (ab / AB_STEP).round_().clamp_(-half, half)
        chromas = b.add_(a, alpha=_SIDE).add_(_SIDE**2 // 2).int().numpy()  # exact: below 2^24
        index = self._row_of.take(chromas)
        if index.min() < 0:
            with self._adding:
                wanted = np.zeros(_SIDE**2, dtype=np.bool_)
                wanted[chromas] = True
                missing = np.flatnonzero(wanted & (self._row_of < 0)).astype(np.int32)
                for n in range(0, len(missing), ROWS_AT_ONCE):
                    self._add(missing[n : n + ROWS_AT_ONCE])
            index = self._row_of.take(chromas)
        return index

    def _add(self, chromas: np.ndarray) -> None:
        """Compute rows for chromas, (N,) int32; other threads may look up meanwhile."""
        first, last = self._used, self._used + len(chromas)
        if last > len(self._rows):  # doubled, so that this is rare
            rows = np.empty((2 * last, self._rows.shape[1]), self._rows.dtype)
            rows[:first] = self._rows[:first]
            self._rows = rows
        chroma = torch.from_numpy(chromas)
        ab = (torch.stack((chroma // _SIDE, chroma % _SIDE)) - _SIDE // 2) * AB_STEP  # (2, N)
        lightness = grey_to_lightness(_grey_ends() / 65535)[None, None]  # (1, 1, STEPS + 1)
        size = len(chromas), STEPS + 1
        colours = fit_to_gamut(lightness.expand(1, *size), ab[..., None].expand(2, *size))
        if self._coding:
            colours = rgb_to_ycbcr(colours, self._coding)
        new = self._rows_16(colours) if self._dtype == np.uint16 else self._rows_8(colours)
        self._rows[first:last] = new
        self._used = last
        self._row_of[chromas] = np.arange(first, last) * self._rows.shape[1]

    def _rows_8(self, colours: Tensor) -> np.ndarray:
        """Return 8-bit rows (N, 256) for the colours (3, N, STEPS + 1) at the ends of steps."""
        begin, rise = colours[..., :-1] * 255, colours.diff(dim=2) * 255  # (3, N, STEPS)
        greys = torch.arange(256, dtype=torch.int16).view(STEPS, -1)
        numbers = torch.zeros(colours.shape[1], *greys.shape, 4, dtype=torch.uint8)
        for n, weight in enumerate(_interpolation_weights()):  # the n-th grey level of each step
            levels = torch.addcmul(begin, rise, weight).round_().clamp_(0, 255).to(torch.int16)
            if self._coding:
                levels[0] -= greys[:, n]  # modulo 256, below
            for channel, values in enumerate(levels.to(torch.uint8)):
                numbers[:, :, n, channel] = values
        return numbers.numpy().view(np.uint32).reshape(len(numbers), -1)

    def _rows_16(self, colours: Tensor) -> np.ndarray:
        """Return 16-bit rows (N, 3 * STEPS) for colours (3, N, STEPS + 1) at the ends of steps."""
        slopes = colours.diff(dim=2) / _grey_ends().diff()
        pairs = torch.stack((colours[..., :-1], slopes), dim=-1) * 65535  # (3, N, STEPS, 2)
        pairs[..., 0] += 0.5  # the sum is truncated
        numbers = pairs.movedim(0, 1).contiguous().numpy().view(np.uint64)
        return numbers.reshape(len(numbers), -1)

    def look_up_rgb(self, grey: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the RGB of grey levels.

        Args:
            grey: (h, w) of the table's type.
            index: (h, w), from `row_index`.

        Returns:
            rgb (h, w, 3) of the table's type.
        """
        out = np.empty((*grey.shape, 3), dtype=self._dtype)
        if self._dtype == np.uint8:
            for channel, values in enumerate(self._channels(index + grey)):
                out[..., channel] = values
            return out
        where = torch.from_numpy(index + grey // STEP)
        # STEP is a power of two: & takes a tenth of the time of %.
        beyond = torch.from_numpy((grey & (STEP - 1)).astype(np.float32))
        for channel in range(3):
            pairs = self._look_up(where).view(torch.float32).view(*grey.shape, 2)
            value, slope = pairs.unbind(dim=-1)
            out[..., channel] = torch.addcmul(value, slope, beyond).numpy()  # truncated
            where += STEPS
        return out

    def look_up_ycbcr(self, grey: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return the YCbCr of grey levels.

        Args:
            grey: (h, w) uint8.
            index: (h, w), from `row_index`.

        Returns:
            (3, h, w) uint8: luma less grey, modulo 256; then Cb and Cr.
        """
        return self._channels(index + grey)

    def _channels(self, where: np.ndarray) -> np.ndarray:
        """Return the 8-bit channels (3, h, w) at indices (h, w) into all rows."""
        numbers = self._look_up(torch.from_numpy(where)).numpy()
        return numbers.view(np.uint8).reshape(*where.shape, 4).transpose(2, 0, 1)[:3]

    def _look_up(self, where: Tensor) -> Tensor:
        """Return the numbers at indices (h, w) into all rows, flattened to (h * w,)."""
        # PyTorch's index_select, faster than NumPy's take, knows no unsigned types of this size.
        signed = np.int64 if self._dtype == np.uint16 else np.int32
        rows = torch.from_numpy(self._rows.view(signed).ravel())
        return rows.index_select(0, where.flatten())


@cache
def colour_table(dtype: DTypeLike, coding: YcbcrCoding | None = None) -> ColourTable:
    """Return the table that all photographs share."""
    return ColourTable(dtype, coding)
