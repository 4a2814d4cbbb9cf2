"""Training losses: L1 on the mean colour, and cross-entropy over the bins of colours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.bins import mean_of_bins, soft_bins

AB_SCALE = 20.0  # Lab units: about the mean chroma of photographs, so that L1 is near 1


def l1_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Return the mean absolute error of the bins' mean colour, in units of AB_SCALE.

    Args:
        logits: (B, K, H, W).
        ab: (B, 2, H, W) in Lab units.
        centres: (K, 2), the bins' ab in Lab units.
    """
    return F.l1_loss(mean_of_bins(logits, centres), ab) / AB_SCALE


def cross_entropy(log_probability: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Return the cross-entropy against the soft bins of the true colour, in nats.

    Args:
        log_probability: (..., K).
        ab: (..., 2) in Lab units.
        centres: (K, 2), the bins' ab in Lab units.
    """
    return -(soft_bins(ab, centres) * log_probability).sum(dim=-1).mean()


def bins_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Return the cross-entropy against the soft bins of the true colour plus `l1_loss`.

    Arguments as for `l1_loss`.
    """
    logits, ab = logits.float().movedim(1, -1), ab.movedim(1, -1)  # (B, H, W, K), (B, H, W, 2)
    log_probability = torch.log_softmax(logits, dim=-1)
    l1 = F.l1_loss(log_probability.exp() @ centres, ab) / AB_SCALE
    return cross_entropy(log_probability, ab, centres) + l1


def pool_ab(ab: Tensor, logits: Tensor) -> Tensor:
    """Average ab (B, 2, H, W) to the resolution of logits (B, K, h, w).

    Returns:
        ab (B, 2, h, w).
    """
    height, width = logits.shape[-2:]
    return F.adaptive_avg_pool2d(ab, (height, width))
