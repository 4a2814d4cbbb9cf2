"""Chroma that is coherent over a thing: averaged over places whose decoder features are alike.

Each place decides for itself, so a wall may get patches of another colour. Here it gets what places
like it have on average, as in non-local means (Buades, Coll, Morel: CVPR 2005) with the decoder's
features for patches. Edges stay, since only what varies slowly is replaced.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# What follows was chosen on validation photographs (docs/experiments.md).
FEATURE_WEIGHTS = (1.1, 2.0)  # of the features at strides 8 and 4 in the squared distance
SHARPNESS = 4.0  # of the softmax over negative squared distances


def stride_8_vectors(features: Sequence[Tensor]) -> Tensor:
    """Return a feature vector for each place at stride 8, normalized and weighted.

    Args:
        features: the decoder's, (1, C, 2h, 2w) at stride 8 and (1, C', 4h, 4w) at stride 4.

    Returns:
        vectors (1, C + C', 2h, 2w): their squared distance says how unlike places are.
    """
    coarse, fine = features
    parts = (coarse.float(), halve(fine.float()))
    return torch.cat(
        [F.normalize(p, dim=1) * w**0.5 for p, w in zip(parts, FEATURE_WEIGHTS, strict=True)], dim=1
    )


def affinity(vectors: Tensor) -> Tensor:
    """Return how alike places are, as weights that sum to 1 for each of them.

    Args:
        vectors: (1, C + C', 2h, 2w), from `stride_8_vectors`.

    Returns:
        weights (4hw, hw): of the means over 2x2 places, for each of the places.
    """
    return softmax_kernel(vectors[0].flatten(1), halve(vectors)[0].flatten(1), SHARPNESS)


def softmax_kernel(queries: Tensor, keys: Tensor, sharpness: float) -> Tensor:
    """Return softmax(-sharpness |x - y|^2) over y, (N, M), for x (D, N) and y (D, M)."""
    with torch.autocast(keys.device.type, enabled=False):  # bf16 is too coarse
        # Of |x - y|^2 = |x|^2 - 2xy + |y|^2 the first term is the same for all keys.
        scores = 2 * queries.T @ keys - keys.square().sum(dim=0)
    return torch.softmax(sharpness * scores, dim=1)


def average_alike(ab: Tensor, weights: Tensor) -> Tensor:
    """Average chroma over places that are alike.

    Args:
        ab: (1, 2, 4h, 4w) in Lab units.
        weights: from `affinity`.

    Returns:
        ab as given, less its means at stride 8, plus their averages.
    """
    own = halve(ab)  # at stride 8
    return add_upsampled(ab, average_over_alike(own, weights) - own)


def average_over_alike(planes: Tensor, weights: Tensor) -> Tensor:
    """Return planes (1, C, 2h, 2w) averaged over places that are alike; weights from `affinity`."""
    return (halve(planes)[0].flatten(1) @ weights.T).view(planes.shape)


def add_upsampled(ab: Tensor, change: Tensor) -> Tensor:
    """Return ab (1, 2, 2h, 2w) plus a change (1, 2, h, w)."""
    return ab + upsample_by_2(change)


def upsample_by_2(planes: Tensor) -> Tensor:
    """Return planes (1, C, h, w) interpolated to (1, C, 2h, 2w)."""
    return F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)


def halve(planes: Tensor) -> Tensor:
    """Return the means over 2x2 places."""
    return F.avg_pool2d(planes, 2)
