"""Bins of ab colours: their centres, soft encoding, and the annealed mean."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import rgb_to_lab

AB_BIN_SIZE = 10.0  # Lab units between neighbouring bins, as Zhang, Isola, Efros: ECCV 2016
SOFTNESS = 5.0  # Lab units: the spread of a colour over the bins near it (ECCV16: sigma = 5)


@cache
def _reachable_cells() -> Tensor:
    """Return the numbers (K, 2) along a and b of the cells that the sRGB gamut reaches, int64."""
    largest = 20  # that any of them could have
    reached = torch.zeros(2 * largest + 1, 2 * largest + 1, dtype=torch.bool)
    ramp = torch.linspace(0, 1, 65, dtype=torch.float64)
    for red in ramp:  # the whole cube at once would take 120 MB
        rgb = torch.cartesian_prod(red[None], ramp, ramp).T[:, :, None]  # (3, 65^2, 1)
        a, b = torch.round(rgb_to_lab(rgb)[1:, :, 0] / AB_BIN_SIZE).long() + largest
        reached[a, b] = True
    return reached.nonzero() - largest


def ab_bin_centres() -> Tensor:
    """Return the centres of the cells of a 10-unit grid over ab that the sRGB gamut reaches.

    The grid is that of Zhang, Isola, Efros: Colorful Image Colorization, ECCV 2016, section 2.1;
    here the cells are those of the sRGB cube itself, not those found in photographs.

    Returns:
        centres (K, 2), multiples of AB_BIN_SIZE, ordered by a, then b.
    """
    return _reachable_cells() * AB_BIN_SIZE


def soft_bins(ab: Tensor, centres: Tensor) -> Tensor:
    """Return the soft encoding of colours: a Gaussian of SOFTNESS over the bins, normalized.

    The normalized exp(-|ab - c|^2 / 2 s^2) is the softmax of (ab c - |c|^2 / 2) / s^2, linear in
    ab: one matrix product replaces ECCV16's search for the nearest bins.

    Args:
        ab: (..., 2) in Lab units.
        centres: (K, 2) in Lab units.

    Returns:
        probability (..., K).
    """
    scores = ab @ centres.T - centres.square().sum(dim=-1) / 2
    return torch.softmax(scores / SOFTNESS**2, dim=-1)


def mean_of_bins(logits: Tensor, centres: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the annealed mean of the bins: Zhang, Isola, Efros: ECCV 2016, equation 5.

    Args:
        logits: (B, K, H, W).
        centres: (K, 2), the bins' ab in Lab units.
        temperature: 1 is the mean of the softmax; towards 0, the most likely bin.

    Returns:
        ab (B, 2, H, W) in Lab units, float32.
    """
    # Bins last: of channels_last memory a view, along which softmax and product are contiguous.
    # For so few columns F.linear takes a quarter of the time of @.
    scores = logits.float().movedim(1, -1) / temperature  # (B, H, W, K)
    with torch.autocast(logits.device.type, enabled=False):  # bf16 is too coarse for colours
        return F.linear(torch.softmax(scores, dim=-1), centres.T.contiguous()).movedim(-1, 1)
