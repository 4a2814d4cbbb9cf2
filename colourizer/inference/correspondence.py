"""Dense correspondences between two photographs, found by windows of the decoder's features.

The features of one place say what kind of thing is there, those of a window around it which one. A
match counts where its neighbours have the same offset, and where the way back leads to where it
began. Two photographs correspond if enough places do; of unrelated ones hardly any does.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# What follows was chosen on training photographs (docs/experiments.md).
WINDOW = 5  # places at stride 8: the side of the windows that are compared, and of those that vote
TOLERANCE = 1.5  # places by which the offsets of neighbours, and the way back, may differ
ALIKE = 0.5  # squared distance over squared norm of windows at which a match counts for 1/e
MIN_SHARE = 0.05  # of a photograph's places that match, else the photographs are unrelated
REACH = 2.0  # places: the standard deviation of the blur that fills offsets in
# Similarity of a place and its window, in [-1, 1], up to which what is filled in has quality 0,
# and from which 1.
DIFFERENT, SAME = 0.2, 0.5
SUPPORT = 0.01  # the least weight of sure matches around a place to be filled in


@dataclass(frozen=True)
class Correspondence:
    """Where the places of a photograph are found in another.

    offset: (2, h, w), the rows and columns from each place to that of the other, in places.
    quality: (h, w) in [0, 1]; 0 where it is not found.
    """

    offset: Tensor
    quality: Tensor


def find_correspondences(
    one: Tensor, other: Tensor
) -> tuple[Correspondence, Correspondence] | None:
    """Find the places of each of two photographs in the other.

    Args:
        one: (C, h, w), features at stride 8 less their mean.
        other: (C, h', w'), those of the other.

    Returns:
        Of one in the other and of the other in one; None if they are unrelated.
    """
    found = _match(one, other)
    if min(matches.mean().item() for _, matches in found) < MIN_SHARE:
        return None
    (forth, forth_matches), (back, back_matches) = found
    return _fill_in(one, other, forth, forth_matches), _fill_in(other, one, back, back_matches)


def matching_share(one: Tensor, other: Tensor) -> float:
    """Return the share of places that match, of the photograph of which fewer do."""
    return min(matches.mean().item() for _, matches in _match(one, other))


def sample(planes: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return planes at places moved by offsets, interpolated, and which of these lie inside.

    Args:
        planes: (C, h', w').
        offset: (2, h, w), from `Correspondence`.

    Returns:
        (C, h, w); and (h, w), 1 inside and 0 outside.
    """
    rows, columns = planes.shape[-2:]
    y = torch.arange(offset.shape[1])[:, None] + offset[0]
    x = torch.arange(offset.shape[2]) + offset[1]
    inside = (y > -0.75) & (y < rows - 0.25) & (x > -0.75) & (x < columns - 0.25)
    grid = torch.stack(((2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1), dim=-1)
    moved = F.grid_sample(planes[None], grid[None], padding_mode="border", align_corners=False)
    return moved[0], inside.float()


def _match(one: Tensor, other: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Match windows; return offsets and how far they are right, of one to the other and back.

    Returns:
        twice: offset (2, h, w) in places; and (h, w) in [0, 1].
    """
    windows = [_windows(planes).flatten(1).T for planes in (one, other)]  # (places, values)
    squares = [values.square().sum(dim=1) for values in windows]
    distances = squares[0][:, None] + squares[1] - 2 * windows[0] @ windows[1].T
    sizes = (one.shape[1:], other.shape[1:])
    found = []
    for dim, (size, other_size) in ((1, sizes), (0, sizes[::-1])):
        distance, nearest = distances.min(dim=dim)
        alike = (-(distance / squares[1 - dim].clamp_min(1e-6) / ALIKE).square()).exp()
        offset, agreeing = _agree(nearest.view(size), other_size[1])
        found.append((offset, agreeing * alike.view(size)))
    offsets = [offset for offset, _ in found]
    for n, (offset, matches) in enumerate(found):
        way_back, inside = sample(offsets[1 - n], offset)
        closed = (way_back + offset).abs().amax(dim=0) <= TOLERANCE
        found[n] = (offset, matches * closed * inside)
    return found


def _windows(planes: Tensor) -> Tensor:
    """Return the windows around places, (C * WINDOW^2, h, w), of planes (C, h, w)."""
    padded = F.pad(planes[None], (WINDOW // 2,) * 4, mode="replicate")
    return F.unfold(padded, WINDOW)[0].unflatten(1, planes.shape[1:]) / WINDOW


def _agree(nearest: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Return the offsets that most places of a window agree on.

    Args:
        nearest: (h, w), the number of the other photograph's place that matches.
        columns: of places in the other photograph.

    Returns:
        offset (2, h, w) in places; and the share of the window that agrees, (h, w).
    """
    height, width = nearest.shape
    down = nearest // columns - torch.arange(height)[:, None]
    right = nearest % columns - torch.arange(width)
    votes = _windows(torch.stack((down, right)).float()).unflatten(0, (2, -1)) * WINDOW
    median = votes.median(dim=1, keepdim=True).values  # (2, 1, h, w)
    agree = ((votes - median).abs() <= TOLERANCE).all(dim=0).float()
    offset = (votes * agree).sum(dim=1) / agree.sum(dim=0).clamp_min(1)
    return offset, agree.mean(dim=0)


def _fill_in(one: Tensor, other: Tensor, offset: Tensor, matches: Tensor) -> Correspondence:
    """Extend sure offsets to the places around them, as far as these look alike as well."""
    weights = matches.square()[None]
    support = _blur(weights)
    offset = _blur(offset * weights) / support.clamp_min(1e-6)
    found, inside = sample(other, offset)
    # Of a small thing that moves, most of the windows are what lies around it.
    alike = torch.minimum(_similarity(one, found), _similarity(_windows(one), _windows(found)))
    quality = ((alike - DIFFERENT) / (SAME - DIFFERENT)).clamp(0, 1)
    return Correspondence(offset, quality * inside * (support[0] > SUPPORT))


def _similarity(one: Tensor, other: Tensor) -> Tensor:
    """Return how alike vectors (C, h, w) are, (h, w) in [-1, 1]."""
    energy = (one.square() + other.square()).sum(dim=0).clamp_min(1e-6)
    return 2 * (one * other).sum(dim=0) / energy


def _blur(planes: Tensor) -> Tensor:
    """Return planes (C, h, w) blurred by a Gaussian of REACH places; zero outside."""
    radius = round(3 * REACH)
    kernel = (-(torch.arange(-radius, radius + 1) / REACH).square() / 2).exp()
    kernel /= kernel.sum()
    rows = F.conv2d(planes[:, None], kernel[None, None, :, None], padding=(radius, 0))
    return F.conv2d(rows, kernel[None, None, None], padding=(0, radius))[:, 0]
