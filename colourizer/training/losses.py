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


def consistency_loss(logits: Tensor, aged_index: Tensor) -> Tensor:
    """Return how far the colours of crops are from those of their mirror images, in nats.

    It is the KL divergence of either's bins from the mean of both, as in R-Drop (Liang et al.,
    NeurIPS 2021) with mirroring in place of dropout. A mirror image that is aged learns alone, from
    the crop itself, which is the easier one.

    Args:
        logits: (2B, K, H, W); the second half is of the mirror images of the first.
        aged_index: (A,), which of all are aged; none of the first half.
    """
    crops, mirrored = torch.log_softmax(logits.float(), dim=1).chunk(2)
    mirrored = mirrored.flip(-1)
    learns = torch.ones(len(logits), device=logits.device)
    learns[aged_index - len(crops)] = 0  # the crop of an aged mirror image does not
    teaches = crops.detach().exp()  # (B, K, H, W)
    middle = (teaches + mirrored.detach().exp()) / 2
    is_alone = (learns[: len(crops)] == 0)[:, None, None, None]
    targets = torch.cat((middle, torch.where(is_alone, teaches, middle)))
    divergence = F.kl_div(torch.cat((crops, mirrored)), targets, reduction="none").sum(dim=1)
    return (divergence.mean(dim=(1, 2)) * learns).mean()


def pool_ab(ab: Tensor, logits: Tensor) -> Tensor:
    """Average ab (B, 2, H, W) to the resolution of logits (B, K, h, w).

    Returns:
        ab (B, 2, h, w).
    """
    height, width = logits.shape[-2:]
    return F.adaptive_avg_pool2d(ab, (height, width))
