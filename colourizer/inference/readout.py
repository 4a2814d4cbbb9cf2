"""Colours, confidence and variants, read out of the likelihoods of the bins."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# What follows was chosen on validation photographs (docs/experiments.md).
# To what power likelihoods are raised for the annealed mean; 1 / 2.5 is its temperature, 0.4
# (ECCV16: 0.38). `anneal` is written for this number.
ANNEALING = 2.5
# At vividness 1: by so much of its logarithm is a bin's rarity made up for ...
MOST_REBALANCING = 0.9
UNIFORM_SHARE = 0.2  # ... where so much of how common a bin is taken to be is the same for all;
MOST_GAIN = 0.3  # and by so much is chroma enlarged.
# Lab units: where the likely colours are spread so far, of what vividness adds e^-1/2 is left.
UNSURE = 35.0
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # radians
TILT = 0.06  # per Lab unit: how much a variant prefers colours of its direction


def root_likelihoods(logits: Tensor) -> Tensor:
    """Say how likely each bin is, as roots: all powers that are needed then are products.

    Roots and exponentials take five times as long.

    Args:
        logits: (B, K, H, W).

    Returns:
        roots (B, H, W, K), float32, of the likelihoods, times a number for each place.
    """
    return torch.softmax((logits / 2).float().movedim(1, -1), dim=-1)


def anneal(roots: Tensor) -> Tensor:
    """Raise likelihoods to the power of ANNEALING; roots, of any shape, to twice that."""
    return roots.square().square_().mul_(roots)


def spread_of_bins(roots: Tensor, centres: Tensor) -> Tensor:
    """Say how far the likely colours lie from their mean: root mean square distance.

    Args:
        roots: (B, H, W, K), as of `root_likelihoods`.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        spread (B, 1, H, W) in Lab units; 0 where only one bin is likely.
    """
    squares = centres.square().sum(dim=-1, keepdim=True)
    wanted = torch.cat((centres, squares, torch.ones_like(squares)), dim=1).T.contiguous()  # (4, K)
    with torch.autocast(roots.device.type, enabled=False):  # bf16 is too coarse for colours
        sums = F.linear(roots.square(), wanted)  # (B, H, W, 4)
    a, b, square = (sums[..., :3] / sums[..., 3:]).unbind(dim=-1)
    return (square - a.square() - b.square()).clamp_min(0).sqrt()[:, None]


def confidence(roots: Tensor, centres: Tensor) -> Tensor:
    """Say how sure the network is of a colour; arguments as `spread_of_bins`.

    Returns:
        confidence (B, 1, H, W) in (0, 1]; 1 where only one bin is likely.
    """
    return (-(spread_of_bins(roots, centres) / UNSURE).square() / 2).exp()


def rarity(shares: Tensor, strength: float) -> Tensor:
    """Say by what to multiply likelihoods to make up for the rarity of vivid colours.

    Photographs are grey nearly everywhere, so the likeliest colour is too. Dividing likelihoods by
    how common each bin is does after training what ECCV16's rebalanced loss does in it: logit
    adjustment, Menon et al., ICLR 2021, section 4.

    Args:
        shares: (K,), how common each bin's colours are in photographs; they sum to 1.
        strength: 0 changes nothing, 1 makes up for all of it.

    Returns:
        factors (K,), 1 and more.
    """
    common = (1 - UNIFORM_SHARE) * shares + UNIFORM_SHARE / len(shares)
    return common**-strength


def preference(centres: Tensor, variant: int) -> Tensor:
    """Say by what to multiply likelihoods for another plausible colouring of the same photograph.

    One direction of colours is preferred. Where only one colour is likely nothing changes; where
    several are, all of the photograph leans the same way, so that a thing keeps one colour.

    Args:
        centres: (K, 2), the bins' ab in Lab units.
        variant: 0 is the colouring without preference; each further one leans in another direction.

    Returns:
        factors (K,).
    """
    if variant == 0:
        return torch.ones_like(centres[:, 0])
    # The first leans to warm (a and b alike), where sunlight lies; each next one a golden angle
    # further, so that however many there are, they lie well spread around the circle of hues.
    angle = torch.tensor(math.pi / 4 + (variant - 1) * GOLDEN_ANGLE)
    direction = torch.stack((angle.cos(), angle.sin())).to(centres)
    return (TILT * (centres @ direction)).exp()


def vivid_ab(
    roots: Tensor,
    centres: Tensor,
    shares: Tensor,
    vividness: float,
    sure: Tensor,
    variant: int = 0,
) -> Tensor:
    """Read colours out of the likelihoods, as vivid as asked for where the network is sure.

    Args:
        roots: (B, H, W, K), as of `root_likelihoods`.
        centres: (K, 2), the bins' ab in Lab units.
        shares: (K,), how common each bin's colours are.
        vividness: 0 is the safe annealed mean; 1 about as vivid as photographs get.
        sure: (B, 1, H, W), the network's `confidence`.
        variant: which of several plausible colourings, as of `preference`.

    Returns:
        ab (B, 2, H, W) in Lab units, float32.
    """
    # Annealing raises factors to its power, like the likelihoods that they belong to.
    plain = preference(centres, variant)[:, None] ** ANNEALING
    rebalanced = plain * rarity(shares, vividness * MOST_REBALANCING * ANNEALING)[:, None]
    weights = (plain * centres, plain, rebalanced * centres, rebalanced)
    with torch.autocast(roots.device.type, enabled=False):  # bf16 is too coarse for colours
        sums = F.linear(anneal(roots), torch.cat(weights, dim=1).T.contiguous()).movedim(-1, 1)
    safe = sums[:, :2] / sums[:, 2:3]  # (B, 2, H, W)
    vivid = sums[:, 3:5] / sums[:, 5:] * (1 + vividness * MOST_GAIN)
    return safe + (vivid - safe) * sure
