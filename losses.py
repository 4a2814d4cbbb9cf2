"""What the network is trained to make small."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ab_bins import mean_of_bins, soft_bins

AB_SCALE = 20.0  # Lab units, about the mean chroma of photographs: brings L1 near 1


def l1_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Mean absolute difference between the bins' mean colour and the true one, over AB_SCALE.

    Args:
        logits: (B, K, H, W).
        ab: (B, 2, H, W) in Lab units.
        centres: (K, 2), the bins' ab in Lab units.
    """
    return F.l1_loss(mean_of_bins(logits, centres), ab) / AB_SCALE


def bins_loss(logits: Tensor, ab: Tensor, centres: Tensor) -> Tensor:
    """Cross-entropy against the soft bins of the true colour, plus L1 on the mean colour.

    Arguments as `l1_loss`.
    """
    logits, ab = logits.float().movedim(1, -1), ab.movedim(1, -1)  # (B, H, W, K), (B, H, W, 2)
    log_probability = torch.log_softmax(logits, dim=-1)
    cross_entropy = -(soft_bins(ab, centres) * log_probability).sum(dim=-1).mean()
    return cross_entropy + F.l1_loss(log_probability.exp() @ centres, ab) / AB_SCALE


LOSSES = {"l1": l1_loss, "bins": bins_loss}
