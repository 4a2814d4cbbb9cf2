"""Which photographs of an album may show the same: those with similar histograms of visual words.

Visual words: Sivic and Zisserman, Video Google, ICCV 2003. An inverted file of coarse cells (Jegou,
Douze, Schmid: PAMI 2011) keeps the search from being quadratic in the number of photographs.
"""

import math

import torch
from torch import Tensor

ITERATIONS = 8  # of k-means
CANDIDATES = 12  # photographs of similar histograms, for each photograph
IN_ORDER = 2  # of the photographs before and after each, which scans and bursts make likely
PROBES = 4  # cells in which each photograph looks for others


def k_means(vectors: Tensor, count: int) -> Tensor:
    """Return the centres (count, D) of clusters of vectors (N, D), from a fixed seed."""
    chosen = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:count]
    centres = vectors[chosen]
    for _ in range(ITERATIONS):
        nearest = torch.cdist(vectors, centres).argmin(dim=1)
        sizes = torch.bincount(nearest, minlength=len(centres))[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def word_histogram(vectors: Tensor, words: Tensor) -> Tensor:
    """Return a photograph's descriptor: roots of the shares (W,) of its vectors (N, D) by word."""
    nearest = torch.cdist(vectors, words).argmin(dim=1)
    return torch.bincount(nearest, minlength=len(words)).div(len(vectors)).sqrt()


def candidate_pairs(descriptors: Tensor) -> Tensor:
    """Return pairs of photographs that may show the same.

    Args:
        descriptors: (N, W), of unit length, in the order of the photographs.

    Returns:
        (M, 2), the numbers of both, the smaller one first; each pair once.
    """
    count = len(descriptors)
    cells = k_means(descriptors, max(1, round(math.sqrt(count) / 2)))
    distances = torch.cdist(descriptors, cells)
    own = distances.argmin(dim=1)
    probed = distances.topk(min(PROBES, len(cells)), largest=False).indices
    similarity = torch.full((count, CANDIDATES), -1.0)
    others = torch.arange(count)[:, None].repeat(1, CANDIDATES)
    for cell in range(len(cells)):
        looking = (probed == cell).any(dim=1).nonzero()[:, 0]
        inside = (own == cell).nonzero()[:, 0]
        for part in looking.split(1000):
            values = descriptors[part] @ descriptors[inside].T
            values[part[:, None] == inside] = -1
            values = torch.cat((similarity[part], values), dim=1)
            numbers = torch.cat((others[part], inside.expand(len(part), -1)), dim=1)
            similarity[part], best = values.topk(CANDIDATES)
            others[part] = numbers.gather(1, best)
    alone = torch.arange(count)
    pairs = [torch.stack((alone.repeat_interleave(CANDIDATES), others.flatten()), dim=1)]
    pairs += [torch.stack((alone[:-step], alone[step:]), dim=1) for step in range(1, IN_ORDER + 1)]
    ordered = torch.cat(pairs).sort(dim=1).values
    return torch.unique(ordered[ordered[:, 0] < ordered[:, 1]], dim=0)


def fit_projection(vectors: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) and the principal components (D, dimensions) of vectors (N, D).

    The components are half whitened: each is divided by the fourth root of its variance.
    """
    mean = vectors.mean(dim=0)
    covariance = (vectors - mean).T @ (vectors - mean) / len(vectors)
    variances, components = torch.linalg.eigh(covariance)
    variances, components = variances.flip(0)[:dimensions], components.flip(1)[:, :dimensions]
    return mean, components / variances.clamp_min(variances[0] * 1e-4 + 1e-9) ** 0.25
