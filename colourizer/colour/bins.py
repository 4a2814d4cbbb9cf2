"""The bins of ab colours: colours into them, and the mean of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.space import rgb_to_lab

AB_BIN_SIZE = 10.0  # Lab units between neighbouring bins, as Zhang, Isola, Efros: ECCV 2016
SOFTNESS = 5.0  # Lab units: the spread of a colour over the bins near it (ECCV16: sigma = 5)


def ab_bin_centres() -> Tensor:
    """List the cells of a 10-unit grid over ab in which sRGB has a colour.

    The grid is that of Zhang, Isola, Efros: Colorful Image Colorization, ECCV 2016, section 2.1;
    the cells here come from the sRGB cube itself, not from counts over photographs.

    Returns:
        centres (K, 2), multiples of AB_BIN_SIZE, ordered by a, then b.
    """
    ramp = torch.linspace(0, 1, 65, dtype=torch.float64)
    found = []
    for red in ramp:  # the whole cube at once would take 120 MB
        rgb = torch.cartesian_prod(red[None], ramp, ramp).T[:, :, None]  # (3, 65^2, 1)
        cells = torch.round(rgb_to_lab(rgb)[1:, :, 0].T / AB_BIN_SIZE)
        found.append(torch.unique(cells, dim=0))
    return (torch.unique(torch.cat(found), dim=0) * AB_BIN_SIZE).float()


def soft_bins(ab: Tensor, centres: Tensor) -> Tensor:
    """Spread each colour over the bins near it by a Gaussian of SOFTNESS.

    exp(-|ab - c|^2 / 2 s^2), normalized over the bins, is the softmax of something linear in ab, so
    one small matrix product does it: ECCV16's soft encoding without the search for neighbours.

    Args:
        ab: (..., 2) in Lab units.
        centres: (K, 2) in Lab units.

    Returns:
        probability (..., K).
    """
    scores = ab @ centres.T - centres.square().sum(dim=-1) / 2
    return torch.softmax(scores / SOFTNESS**2, dim=-1)


def mean_of_bins(logits: Tensor, centres: Tensor, temperature: float = 1.0) -> Tensor:
    """Read one colour out of the likelihoods of the bins: their annealed mean.

    Zhang, Isola, Efros: ECCV 2016, equation 5.

    Args:
        logits: (B, K, H, W).
        centres: (K, 2), the bins' ab in Lab units.
        temperature: 1 takes the mean as it is; towards 0, the most likely bin.

    Returns:
        ab (B, 2, H, W) in Lab units, float32.
    """
    # Bins last: with channels_last memory a view, and softmax and products run along memory. Of
    # so few columns F.linear makes a product in a quarter of the time that @ takes.
    scores = logits.float().movedim(1, -1) / temperature  # (B, H, W, K)
    with torch.autocast(logits.device.type, enabled=False):  # bf16 is too coarse for colours
        return F.linear(torch.softmax(scores, dim=-1), centres.T.contiguous()).movedim(-1, 1)
