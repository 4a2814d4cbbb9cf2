"""Variants: other plausible colourings, in which every thing as a whole leans to another colour.

A random projection of its features to the ab plane gives every thing a direction of its own, in
which its likelihoods are tilted. Where only one colour is likely nothing changes.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.readout import standard_deviation

MAX_VARIANTS = 24  # that may be asked for
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # radians
# What follows was chosen by eye on old photographs.
COMMON = 0.25  # of the root mean square length: what all things of a photograph lean together
SETTLED = 0.3  # of the mean squared length: from there on a direction has nearly its full length
TILT, LEAST_DEVIATION = 3.3, 8.0  # log-likelihood per standard deviation; Lab units
HALF_CHROMA = 40.0  # Lab units: of strong colours the preference rises half as much, and less


def thing_directions(things: Tensor, variant: int | Tensor) -> Tensor:
    """Return in which direction of the ab plane each place leans in a variant.

    Args:
        things: (1, D, h, w) of `things.thing_vectors`.
        variant: from 0, which leans nowhere, to MAX_VARIANTS - 1; an odd one and the next are
            opposites. An int, a tensor () in the graph that onnx_graph.py makes, or (N,).

    Returns:
        directions (1, 2, h, w), of several variants (N, 2, h, w), at most 1 long.
    """
    variant = torch.as_tensor(variant, device=things.device).view(-1, 1, 1, 1)
    pair = (variant - 1).clamp_min(0) // 2
    # RandomState, since its numbers are the same in every version of NumPy.
    planes = np.random.RandomState(0).standard_normal((MAX_VARIANTS // 2, 2, things.shape[1]))
    plane = torch.from_numpy(planes).to(things).index_select(0, pair.flatten())  # (N, 2, D)
    different = things[0] - things[0].mean(dim=(1, 2), keepdim=True)
    own = torch.einsum("nad,dhw->nahw", plane, different)
    length = own.square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True).sqrt()
    angle = pair * GOLDEN_ANGLE
    common = torch.cat((angle.cos(), angle.sin()), dim=1).to(things)
    directions = own / length.clamp_min(1e-4) + COMMON * common
    directions = directions / (directions.square().sum(dim=1, keepdim=True) + SETTLED).sqrt()
    return directions * (variant != 0) * (1 - 2 * ((variant + 1) % 2))


def lean(sqrt_probability: Tensor, centres: Tensor, directions: Tensor) -> Tensor:
    """Return likelihoods that prefer colours in a direction.

    Args:
        sqrt_probability: (1, H, W, K), from `readout.sqrt_softmax`.
        centres: (K, 2), the bins' ab in Lab units.
        directions: (1, 2, H/2, W/2), from `thing_directions`.

    Returns:
        (1, H, W, K), as given but for the factors.
    """
    deviation = F.avg_pool2d(standard_deviation(sqrt_probability, centres), 2)
    slope = directions * (TILT / (deviation + LEAST_DEVIATION))  # of log-likelihoods, per Lab unit
    slope = F.interpolate(slope, scale_factor=2, mode="bilinear", align_corners=False)
    chroma = centres.norm(dim=-1, keepdim=True)
    preference = centres / (1 + chroma / HALF_CHROMA)  # (K, 2)
    exponent = F.linear(slope.movedim(1, -1), preference) / 2  # of the square roots
    return sqrt_probability * exponent.exp()
