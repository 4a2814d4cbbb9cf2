"""Colourfulness kept in fine-tuning: logit adjustment of the network's bias by the bins' shares.

A network that was trained long on the same photographs is surer of its colours than it should be
on new ones. Trained on these, it hedges: its likelihoods move towards the bins' shares, which are
mostly grey, and the colours that are read out fade although their error falls.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.colour.metrics import colourfulness
from colourizer.colour.space import fit_to_gamut, rgb_to_lab, round_to_greys
from colourizer.inference.readout import (
    DEFAULT_VIVIDNESS,
    class_weights,
    confidence,
    read_ab,
    sqrt_softmax,
    vivid_weight,
)
from colourizer.network.device import autocast
from Model_CNN import Model_CNN

MAX_STRENGTH = 1.0  # of the adjustment; 1 divides the likelihoods by the bins' shares
HALVINGS = 6  # of its interval, to find the strength


class DefaultReadout:
    """Photographs as a network colours them at the default vividness, at the logits' resolution.

    The network's output is computed once, for any strength of the adjustment.
    """

    @torch.inference_mode()
    def __init__(self, model: Model_CNN, photos: Tensor, device: torch.device) -> None:
        """Predict.

        Args:
            model: in eval mode.
            photos: (N, 3, H, W) uint8.
            device: what to compute on.
        """
        self.model = model
        self.lightness, self.roots = [], []
        for photo in photos.split(1):
            lightness = round_to_greys(rgb_to_lab(photo.to(device).float() / 255)[:, :1])
            with autocast(device):
                logits = model(lightness)
            self.lightness.append(F.adaptive_avg_pool2d(lightness, logits.shape[-2:]))
            self.roots.append(sqrt_softmax(logits))  # (1, H/4, W/4, K)

    @torch.inference_mode()
    def colourfulness(self, strength: float = 0.0) -> float:
        """Return the mean colourfulness, with the likelihoods adjusted by a strength."""
        centres, shares = self.model.bin_centres, self.model.bin_shares
        factors = class_weights(shares, strength / 2)  # of the likelihoods' square roots
        total = 0.0
        for lightness, root in zip(self.lightness, self.roots, strict=True):
            adjusted = root * factors
            weight = vivid_weight(confidence(adjusted, centres), lightness)
            ab = read_ab(adjusted, centres, shares, DEFAULT_VIVIDNESS, weight)
            total += colourfulness(fit_to_gamut(lightness, ab)[0])
        return total / len(self.roots)


@torch.no_grad()
def restore_colourfulness(
    model: Model_CNN, photos: Tensor, device: torch.device, target: float
) -> float:
    """Make a network at least as colourful as it was, at the default vividness.

    The likelihoods are multiplied by the smallest power of the bins' inverse shares that does it
    (Menon et al., ICLR 2021: logit adjustment), as a change of the head's bias.

    Args:
        model: in eval mode; its head's bias is changed.
        photos: (N, 3, H, W) uint8, to measure on.
        device: what to compute on.
        target: the mean colourfulness of these photographs before, from `DefaultReadout`.

    Returns:
        The strength, the power; 0 if the network is colourful enough.
    """
    readout = DefaultReadout(model, photos, device)
    if readout.colourfulness() >= target:
        return 0.0
    low, high = 0.0, MAX_STRENGTH
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if readout.colourfulness(middle) < target else (low, middle)
    model.get_parameter("head.bias").add_(class_weights(model.bin_shares, high).log())
    return high
