"""Augmentation: make the grey input look old, by film, fading, vignette, blur, grain and JPEG.

The network has to colourize photographs that were taken on film, faded in an album and were
scanned. Only its input is aged; the target is not, except for borders.
"""

from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colourizer.colour.space import linear_to_srgb, srgb_to_linear

# Spectral sensitivity of films: weights of linear red, green and blue.
PANCHROMATIC = (0.21, 0.72, 0.07)  # as the eye: Rec. 709
ORTHOCHROMATIC = (0.02, 0.50, 0.48)  # before 1930 or so: no red
BLUE_SENSITIVE = (0.00, 0.10, 0.90)  # before 1880 or so
FILM_SPREAD = 0.5  # standard deviation of the weights' logarithms
MAX_FADING = 0.3  # of the range between black and white, lost at either end
MAX_VIGNETTE = 0.6  # of the light, lost in the corners
MAX_BLUR = 1.6  # pixels, sigma
GRAIN = 0.02  # of the range between black and white: mean of the standard deviations
WORST_JPEG, BEST_JPEG = 20, 95  # libjpeg's quality
MAX_CONTRAST = 1.8  # factor about the middle grey
HALATION_FROM, MAX_HALATION = 0.75, 0.6  # grey level from which light spreads; share of it
UNEVEN = 0.25  # of the contrast, lost at most in the palest part of an unevenly faded print
MAX_SCRATCHES = 6
BORDER_SHARE, MAX_BORDER = 0.1, 0.12  # of old photographs that have one; of the picture's sides


@cache
def _tables() -> tuple[Tensor, Tensor]:
    """Return look-up tables: linear light of the 256 sRGB levels; grey of light in 65535ths."""
    return srgb_to_linear(torch.arange(256) / 255), linear_to_srgb(torch.arange(65536) / 65535)


def photograph_on_film(rgb: Tensor, random: Callable[[], float]) -> Tensor:
    """Return the grey of a photograph on film: a weighted sum of linear light.

    Args:
        rgb: (3, H, W) uint8.
        random: returns numbers in [0, 1).

    Returns:
        grey (1, H, W) in [0, 1].
    """
    kind = random()
    film = PANCHROMATIC if kind < 0.6 else ORTHOCHROMATIC if kind < 0.9 else BLUE_SENSITIVE
    # The sum of three uniform numbers is nearly normally distributed, with variance 1/4.
    spread = torch.tensor([2 * (random() + random() + random() - 1.5) for _ in range(3)])
    weights = torch.tensor(film) * (FILM_SPREAD * spread).exp()
    light_of_levels, greys = _tables()
    shares = (weights / weights.sum() * 65535)[:, None] * light_of_levels  # (3, 256)
    levels = rgb.reshape(3, -1).int()
    # index_select is the fastest way to look up.
    light = [share.index_select(0, plane) for share, plane in zip(shares, levels, strict=True)]
    grey = greys.index_select(0, (light[0] + light[1] + light[2]).round().int())
    return grey.view(1, *rgb.shape[1:])


def fade(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] with raised blacks, dimmed whites, and a random gamma."""
    black, white = MAX_FADING * random() ** 2, 1 - MAX_FADING * random() ** 2
    gamma = 2 ** (2 * random() - 1)  # 1/2 to 2
    return black + (white - black) * grey**gamma


def change_contrast(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] of a hard print, whose ends are clipped, or a soft one."""
    middle = 0.35 + 0.3 * random()
    return ((grey - middle) * MAX_CONTRAST ** (2 * random() - 0.7) + middle).clamp(0, 1)


def fade_unevenly(grey: Tensor, random: Callable[[], float], generator: torch.Generator) -> Tensor:
    """Return grey (1, H, W) in [0, 1] faded in some parts more than in others."""
    field = torch.rand(1, 1, 3, 3, generator=generator)
    field = F.interpolate(field, grey.shape[-2:], mode="bicubic")[0].clamp(0, 1)
    paper = 0.5 + 0.5 * random()  # the grey level that it fades to
    return grey + UNEVEN * field * (paper - grey)


def add_halation(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] with halation: the light of bright areas spreads."""
    light = (grey - HALATION_FROM).clamp_min(0) / (1 - HALATION_FROM)
    side = max(2, min(grey.shape[-2:]) // (8 + int(24 * random())))
    spread = F.avg_pool2d(light[None], side, ceil_mode=True, count_include_pad=False)
    spread = F.interpolate(spread, grey.shape[-2:], mode="bilinear")[0]
    return grey + MAX_HALATION * random() * spread * (1 - grey)


def add_scratches(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] with bright or dark hairlines and dust."""
    height, width = grey.shape[-2:]
    grey = grey.clone()
    for _ in range(1 + int(MAX_SCRATCHES * random())):
        tone, length = float(random() < 0.7), 0.02 + 0.6 * random() ** 2
        count = max(2, round(length * max(height, width)))
        down, across = random() - 0.5, random() - 0.5
        scale = length * max(height, width) / max(abs(down), abs(across), 1e-3)
        path = torch.linspace(0, 1, count) * scale
        y = (random() * height + path * down).long().clamp(0, height - 1)
        x = (random() * width + path * across).long().clamp(0, width - 1)
        grey[:, y, x] += (0.3 + 0.5 * random()) * (tone - grey[:, y, x])
    return grey


def paint_border(rgb: Tensor, generator: torch.Generator) -> None:
    """Paint the neutral border of a print, or the frame of a film, over a crop, in place.

    The target gets it as well, so that the network learns that a border has no colour.

    Args:
        rgb: (3, H, W) uint8.
        generator: of all random choices.
    """

    def random() -> float:
        return torch.rand((), generator=generator).item()

    height, width = rgb.shape[-2:]
    paper = random() < 0.7
    tone = int(255 * (0.75 + 0.25 * random() if paper else 0.12 * random()))
    top, bottom, left, right = (
        side * MAX_BORDER * random() for side in (height, height, width, width)
    )
    y, x = torch.arange(height)[:, None], torch.arange(width)
    # Distance beyond the corner circles' centres; a radius of 0 is a square corner.
    radius = 0.15 * min(height, width) * random() if random() < 0.4 else 0.0
    down = torch.maximum(top + radius - y, y - (height - 1 - bottom - radius)).clamp_min(0)
    across = torch.maximum(left + radius - x, x - (width - 1 - right - radius)).clamp_min(0)
    outside = (down**2 + across**2).sqrt() > radius
    rgb[:, outside] = tone


def darken_corners(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] with a vignette, quadratic in the radius."""
    y, x = (torch.linspace(-1, 1, side) for side in grey.shape[-2:])
    return grey * (1 - MAX_VIGNETTE * random() * (y[:, None] ** 2 + x**2) / 2)


def blur(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) in [0, 1] blurred by a Gaussian of random width."""
    sigma = 0.2 + (MAX_BLUR - 0.2) * random()
    bell = torch.exp(-(torch.arange(0.0, 4.0) ** 2) / (2 * sigma**2))  # its right half
    bell = bell / (2 * bell.sum() - bell[0])
    for dim, padding in ((-2, (0, 0, 3, 3)), (-1, (3, 3, 0, 0))):
        size = grey.shape[dim]
        padded = F.pad(grey, padding, mode="replicate")
        # A third of the time of a convolution with so few channels.
        grey = grey * bell[0]
        for n, weight in enumerate(bell.tolist()[1:], start=1):
            both = padded.narrow(dim, 3 - n, size) + padded.narrow(dim, 3 + n, size)
            grey.add_(both, alpha=weight)
    return grey


def add_grain(grey: Tensor, random: Callable[[], float], generator: torch.Generator) -> Tensor:
    """Return grey (1, H, W) with Gaussian noise in grains of one or two pixels, not clipped."""
    deviation = -GRAIN * float(np.log(1 - random()))  # exponentially distributed
    coarse = 1 + (random() < 0.5)
    height, width = (-(-side // coarse) for side in grey.shape[-2:])
    noise = torch.randn(1, height, width, generator=generator) * deviation
    noise = noise.repeat_interleave(coarse, -1).repeat_interleave(coarse, -2)
    return grey + noise[:, : grey.shape[-2], : grey.shape[-1]]


def compress(grey: Tensor, random: Callable[[], float]) -> Tensor:
    """Return grey (1, H, W) uint8 compressed as JPEG of random quality and decoded."""
    file = BytesIO()
    quality = round(WORST_JPEG + (BEST_JPEG - WORST_JPEG) * random())
    Image.fromarray(grey[0].numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file)))[None]


def age(rgb: Tensor, generator: torch.Generator) -> Tensor:
    """Return a colour photograph as an old black-and-white one.

    Each step is applied with some probability, in the order in which it happens to photographs.

    Args:
        rgb: (3, H, W) uint8.
        generator: of all random choices.

    Returns:
        grey (1, H, W) uint8.
    """

    def random() -> float:
        return torch.rand((), generator=generator).item()

    grey = photograph_on_film(rgb, random)
    if random() < 0.3:
        grey = darken_corners(grey, random)
    if random() < 0.2:
        grey = add_halation(grey.clamp(0, 1), random)
    if random() < 0.35:
        grey = change_contrast(grey, random)
    if random() < 0.5:
        grey = blur(grey, random)
    if random() < 0.7:
        grey = add_grain(grey, random, generator)
    if random() < 0.5:
        grey = fade(grey.clamp(0, 1), random)
    if random() < 0.25:
        grey = fade_unevenly(grey, random, generator)
    if random() < 0.15:
        grey = add_scratches(grey, random)
    grey = (grey.clamp(0, 1) * 255).round().byte()
    return compress(grey, random) if random() < 0.4 else grey
