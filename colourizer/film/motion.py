"""Block matching between two frames: which chroma of the one belongs where in the other.

For a single frame between two that the network sees: each frame's chroma is taken from the frame
before, so that errors do not add up.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 4  # pixels: side of the cells that are matched, the stride of chroma
REACH = 4  # cells: the longest displacement down or across
FAR = 0.3  # Lab units that a displacement by one cell must gain
UNMATCHED = 3.0  # Lab units: a cell whose best match differs by more has none


def to_cells(lightness: Tensor) -> Tensor:
    """Return the mean lightness (1, 1, H/4, W/4) of the cells of (1, 1, H, W)."""
    return F.avg_pool2d(lightness, CELL)


def match_cells(before: Tensor, after: Tensor) -> tuple[Tensor, float]:
    """Find for each cell of a frame where it was in the frame before.

    Args:
        before: (1, 1, h, w) in [0, 100], from `to_cells`.
        after: the same of the next frame.

    Returns:
        displacements (h * w,), each a number for `take_displaced`; and the share of cells in [0, 1]
        that are nowhere in the frame before.
    """
    height, width = after.shape[2:]
    candidates = _displaced(before).view(-1, height, width)
    difference = _box_means((candidates - after[0]).abs())
    steps = torch.arange(-REACH, REACH + 1.0)
    lengths = torch.hypot(steps[:, None], steps).flatten()
    cost, displacements = (difference + FAR * lengths[:, None, None]).flatten(1).min(dim=0)
    unmatched = cost - FAR * lengths[displacements] > UNMATCHED
    return displacements, unmatched.float().mean().item()


def take_displaced(planes: Tensor, displacements: Tensor) -> Tensor:
    """Return planes (1, C, h, w), each place from where `match_cells` found its cell."""
    channels = planes.shape[1]
    candidates = _displaced(planes).view(channels, -1, len(displacements))
    where = displacements.expand(channels, 1, -1)
    return candidates.gather(1, where).view(planes.shape)


def _displaced(planes: Tensor) -> Tensor:
    """Return planes (1, C, h, w) displaced in all ways: (1, C * ways, h * w)."""
    return F.unfold(F.pad(planes, [REACH] * 4, mode="replicate"), 2 * REACH + 1)


def _box_means(planes: Tensor) -> Tensor:
    """Return the means of planes (N, h, w) over 3x3 places, those at the edges repeated."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
