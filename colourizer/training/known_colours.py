"""Augmentation: points and regions of the true ab that the network is given as known colours.

Zhang et al., Real-Time User-Guided Image Colorization with Learned Deep Priors, SIGGRAPH 2017, give
random points. Here regions are given as well, and some colours are slightly wrong, as those of
hints, reference photographs and earlier predictions are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_POINTS = 20
MIN_REGION, MAX_REGION = 0.005, 0.5  # of the picture's area
MIN_GRID, MAX_GRID = (
    2,
    8,
)  # side of the noise that is thresholded to regions: few large ones to many small ones
WRONG_SHARE, WRONG_AB = 0.3, 6.0  # of the pictures; standard deviation of the error, Lab units


def choose_known(ab: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return known colours for a batch: for each picture none, some points, or some regions.

    Args:
        ab: (B, 2, h, w) in Lab units, the truth, at the logits' stride.
        share: of the pictures that get any, [0, 1].
        generator: of all random choices; on the CPU.

    Returns:
        known (B, 3, h, w), for `Model_CNN.forward`.
    """
    count, _, height, width = ab.shape

    def uniform() -> float:
        return torch.rand((), generator=generator).item()

    mask = torch.zeros(count, 1, height, width)
    error = torch.zeros(count, 2, height, width)
    for n in range(count):
        if uniform() >= share:
            continue
        if uniform() < 0.5:
            points = int(MAX_POINTS ** uniform())
            index = torch.randint(height * width, (points,), generator=generator)
            mask[n].view(-1)[index] = 1
        else:
            area = MIN_REGION * (MAX_REGION / MIN_REGION) ** uniform()
            grid = MIN_GRID + int((MAX_GRID - MIN_GRID + 1) * uniform())
            noise = _smooth_noise(1, grid, height, width, generator)
            mask[n] = (noise > noise.flatten().quantile(1 - area)).float()
        if uniform() < WRONG_SHARE:
            error[n] = WRONG_AB * _smooth_noise(2, 4, height, width, generator)
    mask, error = mask.to(ab.device), error.to(ab.device)
    return torch.cat(((ab + error) * mask, mask), dim=1)


def _smooth_noise(
    channels: int, grid: int, height: int, width: int, generator: torch.Generator
) -> Tensor:
    """Return normal noise of a coarse grid, upsampled to (channels, height, width)."""
    noise = torch.randn(1, channels, grid, grid, generator=generator)
    return F.interpolate(noise, (height, width), mode="bicubic")[0]
