"""What the network is trained to make small."""

import torch
import torch.nn.functional as F
from torch import Tensor

from colour_space import mean_of_bins

SOFTNESS = 5.0  # Lab units: the spread of a colour over the bins near it (ECCV16: sigma = 5)
AB_SCALE = 20.0  # Lab units, about the mean chroma of photographs: brings L1 near 1


def l1_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Mean absolute difference between the bins' mean colour and the true one, over AB_SCALE.

    Args:
        logits: (B, K, H, W).
        ab: (B, 2, H, W) in Lab units.
        centres: (K, 2), the bins' ab in Lab units.
    """
    return F.l1_loss(mean_of_bins(logits, centres), ab) / AB_SCALE


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


def bins_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Cross-entropy against the soft bins of the true colour, plus L1 on the mean colour.

    Arguments as `l1_loss`.
    """
    logits, ab = logits.float().movedim(1, -1), ab.movedim(1, -1)  # (B, H, W, K), (B, H, W, 2)
    log_probability = torch.log_softmax(logits, dim=-1)
    cross_entropy = -(soft_bins(ab, centres) * log_probability).sum(dim=-1).mean()
    return cross_entropy + F.l1_loss(log_probability.exp() @ centres, ab) / AB_SCALE


LOSSES = {"l1": l1_loss, "bins": bins_loss}
