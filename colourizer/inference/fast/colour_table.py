"""Grey levels and chroma -> colours, looked up: much faster than computing each pixel's.

For each chroma that occurs, rounded, the colours of all grey levels are computed once. Photographs
have 500 to 7,000 chromas, most of them in common; sRGB has 90,000, for which a table takes 90 MB,
of 16 bits 140.
"""

from functools import cache
from threading import Lock

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from colourizer.colour.space import fit_to_gamut, grey_to_lightness, rgb_to_ycbcr

AB_STEP = 0.5  # Lab units between the chromas that there are colours for; 8 bits tell no less apart
AB_REACH = 128  # Lab units: sRGB has no a or b further from 0
_SIDE = round(2 * AB_REACH / AB_STEP) + 1  # of the square of all chromas
# Colours are computed for so many equal steps of grey, of 65536ths, and interpolated in between;
# lightness is off by 0.2 Lab units at most (docs/experiments.md).
STEPS, STEP = 64, 1024
AT_ONCE = 1024  # chromas that are computed at a time


def _ends() -> Tensor:
    """List where steps of grey end, (STEPS + 1,) in 65535ths; the last one is one shorter."""
    return (torch.arange(STEPS + 1) * STEP).clamp_max(65535)


@cache
@torch.inference_mode(False)  # whoever comes next may want gradients
def _between() -> Tensor:
    """Say how far into its step each grey level of 8 bits lies, (256 / STEPS, STEPS) in [0, 1]."""
    levels = (torch.arange(256) * 257).view(STEPS, -1).T
    return (levels - _ends()[:-1]) / _ends().diff()


class ColourTable:
    """The colours of all grey levels for the chromas that were asked for so far, by any thread."""

    def __init__(self, dtype: DTypeLike, as_ycbcr: bool = False) -> None:
        """Begin without any.

        Args:
            dtype: of greys and colours, uint8 or uint16.
            as_ycbcr: hold ycbcr, of uint8, not rgb, and of luma what grey is to be changed by.
        """
        self._dtype = np.dtype(dtype)
        self._as_ycbcr = as_ycbcr
        self._place_of = np.full(_SIDE**2, -1, dtype=np.int32)  # for each chroma
        self._used = 0  # rows
        # A row is what there is for a chroma. Of 8 bits it has for each grey level a colour: three
        # channels and nothing in one number, to be looked up at once. Of 16 bits it has for each
        # channel and each step of grey two of float32: the value, and what a 65535th more adds.
        is_deep = self._dtype == np.uint16
        shape = (0, 3 * STEPS) if is_deep else (0, 256)
        self._rows = np.empty(shape, dtype=np.uint64 if is_deep else np.uint32)
        self._adding = Lock()

    def places(self, ab: Tensor) -> np.ndarray:
        """Say where to look for chromas; the colours of those that are new are computed.

        Args:
            ab: (2, h, w) in Lab units.

        Returns:
            places (h, w) int32.
        """
        half = _SIDE // 2
        a, b = (ab / AB_STEP).round_().clamp_(-half, half)
        chromas = b.add_(a, alpha=_SIDE).add_(_SIDE**2 // 2).int().numpy()  # exact: below 2^24
        places = self._place_of.take(chromas)
        if places.min() < 0:
            with self._adding:
                wanted = np.zeros(_SIDE**2, dtype=np.bool_)
                wanted[chromas] = True
                missing = np.flatnonzero(wanted & (self._place_of < 0)).astype(np.int32)
                for n in range(0, len(missing), AT_ONCE):
                    self._add(missing[n : n + AT_ONCE])
            places = self._place_of.take(chromas)
        return places

    def _add(self, chromas: np.ndarray) -> None:
        """Compute rows for chromas, (N,) int32; others may look up meanwhile."""
        first, last = self._used, self._used + len(chromas)
        if last > len(self._rows):  # room for twice as many, so that this is rare
            rows = np.empty((2 * last, self._rows.shape[1]), self._rows.dtype)
            rows[:first] = self._rows[:first]
            self._rows = rows
        chroma = torch.from_numpy(chromas)
        ab = (torch.stack((chroma // _SIDE, chroma % _SIDE)) - _SIDE // 2) * AB_STEP  # (2, N)
        lightness = grey_to_lightness(_ends() / 65535)[None, None]  # (1, 1, STEPS + 1)
        size = len(chromas), STEPS + 1
        colours = fit_to_gamut(lightness.expand(1, *size), ab[..., None].expand(2, *size))
        if self._as_ycbcr:
            colours = rgb_to_ycbcr(colours)
        of_rows = self._deep_rows(colours) if self._dtype == np.uint16 else self._rows_of(colours)
        self._rows[first:last] = of_rows
        self._used = last
        self._place_of[chromas] = np.arange(first, last) * self._rows.shape[1]

    def _rows_of(self, colours: Tensor) -> np.ndarray:
        """Make rows of 8 bits, (N, 256), of the colours (3, N, STEPS + 1) at the ends of steps."""
        begin, more = colours[..., :-1] * 255, colours.diff(dim=2) * 255  # (3, N, STEPS)
        greys = torch.arange(256, dtype=torch.int16).view(STEPS, -1)
        numbers = torch.zeros(colours.shape[1], *greys.shape, 4, dtype=torch.uint8)
        for n, share in enumerate(_between()):  # the n-th grey level of each step
            levels = torch.addcmul(begin, more, share).round_().clamp_(0, 255).to(torch.int16)
            if self._as_ycbcr:
                levels[0] -= greys[:, n]  # negative ones wrap around below
            for channel, values in enumerate(levels.to(torch.uint8)):
                numbers[:, :, n, channel] = values
        return numbers.numpy().view(np.uint32).reshape(len(numbers), -1)

    def _deep_rows(self, colours: Tensor) -> np.ndarray:
        """Make rows of 16 bits, (N, 3 * STEPS), as `_rows_of` those of 8."""
        slopes = colours.diff(dim=2) / _ends().diff()
        pairs = torch.stack((colours[..., :-1], slopes), dim=-1) * 65535  # (3, N, STEPS, 2)
        pairs[..., 0] += 0.5  # what is looked up is cut off, not rounded
        numbers = pairs.movedim(0, 1).contiguous().numpy().view(np.uint64)
        return numbers.reshape(len(numbers), -1)

    def colours(self, grey: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Look up colours.

        Args:
            grey: (h, w) of the table's type.
            places: (h, w), see `places`.

        Returns:
            rgb (h, w, 3) of the table's type.
        """
        out = np.empty((*grey.shape, 3), dtype=self._dtype)
        if self._dtype == np.uint8:
            for channel, values in enumerate(self._find(places + grey)):
                out[..., channel] = values
            return out
        where = torch.from_numpy(places + grey // STEP)
        # STEP is a power of two: & takes a tenth of the time of %.
        beyond = torch.from_numpy((grey & (STEP - 1)).astype(np.float32))
        for channel in range(3):
            pairs = self._look_up(where).view(torch.float32).view(*grey.shape, 2)
            value, slope = pairs.unbind(dim=-1)
            out[..., channel] = torch.addcmul(value, slope, beyond).numpy()  # cut off
            where += STEPS
        return out

    def luma_and_chroma(self, grey: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Look up colours in a table of ycbcr.

        Args:
            grey: (h, w) uint8.
            places: (h, w), see `places`.

        Returns:
            (3, h, w) uint8: what to add to grey, modulo 256, for luma; and chroma in [0, 255].
        """
        return self._find(places + grey)

    def _find(self, where: np.ndarray) -> np.ndarray:
        """Look up numbers of 8 bits, (h, w) -> (3, h, w)."""
        numbers = self._look_up(torch.from_numpy(where)).numpy()
        return numbers.view(np.uint8).reshape(*where.shape, 4).transpose(2, 0, 1)[:3]

    def _look_up(self, where: Tensor) -> Tensor:
        """Take numbers out of all rows, as integers: (h, w) -> (h * w,)."""
        signed = np.int64 if self._dtype == np.uint16 else np.int32  # of others PyTorch knows less
        rows = torch.from_numpy(self._rows.view(signed).ravel())
        return rows.index_select(0, where.flatten())


@cache
def colour_table(dtype: DTypeLike, as_ycbcr: bool = False) -> ColourTable:
    """Give the table that all photographs share: what one adds another need not compute."""
    return ColourTable(dtype, as_ycbcr)
