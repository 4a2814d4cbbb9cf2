"""Likelihoods of the bins -> chroma and confidence: choices made after training."""

import torch
import torch.nn.functional as F
from torch import Tensor

# What follows was chosen on validation photographs (docs/experiments.md).
# To what power likelihoods are raised for the annealed mean; 1 / 2.5 is its temperature, 0.4
# (ECCV16: 0.38). `anneal` is written for this number.
ANNEALING = 2.5
# From 0, the safe mean, to 1. At the default RGB-PSNR is 0.8 dB above that of grey.
DEFAULT_VIVIDNESS = 0.75
# At vividness 1: the power to which a bin's inverse frequency is raised (tau of Menon et al.) ...
MAX_REBALANCING = 0.6
UNIFORM_SHARE = 0.2  # ... the share of the uniform distribution mixed into the frequencies ...
MAX_GAIN = 0.6  # ... and the gain of chroma, of which ...
SATURATED = 60.0  # ... chroma of so many Lab units gets half, so that red does not become glaring.
# Lightness up to which colours are the safe ones, as vivid ones are seldom right in the dark, and
# from which on they are as vivid as confidence says.
DARK, MIDDLE = 5.0, 45.0
# Lab units: at this standard deviation of the likely colours, confidence is e^-1/2.
UNCERTAIN = 35.0


def sqrt_softmax(logits: Tensor) -> Tensor:
    """Return softmax(logits / 2), which is proportional to the square root of the probabilities p.

    Of it p and p^2.5 need multiplications only; roots and exponentials take five times as long.

    Args:
        logits: (B, K, H, W).

    Returns:
        (B, H, W, K) float32; each place has its own factor of proportionality.
    """
    return torch.softmax((logits / 2).float().movedim(1, -1), dim=-1)


def anneal(sqrt_probability: Tensor) -> Tensor:
    """Return p^ANNEALING, of sqrt(p) of any shape: its fifth power."""
    return sqrt_probability.square().square_().mul_(sqrt_probability)


def standard_deviation(sqrt_probability: Tensor, centres: Tensor) -> Tensor:
    """Return the standard deviation of the likely colours about their mean.

    Args:
        sqrt_probability: (B, H, W, K), from `sqrt_softmax`.
        centres: (K, 2), the bins' ab in Lab units.

    Returns:
        deviation (B, 1, H, W) in Lab units; 0 where only one bin is likely.
    """
    squares = centres.square().sum(dim=-1, keepdim=True)
    moments = torch.cat(
        (centres, squares, torch.ones_like(squares)), dim=1
    ).T.contiguous()  # (4, K)
    with torch.autocast(sqrt_probability.device.type, enabled=False):  # bf16 is too coarse
        sums = F.linear(sqrt_probability.square(), moments)  # (B, H, W, 4)
    a, b, square = (sums[..., :3] / sums[..., 3:]).unbind(dim=-1)
    return (square - a.square() - b.square()).clamp_min(0).sqrt()[:, None]


def confidence(sqrt_probability: Tensor, centres: Tensor) -> Tensor:
    """Return how sure the network is of a colour; arguments as `standard_deviation`.

    Returns:
        confidence (B, 1, H, W) in (0, 1]; 1 where only one bin is likely.
    """
    return (-(standard_deviation(sqrt_probability, centres) / UNCERTAIN).square() / 2).exp()


def vivid_weight(confidence: Tensor, lightness: Tensor) -> Tensor:
    """Return how much of the vivid colours is taken instead of the safe ones.

    Args:
        confidence: (B, 1, H, W) in (0, 1].
        lightness: as the network sees it, (B, 1, H, W) in [0, 100].

    Returns:
        weight (B, 1, H, W) in [0, 1].
    """
    return confidence.sqrt() * ((lightness - DARK) / (MIDDLE - DARK)).clamp(0.0, 1.0)


def class_weights(shares: Tensor, strength: float | Tensor) -> Tensor:
    """Return factors for likelihoods that rebalance rare, vivid colours.

    Photographs are grey nearly everywhere, so the likeliest colour is too. Dividing likelihoods by
    the bins' frequencies does after training what ECCV16's rebalanced loss does in it: logit
    adjustment, Menon et al., ICLR 2021, section 4.

    Args:
        shares: (K,), the frequency of each bin's colours in photographs; they sum to 1.
        strength: tau; 0 changes nothing, 1 divides by the frequencies.

    Returns:
        factors (K,), 1 and more.
    """
    common = (1 - UNIFORM_SHARE) * shares + UNIFORM_SHARE / len(shares)
    return common**-strength


def read_ab(
    sqrt_probability: Tensor,
    centres: Tensor,
    shares: Tensor,
    vividness: float | Tensor,
    weight: Tensor,
) -> Tensor:
    """Return chroma: the annealed mean, made more vivid where that is seldom wrong.

    Args:
        sqrt_probability: (B, H, W, K), from `sqrt_softmax`.
        centres: (K, 2), the bins' ab in Lab units.
        shares: (K,), the frequency of each bin's colours.
        vividness: 0 is the safe annealed mean; 1 about as vivid as photographs get. A tensor () in
            the graph that onnx_graph.py makes.
        weight: (B, 1, H, W), of vivid colours instead of safe ones, from `vivid_weight`.

    Returns:
        ab (B, 2, H, W) in Lab units, float32.
    """
    # Factors are annealed like the likelihoods that they multiply.
    rebalanced = class_weights(shares, vividness * MAX_REBALANCING * ANNEALING)[:, None]
    plain = torch.ones_like(rebalanced)
    weights = (centres, plain, rebalanced * centres, rebalanced)
    with torch.autocast(sqrt_probability.device.type, enabled=False):  # bf16 is too coarse
        sums = F.linear(anneal(sqrt_probability), torch.cat(weights, dim=1).T.contiguous()).movedim(
            -1, 1
        )
    safe = sums[:, :2] / sums[:, 2:3]  # (B, 2, H, W)
    vivid = sums[:, 3:5] / sums[:, 5:]
    square = vivid.square().sum(dim=1, keepdim=True)  # of chroma
    gain = 1 + vividness * MAX_GAIN / (1 + square / SATURATED**2)
    return safe + (gain * vivid - safe) * weight
