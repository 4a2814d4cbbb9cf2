"""A photograph's mean chroma, estimated again: casts are taken back, faint colours enlarged."""

import torch
from torch import Tensor

# All chosen on validation photographs (docs/experiments.md).
# Lab units: the length of a mean up to which it is no cast, and the share of what is more that is
# taken back.
USUAL_MEAN, TAKEN_BACK = 20.0, 0.75
# Lab units: the mean chroma that photographs have, and at vividness 1 the share of what is less
# that is added; at most by this factor, as what is grey all over has nothing to enlarge.
LIKELY_CHROMA, ADDED, MAX_FACTOR = 15.0, 0.6, 2.5
# Lab units: nothing is enlarged beyond it, as faces, the one thing in a grey street that has its
# colour, would become red.
MAX_ENLARGED = 25.0


def limit_cast(ab: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return chroma with a cast taken back: a tint stronger than photographs have.

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


def enlarge_faint(ab: Tensor, vividness: float | Tensor) -> Tensor:
    """Return chroma, larger by one factor if its mean is faint, up to what is vivid already.

    It is estimated best between the network's own and that of photographs; the network's is too
    small where it has seen few like it, as of streets a century ago.

    Args:
        ab: (1, 2, h, w) in Lab units.
        vividness: as it was read out with; at 0 nothing is added. A tensor () in the graph that
            onnx_graph.py makes.
    """
    chroma = ab.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
    mean = chroma.mean(dim=(2, 3), keepdim=True)
    gain = 1 + ADDED * vividness * (LIKELY_CHROMA - mean).clamp_min(0) / mean
    return ab * torch.minimum(gain.clamp_max(MAX_FACTOR), (MAX_ENLARGED / chroma).clamp_min(1))
