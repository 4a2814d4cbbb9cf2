"""True colours that the network is shown in training, so that it learns to follow known ones.

Zhang et al., Real-Time User-Guided Image Colorization with Learned Deep Priors, SIGGRAPH 2017, show
random points; here regions are shown as well, and some of it is slightly wrong, as what a person, a
reference photograph or an earlier prediction says may be.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_POINTS = 20
MIN_REGION, MAX_REGION = 0.005, 0.5  # of the picture's area
MIN_GRID, MAX_GRID = 2, 8  # of the noise that regions are cut out of: few large, or many small
WRONG_SHARE, WRONG_AB = 0.3, 6.0  # of the pictures; Lab units, standard deviation


def choose_known(ab: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Choose what is shown of true colours: of each picture nothing, some points, or some regions.

    Args:
        ab: (B, 2, h, w) in Lab units, at the logits' stride.
        share: of the pictures of which anything is shown, [0, 1].
        generator: decides everything; on the CPU.

    Returns:
        known (B, 3, h, w), as of `Model_CNN.forward`.
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
