"""The loss that a recipe asks for, the quicker of two ways to compute it."""

import torch.nn.functional as F
from torch import Tensor

from colourizer.network.classic_cnn import ClassicCNN
from colourizer.training.fast import bins_loss as fast
from colourizer.training.losses import bins_loss, l1_loss, pool_ab
from Model_CNN import Model_CNN

LOSSES = {"l1": l1_loss, "bins": bins_loss}


def training_loss(
    model: Model_CNN | ClassicCNN, output: Tensor, rgb: Tensor, ab: Tensor, name: str
) -> Tensor:
    """Return the loss of a network's output, a scalar.

    Args:
        model: the network.
        output: the network's: of a Model_CNN logits (B, K, H/4, W/4); of a ClassicCNN rgb
            (B, 3, H, W) in [0, 1].
        rgb: (B, 3, H, W) uint8, the truth.
        ab: (B, 2, H, W) in Lab units, the truth.
        name: one of LOSSES; a ClassicCNN has its own loss, L1 in RGB.
    """
    if isinstance(model, ClassicCNN):
        return F.l1_loss(output.float(), rgb.float() / 255)
    loss = LOSSES[name]
    if loss is bins_loss and output.requires_grad and output.device.type == "cpu":
        loss = fast.bins_loss
    return loss(output, pool_ab(ab, output), model.bin_centres)
