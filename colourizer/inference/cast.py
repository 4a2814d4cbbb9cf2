"""Casts: a tint over the whole picture that is stronger than photographs have, taken back."""

import torch
from torch import Tensor

# Chosen on validation photographs (docs/experiments.md). Lab units: the mean chroma up to which
# nothing is taken back, and the share of what is more.
USUAL_MEAN, TAKEN_BACK = 20.0, 0.75


def limit_cast(ab: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return chroma with a cast taken back.

    A photograph's mean chroma is what the network knows least well, and an error of it can be seen
    everywhere. What is neutral, or has an opposite colour, stays as it is.

    Args:
        ab: (1, 2, h, w) in Lab units.
        weight: (1, 1, h, w), of each place in the mean; None weighs all alike.
    """
    if weight is None:
        mean = ab.mean(dim=(2, 3), keepdim=True)
    else:
        total = weight.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        mean = (ab * weight).sum(dim=(2, 3), keepdim=True) / total
    length = mean.square().sum(dim=1, keepdim=True).sqrt()
    direction = mean / length.clamp_min(1e-6)
    along = (ab * direction).sum(dim=1, keepdim=True).clamp_min(0)
    excess = TAKEN_BACK * (length - USUAL_MEAN).clamp_min(0)
    return ab - direction * torch.minimum(along, excess)
