"""The colours of grey levels with a photograph's chroma, looked up: for large photographs, faster.

Chroma comes from far fewer places than a photograph has pixels, and changes slowly between them. So
for each chroma that occurs, rounded, the colours of all grey levels are computed once; a pixel's
colour is found by its chroma and its grey level.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

from colour_space import fit_to_gamut, grey_to_lightness

AB_STEP = 0.5  # Lab units between the chromas that there are colours for; 8 bits tell no less apart
AB_REACH = 128  # Lab units: sRGB has no a or b further from 0
_SIDE = round(2 * AB_REACH / AB_STEP) + 1  # of the square of all chromas
# Colours are computed for so many equal steps of grey, of 65536ths, and interpolated in between;
# lightness is off by 0.2 Lab units at most (docs/experiments.md).
STEPS, STEP = 64, 1024
AT_ONCE = 4096  # chromas that are computed at a time


@cache
@torch.inference_mode(False)  # whoever comes next may want gradients
def _between() -> Tensor:
    """Say how much of each step's end goes into each grey level of 8 bits, (256, STEPS + 1)."""
    ends = torch.arange(STEPS + 1) * STEP
    ends[-1] = 65535
    step = torch.arange(256) * 257 // STEP
    share = (torch.arange(256) * 257 - ends[step]) / ends.diff()[step]
    weights = torch.zeros(256, STEPS + 1)
    weights[torch.arange(256), step] = 1 - share
    weights[torch.arange(256), step + 1] = share
    return weights


class ColourTable:
    """The colours of all grey levels for the chromas that were asked for so far."""

    def __init__(self, dtype: DTypeLike) -> None:
        """Begin without any, for greys and colours of uint8 or of uint16."""
        self._dtype = np.dtype(dtype)
        self._row_of = np.full(_SIDE**2, -1, dtype=np.int32)  # for each chroma
        self._used = 0  # rows
        # A row is what there is for a chroma. Of 8 bits it has for each grey level a colour: red,
        # green, blue and nothing in one number, to be looked up at once. Of 16 bits it has for each
        # channel and each step of grey two of float32: the value, and what a 65535th more adds.
        is_deep = self._dtype == np.uint16
        shape, of = ((3 * STEPS,), np.uint64) if is_deep else ((256,), np.uint32)
        self._rows = np.empty((0, *shape), dtype=of)

    def places(self, ab: Tensor) -> np.ndarray:
        """Say where to look for chromas; the colours of those that are new are computed.

        Args:
            ab: (2, h, w) in Lab units.

        Returns:
            places (h, w) int32.
        """
        half = _SIDE // 2
        a, b = (ab / AB_STEP).round_().clamp_(-half, half).int() + half
        chromas = (a * _SIDE + b).numpy()
        rows = self._row_of.take(chromas)
        if rows.min() < 0:
            new = np.unique(chromas[rows < 0])
            for n in range(0, len(new), AT_ONCE):
                self._add(new[n : n + AT_ONCE])
            rows = self._row_of.take(chromas)
        return rows * np.int32(self._rows.shape[1])

    def _add(self, chromas: np.ndarray) -> None:
        """Compute rows for chromas, (N,) int32."""
        first, self._used = self._used, self._used + len(chromas)
        if self._used > len(self._rows):  # room for twice as many, so that this is rare
            rows = np.empty((2 * self._used, *self._rows.shape[1:]), self._rows.dtype)
            rows[:first] = self._rows[:first]
            self._rows = rows
        self._row_of[chromas] = np.arange(first, self._used)
        chroma = torch.from_numpy(chromas)
        ab = (torch.stack((chroma // _SIDE, chroma % _SIDE)) - _SIDE // 2) * AB_STEP  # (2, N)
        greys = (torch.arange(STEPS + 1) * STEP).clamp_max(65535)  # the last step is one less
        lightness = grey_to_lightness(greys / 65535)[None, None]  # (1, 1, STEPS + 1)
        size = len(chromas), STEPS + 1
        rgb = fit_to_gamut(lightness.expand(1, *size), ab[..., None].expand(2, *size))
        here = slice(first, self._used)
        slopes = rgb.diff(dim=2) / greys.diff()  # (3, N, STEPS)
        if self._dtype == np.uint16:
            pairs = torch.stack((rgb[..., :-1] * 65535 + 0.5, slopes * 65535), dim=-1)
            numbers = pairs.movedim(0, 1).contiguous().numpy().view(np.uint64)  # (N, 3, STEPS, 1)
            self._rows[here] = numbers.reshape(len(chromas), -1)
            return
        values = (rgb.flatten(0, 1) @ _between().T).view(3, -1, 256)
        levels = (values * 255).round_().to(torch.int16).numpy()
        colours = np.zeros((len(chromas), 256, 4), dtype=np.uint8)
        for channel in range(3):
            colours[..., channel] = levels[channel]
        self._rows[here] = colours.view(np.uint32)[..., 0]

    def colours(self, grey: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Look up colours.

        Args:
            grey: (h, w) of the table's type.
            places: (h, w), see `places`.

        Returns:
            rgb (h, w, 3) of the table's type.
        """
        rgb = np.empty((*grey.shape, 3), dtype=self._dtype)
        rows = self._rows.ravel()
        # Of all ways to look up, take is the fastest, if it need not look for indices too large.
        if self._dtype == np.uint8:
            found = rows.take(places + grey, mode="wrap").view(np.uint8).reshape(*grey.shape, 4)
            for channel in range(3):
                rgb[..., channel] = found[..., channel]
            return rgb
        where = places + grey // STEP
        beyond = torch.from_numpy((grey % STEP).astype(np.float32))
        for channel in range(3):
            pairs = rows.take(where, mode="wrap").view(np.float32).reshape(*grey.shape, 2)
            value, slope = torch.from_numpy(pairs).unbind(dim=-1)
            rgb[..., channel] = torch.addcmul(value, slope, beyond).int().numpy()
            where += STEPS
        return rgb
