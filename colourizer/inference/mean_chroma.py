"""A photograph's mean chroma, estimated again: casts taken back, faint colours enlarged."""

import torch
from torch import Tensor

from colourizer.inference.coherence import average_over_alike, halve, upsample_by_2

# All chosen on validation photographs (docs/experiments.md).
# Lab units: the length of a mean up to which it is no cast, and the share of what is more that is
# taken back.
USUAL_MEAN, TAKEN_BACK = 20.0, 0.75
# Lab units: the mean chroma that photographs have, and at vividness 1 the share of what is less
# that is added; at most by this factor, as what is grey all over has nothing to enlarge.
LIKELY_CHROMA, ADDED, MAX_FACTOR = 15.0, 0.75, 2.5
# Lab units: nothing is enlarged beyond it, as faces, the one thing in a grey street that has its
# colour, would become red.
MAX_ENLARGED = 25.0
# A photograph has one hue if the length of its mean ab is so much of its mean chroma: not at all at
# the first number, entirely at the second. Lab units: the same for what is light and what is faint.
ONE_HUE = (0.85, 0.95)
LIGHT = (30.0, 60.0)
NOT_FAINT = (12.0, 24.0)
# The share of all chroma that must lie elsewhere: where nothing is vivid, faint is all there is.
ELSEWHERE = (0.0, 0.3)


def correct_mean_chroma(
    ab: Tensor, lightness: Tensor, vividness: float | Tensor, alike: Tensor
) -> Tensor:
    """Return chroma as read out, after all corrections of this file.

    Args:
        ab: (1, 2, 4h, 4w) in Lab units.
        lightness: as the network sees it, (1, 1, 4h, 4w) in [0, 100].
        vividness: as it was read out with. A tensor () in the graph that onnx_graph.py makes.
        alike: the weights of places that are alike, from `coherence.affinity`.
    """
    ab = enlarge_faint(limit_cast(ab), vividness)
    share = average_over_alike(halve(is_light_and_faint(ab, lightness)), alike)
    return neutralize(ab, upsample_by_2(share), vividness)


def limit_cast(ab: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return chroma with a cast taken back: a tint stronger than photographs have.

    A photograph's mean chroma is what the network knows least well, and an error of it can be seen
    everywhere. What is neutral, or has an opposite colour, stays as it is.

    Args:
        ab: (1, 2, h, w) in Lab units.
        weight: (1, 1, h, w), of each place in the mean; None weighs all alike.
    """
    length, direction, along = _project_on_mean(ab, weight)
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
    chroma = _chroma(ab).clamp_min(1e-6)
    mean = chroma.mean(dim=(2, 3), keepdim=True)
    gain = 1 + ADDED * vividness * (LIKELY_CHROMA - mean).clamp_min(0) / mean
    return ab * torch.minimum(gain.clamp_max(MAX_FACTOR), (MAX_ENLARGED / chroma).clamp_min(1))


def is_light_and_faint(ab: Tensor, lightness: Tensor) -> Tensor:
    """Return how far each place is light and has little chroma, (1, 1, h, w) in [0, 1].

    Args:
        ab: (1, 2, h, w) in Lab units.
        lightness: as the network sees it, (1, 1, h, w) in [0, 100].
    """
    return _ramp(lightness, *LIGHT) * (1 - _ramp(_chroma(ab), *NOT_FAINT))


def neutralize(
    ab: Tensor, share: Tensor, vividness: float | Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return chroma with a part of the photograph's hue taken back, if it has one hue only.

    Of a photograph all in one hue, like a sepia print, the walls, paper and cloth are mostly white:
    vivid colours are right about wood and skin, and give all else their tint. Where there is
    nothing like wood and skin, the tint stays.

    Args:
        ab: (1, 2, h, w) in Lab units.
        share: (1, 1, h, w) in [0, 1], of the hue that is taken back at vividness 1.
        vividness: as it was read out with; at 0 nothing is taken back. A tensor () in the graph
            that onnx_graph.py makes.
        weight: (1, 1, h, w), of each place in the mean; None weighs all alike.
    """
    chroma = _chroma(ab)
    mean_chroma = _mean(chroma, weight)
    length, direction, along = _project_on_mean(ab, weight)
    has_one_hue = _ramp(length / mean_chroma.clamp_min(1e-6), *ONE_HUE)
    elsewhere = _mean(chroma * (1 - share), weight) / mean_chroma.clamp_min(1e-6)
    strength = vividness * has_one_hue * _ramp(elsewhere, *ELSEWHERE)
    return ab - direction * along * (strength * share)


def _chroma(ab: Tensor) -> Tensor:
    """Return the chroma (1, 1, h, w) of ab (1, 2, h, w)."""
    return ab.square().sum(dim=1, keepdim=True).sqrt()


def _project_on_mean(ab: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean's length and direction, and how much of it each place has, 0 or more.

    Args:
        ab: (1, 2, h, w).
        weight: as for `_mean`.

    Returns:
        length (1, 1, 1, 1); direction (1, 2, 1, 1); along (1, 1, h, w).
    """
    mean = _mean(ab, weight)
    length = _chroma(mean)
    direction = mean / length.clamp_min(1e-6)
    return length, direction, (ab * direction).sum(dim=1, keepdim=True).clamp_min(0)


def _mean(planes: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean over all places, (1, C, 1, 1), of planes (1, C, h, w).

    Args:
        planes: (1, C, h, w).
        weight: (1, 1, h, w), of each place; None weighs all alike.
    """
    if weight is None:
        return planes.mean(dim=(2, 3), keepdim=True)
    total = weight.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return (planes * weight).sum(dim=(2, 3), keepdim=True) / total


def _ramp(values: Tensor, low: float, high: float) -> Tensor:
    """Return 0 up to low, 1 from high on, and a straight line between."""
    return ((values - low) / (high - low)).clamp(0.0, 1.0)
