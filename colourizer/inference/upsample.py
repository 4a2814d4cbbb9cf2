"""Bicubic upsampling of predicted planes to a photograph's size, strip by strip."""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # a caller may want gradients
def _bicubic_matrix(low: int, high: int) -> Tensor:
    """Return the bicubic interpolation matrix (high, low), as F.interpolate defines it."""
    unit = torch.eye(low)[None, None]
    return F.interpolate(unit, (high, low), mode="bicubic", align_corners=False)[0, 0]


def upsample(planes: Tensor, height: int, width: int) -> Tensor:
    """Return planes (1, C, h, w) upsampled to (C, height, width), on the CPU."""
    return next(upsample_strips(planes, height, width, rows=height))


def upsample_strips(planes: Tensor, height: int, width: int, rows: int) -> Iterator[Tensor]:
    """Upsample planes without ever holding all of the result.

    Bicubic interpolation is separable: one matrix product across, one down for each strip.

    Args:
        planes: (1, C, h, w).
        height: of the result.
        width: of the result.
        rows: of a strip.

    Yields:
        strips (C, rows, width), on the CPU, from top to bottom; the last may have fewer rows.
    """
    planes = planes.float().cpu()
    wide = planes[0] @ _bicubic_matrix(planes.shape[3], width).T  # (C, h, width)
    matrix = _bicubic_matrix(planes.shape[2], height)
    if rows >= height:
        yield matrix @ wide
        return
    for y in range(0, height, rows):
        weights = matrix[y : y + rows]
        columns = weights.any(dim=0).nonzero()  # all others are zero
        used = slice(int(columns[0]), int(columns[-1]) + 1)
        yield weights[:, used] @ wide[:, used]
