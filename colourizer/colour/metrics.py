"""Image metrics: PSNR, ab error, CIEDE2000, colourfulness."""

import math

import numpy as np
import torch
from torch import Tensor

MAX_PSNR = 100.0  # dB, of equal images, so that means over photographs stay finite


def psnr(prediction: Tensor, truth: Tensor, peak: float) -> float:
    """Return the peak signal-to-noise ratio over all values, in dB.

    Args:
        prediction: any shape; rgb in [0, 1] or ab in Lab units.
        truth: the same shape and unit.
        peak: the largest value: 1 for rgb; for ab the usual range of 8-bit Lab, 255.

    Returns:
        dB, MAX_PSNR at most.
    """
    error = (prediction - truth).square().mean().item() / peak**2
    return -10 * math.log10(max(error, 10 ** (-MAX_PSNR / 10)))


def ab_error(prediction: Tensor, truth: Tensor) -> float:
    """Return the mean Euclidean distance between two ab images, (..., 2, H, W), in Lab units."""
    return (prediction - truth).square().sum(dim=-3).sqrt().mean().item()


def colourfulness(rgb: Tensor) -> float:
    """Return colourfulness: Hasler, Suesstrunk, Human Vision and Electronic Imaging 2003, eq. 5.

    Args:
        rgb: (3, H, W) in [0, 1].

    Returns:
        0 for a grey image, about 15 slightly, 33 moderately, 59 highly colourful (their table 2).
    """
    r, g, b = (rgb * 255).unbind(-3)
    rg, yb = r - g, (r + g) / 2 - b
    spread = math.hypot(rg.std(correction=0).item(), yb.std(correction=0).item())
    return spread + 0.3 * math.hypot(rg.mean().item(), yb.mean().item())


def colourfulness_of_pixels(planes: np.ndarray) -> float:
    """Return `colourfulness` of pixels (3, N) uint8, for small pictures, in a tenth of the time."""
    r, g, b = planes.astype(np.float32)
    rg, yb = r - g, (r + g) / 2 - b
    means = rg.mean(), yb.mean()
    rg, yb = rg - means[0], yb - means[1]
    return math.sqrt((rg @ rg + yb @ yb) / rg.size) + 0.3 * math.hypot(*means)


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Return CIEDE2000, CIE 142-2001, in the steps and names of Sharma, Wu, Dalal 2005.

    Args:
        lab1: (..., 3, H, W), lightness in [0, 100], ab in Lab units.
        lab2: the same shape.

    Returns:
        difference (..., H, W); 1 is about the smallest that an eye sees side by side.
    """
    l1, a1, b1 = lab1.unbind(-3)
    l2, a2, b2 = lab2.unbind(-3)
    # Step 1: a is stretched near the neutral axis; then chroma and hue.
    c_mean7 = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - (c_mean7 / (c_mean7 + 25**7)).sqrt())
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = torch.atan2(b1, a1) % (2 * math.pi), torch.atan2(b2, a2) % (2 * math.pi)
    # Step 2: differences; a hue difference goes the short way round.
    grey = c1 * c2 == 0
    dl, dc, turn = l2 - l1, c2 - c1, h2 - h1
    dh = torch.where(turn > math.pi, turn - 2 * math.pi, turn)
    dh = torch.where(turn < -math.pi, turn + 2 * math.pi, dh).masked_fill(grey, 0)
    dh = 2 * (c1 * c2).sqrt() * (dh / 2).sin()
    # Step 3: means and weights.
    l_mean, c_mean, h_sum = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2
    h_mean = torch.where(turn.abs() > math.pi, h_sum / 2 + math.pi, h_sum / 2)
    h_mean = torch.where(grey, h_sum, h_mean)
    t = (
        1
        - 0.17 * (h_mean - math.radians(30)).cos()
        + 0.24 * (2 * h_mean).cos()
        + 0.32 * (3 * h_mean + math.radians(6)).cos()
        - 0.20 * (4 * h_mean - math.radians(63)).cos()
    )
    bend = (((torch.rad2deg(h_mean) % 360) - 275) / 25).square()
    rotation = 2 * (c_mean**7 / (c_mean**7 + 25**7)).sqrt()
    rotation = -(math.radians(60) * (-bend).exp()).sin() * rotation
    from_middle = (l_mean - 50).square()
    dl = dl / (1 + 0.015 * from_middle / (20 + from_middle).sqrt())
    dc = dc / (1 + 0.045 * c_mean)
    dh = dh / (1 + 0.015 * c_mean * t)
    return (dl**2 + dc**2 + dh**2 + rotation * dc * dh).clamp_min(0).sqrt()
