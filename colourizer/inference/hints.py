"""Colours that somebody knows -> the change of chroma that follows from them all over a photograph.

What a known colour differs from the predicted one is taken for a sample of a Gaussian process over
the photograph; all other places get its mean: Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, equation 2.23. Two places have the more in common, the more alike are what
the network's decoder saw there and the colours that it predicted, and the nearer they are. Nothing
of it is trained: any checkpoint can be steered. The constants were chosen on training photographs
(docs/experiments.md).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# By so much of its squared length counts the difference of two unit vectors of features: those of
# the decoder at strides 8 and 4.
FEATURE_WEIGHTS = (1.1, 2.0)
AB_REACH = 61.5  # Lab units between predicted colours at which they have 1/e in common
REACH = 0.71  # of the photograph's sides, as far apart places have 1/e in common
# How far, as a variance beside 1, a known colour may be wrong: a hint hardly; what a reference
# shows at a place, averaged over it, may be something else.
HINT_NOISE, REFERENCE_NOISE = 0.02, 0.5


class HintError(ValueError):
    """A hint that makes no sense; the message names it."""


class Hint(NamedTuple):
    """A colour at a place, in pixels of the upright photograph; rgb in [0, 255]."""

    x: int
    y: int
    rgb: tuple[int, int, int]


def parse_hint(text: str) -> Hint:
    """Read X,Y,#RRGGBB; the # may be left out.

    Raises:
        HintError: it is something else.
    """
    found = re.fullmatch(r"(\d{1,9}),(\d{1,9}),#?([0-9a-fA-F]{6})", text, flags=re.ASCII)
    if not found:
        raise HintError(f"{text[:40]}: needs X,Y,#RRGGBB, pixels from the left and from the top")
    red, green, blue = bytes.fromhex(found[3])
    return Hint(int(found[1]), int(found[2]), (red, green, blue))


def describe(features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Describe each place by what the decoder saw there.

    Args:
        features: (1, C, ...) for each of FEATURE_WEIGHTS, of any sizes.
        size: (h, w), how many places.

    Returns:
        description (h, w, C in all), float16; the square of a difference says how unlike two are.
    """
    parts = []
    for planes, weight in zip(features, FEATURE_WEIGHTS, strict=True):
        resized = F.interpolate(planes.float(), size, mode="bilinear", antialias=True)
        parts.append(F.normalize(resized, dim=1) * weight**0.5)
    return torch.cat(parts, dim=1)[0].movedim(0, -1).cpu().half()


def _common(one: Tensor, other: Tensor) -> Tensor:
    """Say how much places have in common: (N, M) in [0, 1], of coordinates (N, D) and (M, D)."""
    squares = one.square().sum(dim=1)[:, None] + other.square().sum(dim=1)
    return (2 * one @ other.T - squares).clamp_max(0).exp()


def _coordinates(description: Tensor, ab: Tensor) -> Tensor:
    """Give places coordinates in which `_common` measures; (h*w, D), no position among them.

    Args:
        description: (h, w, C) of `describe`.
        ab: the prediction, (1, 2, h', w') in Lab units.
    """
    size = (description.shape[0], description.shape[1])
    colours = F.adaptive_avg_pool2d(ab, size)[0].movedim(0, -1) / AB_REACH
    return torch.cat((description.float(), colours), dim=-1).flatten(0, 1)


def _mean_change(places: Tensor, known: Tensor, change: Tensor, noise: float) -> Tensor:
    """Spread a change of colours, (M, 2), from known places, (M, D), to all, (N, D): (N, 2)."""
    among = _common(known, known) + noise * torch.eye(len(known))
    return _common(places, known) @ torch.linalg.solve(among, change)


def _add(ab: Tensor, change: Tensor, size: torch.Size) -> Tensor:
    """Add to ab a change (h*w, 2) of another size (h, w)."""
    planes = change.T.reshape(1, 2, *size)
    return ab + F.interpolate(planes, ab.shape[-2:], mode="bilinear", align_corners=False)


def follow_hints(
    description: Tensor, ab: Tensor, wanted: Sequence[tuple[float, float, Tensor]]
) -> Tensor:
    """Change predicted colours as hints ask for.

    Args:
        description: (h, w, C) of `describe`.
        ab: the prediction, (1, 2, h', w') in Lab units.
        wanted: of each hint how far right and down it is, in [0, 1), and its ab, (2,).

    Returns:
        ab as given, changed.
    """
    height, width = description.shape[:2]
    down = ((torch.arange(height) + 0.5) / height / REACH)[:, None].expand(-1, width)
    right = ((torch.arange(width) + 0.5) / width / REACH).expand(height, -1)
    position = torch.stack((down, right), dim=-1).flatten(0, 1)
    places = torch.cat((_coordinates(description, ab), position), dim=1)
    cells = torch.tensor([int(y * height) * width + int(x * width) for x, y, _ in wanted])
    predicted = torch.stack(
        [ab[0, :, int(y * ab.shape[2]), int(x * ab.shape[3])] for x, y, _ in wanted]
    )
    change = torch.stack([colour for *_, colour in wanted]) - predicted
    spread = _mean_change(places, places[cells], change, HINT_NOISE)
    return _add(ab, spread, description.shape[:2])


def follow_reference(
    description: Tensor, ab: Tensor, of_reference: Tensor, predicted: Tensor, true: Tensor
) -> Tensor:
    """Change predicted colours as another photograph shows them to be where it looks alike.

    Args:
        description: (h, w, C) of `describe`.
        ab: the prediction, (1, 2, h', w') in Lab units.
        of_reference: the other photograph's description, of any size.
        predicted: what is predicted for it, (1, 2, ...) in Lab units, of any size.
        true: its colours, (1, 2, ...) in Lab units, of any size.

    Returns:
        ab as given, changed.
    """
    # A quarter of its places suffices: of a thousand unknowns equations are solved at once.
    planes = F.avg_pool2d(of_reference.float().movedim(-1, 0)[None], 2)
    small = planes[0].movedim(0, -1)
    size = (small.shape[0], small.shape[1])
    known = _coordinates(small, predicted)
    error = F.adaptive_avg_pool2d(true, size) - F.adaptive_avg_pool2d(predicted, size)
    change = error[0].flatten(1).T
    spread = _mean_change(_coordinates(description, ab), known, change, REFERENCE_NOISE)
    return _add(ab, spread, description.shape[:2])
