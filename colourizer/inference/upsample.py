"""Chroma is enlarged to a photograph's size, strip by strip."""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # whoever comes next may want gradients
def _bicubic(low: int, high: int) -> Tensor:
    """Say how much of each of a number of places goes into each of another: (high, low)."""
    unit = torch.eye(low)[None, None]
    return F.interpolate(unit, (high, low), mode="bicubic", align_corners=False)[0, 0]


def enlarge(planes: Tensor, height: int, width: int, rows: int) -> Iterator[Tensor]:
    """Enlarge what the network said to a photograph's size, without ever holding all of it.

    Args:
        planes: (1, C, h, w).
        height: the photograph's.
        width: the photograph's.
        rows: how many to give at a time.

    Yields:
        strips (C, rows, width), from top to bottom; the last may have fewer rows.
    """
    planes = planes.float().cpu()
    wide = planes[0] @ _bicubic(planes.shape[3], width).T
    weights = _bicubic(planes.shape[2], height)
    if rows >= height:
        yield weights @ wide
        return
    for y in range(0, height, rows):
        mixed = weights[y : y + rows]
        used = mixed.any(dim=0).nonzero()  # the others would only take time
        here = slice(int(used[0]), int(used[-1]) + 1)
        yield mixed[:, here] @ wide[:, here]
