"""Patchiness: how much predicted chroma varies where the truth has one colour."""

from collections import deque

import numpy as np
import torch.nn.functional as F
from torch import Tensor

SIDE = 64  # of the grid that regions are grown on; chroma is predicted no finer
MAX_DEVIATION = 8.0  # Lab units from a region's mean
MIN_AREA = 0.01  # of the picture; smaller regions do not count


def _on_grid(ab: Tensor) -> Tensor:
    """Return chroma (2, H, W) averaged to at most SIDE by SIDE, on the CPU."""
    size = (min(SIDE, ab.shape[1]), min(SIDE, ab.shape[2]))
    return F.adaptive_avg_pool2d(ab.double().cpu(), size)


def uniform_regions(ab: Tensor) -> list[np.ndarray]:
    """Return the regions of a picture that have one colour, by region growing.

    Regions grow from the smoothest places first, by 4-neighbours within MAX_DEVIATION of the
    region's mean so far; in the end, places further than that from its mean are dropped.

    Args:
        ab: (2, H, W) in Lab units.

    Returns:
        For each region of at least MIN_AREA the flat indices of its places on the grid, disjoint.
    """
    a, b = _on_grid(ab).numpy()
    height, width = a.shape
    slope = sum(np.abs(np.gradient(plane, axis=axis)) for plane in (a, b) for axis in (0, 1))
    a, b = a.ravel(), b.ravel()
    free = np.ones(height * width, dtype=bool)
    regions = []
    for seed in np.argsort(slope, axis=None, kind="stable"):
        if not free[seed]:
            continue
        free[seed] = False
        members, queue, sum_a, sum_b = [int(seed)], deque([int(seed)]), a[seed], b[seed]
        while queue:
            place = queue.popleft()
            y, x = divmod(place, width)
            for near, inside in (
                (place - width, y > 0),
                (place + width, y < height - 1),
                (place - 1, x > 0),
                (place + 1, x < width - 1),
            ):
                if not inside or not free[near]:
                    continue
                mean_a, mean_b = sum_a / len(members), sum_b / len(members)
                if (a[near] - mean_a) ** 2 + (b[near] - mean_b) ** 2 > MAX_DEVIATION**2:
                    continue
                free[near] = False
                members.append(near)
                queue.append(near)
                sum_a, sum_b = sum_a + a[near], sum_b + b[near]
        index = np.array(members)
        away = np.hypot(a[index] - a[index].mean(), b[index] - b[index].mean())
        index = index[away <= MAX_DEVIATION]
        if len(index) >= MIN_AREA * height * width:
            regions.append(index)
    return regions


def patchiness(regions: list[np.ndarray], ab: Tensor) -> float:
    """Return the root mean square deviation of chroma from its mean within each region.

    Args:
        regions: of the truth, from `uniform_regions`.
        ab: (2, H, W) in Lab units, predicted or true, of the truth's size.

    Returns:
        In Lab units, averaged over the regions by their area; 0 without regions.
    """
    planes = _on_grid(ab).numpy().reshape(2, -1)
    total = sum(len(index) * np.sqrt(planes[:, index].var(axis=1).sum()) for index in regions)
    return float(total / max(1, sum(map(len, regions))))
