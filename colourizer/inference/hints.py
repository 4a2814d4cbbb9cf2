"""Known colours propagated over a photograph by Gaussian-process regression.

The differences between known and predicted chroma are samples of a Gaussian process over places;
all other places get its posterior mean: Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, equation 2.23. The kernel is an RBF of the decoder's features, the predicted chroma
and, for hints, the features of the thing and the position. Nothing is trained: any checkpoint can
be steered. The constants were chosen on training photographs (docs/experiments.md).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.coherence import FEATURE_WEIGHTS
from colourizer.inference.things import thing_vectors

# Weight for hints of a place's own features, and of those of the thing that it belongs to.
OWN_WEIGHT, THING_WEIGHT = 0.4, 2.5
# Length scales: the distances at which the kernel is 1/e.
AB_LENGTH = 61.5  # Lab units of predicted chroma
POSITION_LENGTH = 1.0  # of the photograph's sides
# Noise variances, for a signal variance of 1: a hint is nearly exact; places of a reference that
# look similar may show another thing, or several.
HINT_NOISE, REFERENCE_NOISE = 0.02, 0.5
# The share of a photograph that a reference matches up to which it changes nothing, and from which
# on its whole change counts.
UNRELATED, RELATED = 0.2, 0.45
WEAK_MATCH = 0.42  # of a photograph: below it the reference is probably of something else
SAMPLE_STEP = 17  # places; coprime to any row's number of them, so that all columns are sampled


class HintError(ValueError):
    """A hint that cannot be used; the message names it."""


class Hint(NamedTuple):
    """A known colour of a point, in pixels of the upright photograph; rgb in [0, 255]."""

    x: int
    y: int
    rgb: tuple[int, int, int]


def parse_hint(text: str) -> Hint:
    """Parse X,Y,#RRGGBB; the # may be left out.

    Raises:
        HintError: it is something else.
    """
    found = re.fullmatch(r"(\d{1,9}),(\d{1,9}),#?([0-9a-fA-F]{6})", text, flags=re.ASCII)
    if not found:
        raise HintError(f"{text[:40]}: needs X,Y,#RRGGBB, pixels from the left and from the top")
    red, green, blue = bytes.fromhex(found[3])
    return Hint(int(found[1]), int(found[2]), (red, green, blue))


def feature_vectors(features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return a feature vector for each place, out of the decoder's feature maps.

    Args:
        features: (1, C, ...) for each of FEATURE_WEIGHTS, of any size.
        size: (h, w) of the result.

    Returns:
        vectors (h, w, C in all) float16, normalized and weighted: their squared distance is that of
        the kernel.
    """
    parts = []
    for planes, weight in zip(features, FEATURE_WEIGHTS, strict=True):
        resized = F.interpolate(planes.float(), size, mode="bilinear", antialias=True)
        parts.append(F.normalize(resized, dim=1) * weight**0.5)
    return torch.cat(parts, dim=1)[0].movedim(0, -1).cpu().half()


def rbf_kernel(one: Tensor, other: Tensor) -> Tensor:
    """Return exp(-|x - y|^2) for all pairs: (N, M) in [0, 1], of x (N, D) and y (M, D)."""
    scores = torch.addmm(-other.square().sum(dim=1), one, other.T, alpha=2)
    return scores.sub_(one.square().sum(dim=1, keepdim=True)).clamp_max_(0).exp_()


def _kernel_inputs(features: Tensor, ab: Tensor) -> Tensor:
    """Return the kernel's inputs (h*w, D) for references: features and predicted chroma.

    Args:
        features: (h, w, C) of `feature_vectors`.
        ab: the prediction, (1, 2, h', w') in Lab units.
    """
    size = (features.shape[0], features.shape[1])
    colours = F.adaptive_avg_pool2d(ab, size)[0].movedim(0, -1) / AB_LENGTH
    return torch.cat((features.float(), colours), dim=-1).flatten(0, 1)


def _hint_inputs(features: Tensor, ab: Tensor) -> Tensor:
    """Return the kernel's inputs (h*w, D) for hints; arguments as for `_kernel_inputs`."""
    height, width = features.shape[:2]
    planes = features.float().movedim(-1, 0)[None]
    halves = F.avg_pool2d(planes, 2, ceil_mode=True)
    things = F.interpolate(thing_vectors(halves), (height, width), mode="bilinear")
    things = things[0].movedim(0, -1) * THING_WEIGHT**0.5
    down = ((torch.arange(height) + 0.5) / height / POSITION_LENGTH)[:, None].expand(-1, width)
    right = ((torch.arange(width) + 0.5) / width / POSITION_LENGTH).expand(height, -1)
    place = torch.cat((things, down[..., None], right[..., None]), dim=-1).flatten(0, 1)
    return torch.cat((_kernel_inputs(features * OWN_WEIGHT**0.5, ab), place), dim=1)


def gp_weights(known: Tensor, targets: Tensor, noise: float) -> Tensor:
    """Return weights (M, K) by which `rbf_kernel(x, known)` gives the posterior mean at x.

    Args:
        known: inputs, (M, D).
        targets: what is known there, (M, K); of the identity the weights say how much the variance
            is below that of the prior.
        noise: its variance; that of the signal is 1.
    """
    return torch.linalg.solve(rbf_kernel(known, known) + noise * torch.eye(len(known)), targets)


def _add_upsampled(ab: Tensor, change: Tensor, size: torch.Size) -> Tensor:
    """Return ab plus a change (h*w, 2) that was computed at another size (h, w)."""
    planes = change.T.reshape(1, 2, *size)
    return ab + F.interpolate(planes, ab.shape[-2:], mode="bilinear", align_corners=False)


class HintSamples(NamedTuple):
    """What hints say about chroma, for this photograph or the next frames of its film.

    inputs: (M, D), the kernel's at the hints' places.
    change: (M, 2), the hints' ab less the predicted ab, in Lab units.
    """

    inputs: Tensor
    change: Tensor


def sample_hints(
    features: Tensor, ab: Tensor, points: Sequence[tuple[float, float, Tensor]]
) -> HintSamples:
    """Return what hints say about predicted chroma; arguments as `propagate_hints`."""
    return _sample(_hint_inputs(features, ab), features.shape[:2], ab, points)


def _sample(
    places: Tensor,
    size: torch.Size,
    ab: Tensor,
    points: Sequence[tuple[float, float, Tensor]],
) -> HintSamples:
    """Return what hints say, given the kernel's inputs (h*w, D) at all places, of size (h, w)."""
    height, width = size
    cells = torch.tensor([int(y * height) * width + int(x * width) for x, y, _ in points])
    predicted = torch.stack(
        [ab[0, :, int(y * ab.shape[2]), int(x * ab.shape[3])] for x, y, _ in points]
    )
    change = torch.stack([colour for *_, colour in points]) - predicted
    return HintSamples(places[cells], change)


def propagate_samples(features: Tensor, ab: Tensor, samples: HintSamples) -> Tensor:
    """Propagate what `sample_hints` returned over predicted chroma, which is returned changed."""
    return _propagate(_hint_inputs(features, ab), features.shape[:2], ab, samples)


def _propagate(places: Tensor, size: torch.Size, ab: Tensor, samples: HintSamples) -> Tensor:
    """Return chroma changed by hints, given the kernel's inputs at all places as for `_sample`."""
    weights = gp_weights(samples.inputs, samples.change, HINT_NOISE)
    return _add_upsampled(ab, rbf_kernel(places, samples.inputs) @ weights, size)


def propagate_hints(
    features: Tensor, ab: Tensor, points: Sequence[tuple[float, float, Tensor]]
) -> Tensor:
    """Propagate hints over predicted chroma.

    Args:
        features: (h, w, C) of `feature_vectors`.
        ab: the prediction, (1, 2, h', w') in Lab units.
        points: of each hint x and y, as shares of width and height in [0, 1), and its ab (2,).

    Returns:
        ab as given, changed.
    """
    places, size = _hint_inputs(features, ab), features.shape[:2]
    return _propagate(places, size, ab, _sample(places, size, ab, points))


class FittedReference(NamedTuple):
    """What a reference photograph says about chroma, for any number of photographs.

    inputs: (M, D), the kernel's at its places.
    weights: (M, 2), of `gp_weights`, for the change of ab in Lab units.
    inverse: (M, M), of the covariance, for the variance.
    """

    inputs: Tensor
    weights: Tensor
    inverse: Tensor


def fit_reference(features: Tensor, predicted: Tensor, true: Tensor) -> FittedReference:
    """Return what a reference photograph says about chroma.

    Args:
        features: (h, w, C) of `feature_vectors`, of any size.
        predicted: chroma predicted for it, (1, 2, ...) in Lab units, of any size.
        true: its chroma, (1, 2, ...) in Lab units, of any size.
    """
    # Averaged over 2x2 places, which leaves a system of about a thousand equations.
    planes = F.avg_pool2d(features.float().movedim(-1, 0)[None], 2)
    small = planes[0].movedim(0, -1)
    size = (small.shape[0], small.shape[1])
    inputs = _kernel_inputs(small, predicted)
    error = F.adaptive_avg_pool2d(true, size) - F.adaptive_avg_pool2d(predicted, size)
    inverse = gp_weights(inputs, torch.eye(len(inputs)), REFERENCE_NOISE)
    return FittedReference(inputs, inverse @ error[0].flatten(1).T, inverse)


def propagate_reference(
    features: Tensor, ab: Tensor, reference: FittedReference
) -> tuple[Tensor, float]:
    """Propagate a reference photograph's colours to similar places of this one.

    Where it matches little of the photograph, it is taken for an unrelated one.

    Args:
        features: (h, w, C) of `feature_vectors`.
        ab: the prediction, (1, 2, h', w') in Lab units.
        reference: of `fit_reference`.

    Returns:
        ab as given, changed; and the share of the photograph that the reference matches, in [0, 1]:
        the mean over places of what it says of them, as 1 less the posterior's variance.
    """
    alike = rbf_kernel(_kernel_inputs(features, ab), reference.inputs)
    some = alike[::SAMPLE_STEP]
    # Rounding may bring it out of [0, 1].
    match = (some @ reference.inverse * some).sum(dim=1).mean().clamp(0, 1).item()
    influence = min(1.0, max(0.0, (match - UNRELATED) / (RELATED - UNRELATED)))
    return _add_upsampled(ab, alike @ reference.weights * influence, features.shape[:2]), match
