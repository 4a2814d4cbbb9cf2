"""Where a film's scenes begin, and which frames have no content: leaders, titles, black."""

import torch
import torch.nn.functional as F
from torch import Tensor

THUMBNAIL = (24, 32)  # rows and columns in which frames are compared
# It is a cut when the thumbnails' correlation is below the first and their mean difference, in Lab
# units, above the second. In 19 clips frames of one shot had 0.75 or more, of two shots 0.57 or
# less; the correlation does not see fades, and is noise in frames that are nearly flat.
CUT_CORRELATION, CUT_DIFFERENCE = 0.65, 4.0
FLAT = 3.0  # Lab units: in flat areas neighbouring pixels differ by less
LEVEL = 2.0  # Lab units: flat areas are sorted into levels so far apart
COVERED = 0.95  # of the flat areas that lie in how many levels is counted
FEW_LEVELS, MANY_LEVELS = 4, 8  # of titles, and of photographs; between the two, chroma fades
MIN_FLAT = 0.02  # share of flat areas with less of which frames always have content


def thumbnail(lightness: Tensor) -> Tensor:
    """Return lightness (1, 1, h, w) in [0, 100] reduced to THUMBNAIL (rows, columns)."""
    return F.adaptive_avg_pool2d(lightness, THUMBNAIL)[0, 0]


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Return whether two thumbnails, (rows, columns) in [0, 100], are of different scenes."""
    difference = after - before
    if (difference - difference.median()).abs().mean() < CUT_DIFFERENCE:
        return False
    one, other = before - before.mean(), after - after.mean()
    return bool((one * other).sum() < CUT_CORRELATION * one.norm() * other.norm())


def content(lightness: Tensor) -> float:
    """Return how much a frame shows besides a few levels of grey.

    The flat areas of a title, a leader or a black frame, grain included, have few levels; those of
    photographs have many. Thin letters have no flat areas, their background has.

    Args:
        lightness: (1, 1, h, w) in [0, 100].

    Returns:
        share in [0, 1], by which chroma is to be multiplied.
    """
    pixels = lightness[0, 0, :-1, :-1]
    right, below = lightness[0, 0, :-1, 1:], lightness[0, 0, 1:, :-1]
    flat = pixels[((right - pixels).abs() < FLAT) & ((below - pixels).abs() < FLAT)]
    if len(flat) < MIN_FLAT * pixels.numel():
        return 1.0
    counts = torch.bincount((flat / LEVEL).int()).sort(descending=True).values
    levels = 1 + int((counts.cumsum(0) < COVERED * len(flat)).sum())
    return min(1.0, max(0.0, (levels - FEW_LEVELS) / (MANY_LEVELS - FEW_LEVELS)))
