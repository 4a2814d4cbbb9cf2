"""Which pictures are of no use to learn colours from, by what they look like."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colourizer.colour.metrics import colourfulness
from colourizer.colour.space import rgb_to_lab

MEASURED_SIDE = 256  # pixels: the longest side at which pictures are judged
# Of 500 photographs in colour none is less colourful than that, fog and concrete among them.
NEAR_GREY = 8.0
# Lab units. A toned photograph has one colour for each lightness: of 34 old ones none deviates by
# more than 2.8 from it, of the 500 in colour two by less.
TONED = 2.8
TONES = 16  # levels of lightness
# What charts, logos and screens have: neighbours that are all alike, in few colours. Of 4,000
# photographs none has so much of both; black, as of the night sky, does not count.
FLAT_SHARE, FEW_COLOURS, FEW_COLOURS_SHARE = 0.72, 8, 0.6
FLAT_STEP, BLACK = 1, 24  # of 255


@dataclass(frozen=True)
class PhotoStatistics:
    """What a picture looks like, measured once.

    colourfulness: of Hasler and Suesstrunk, from 0.
    deviation: of its colours from their mean at the same lightness, root mean square, Lab units.
    flat: share of its pixels that are no different from their neighbours, [0, 1].
    few_colours: share of its pixels that have one of its FEW_COLOURS commonest colours, [0, 1].
    """

    colourfulness: float
    deviation: float
    flat: float
    few_colours: float


def measure_photo(image: Image.Image) -> PhotoStatistics:
    """Measure what a picture looks like.

    Args:
        image: RGB, of any size.
    """
    image = image.copy()
    image.thumbnail((MEASURED_SIDE, MEASURED_SIDE), Image.Resampling.BOX)
    pixels = np.array(image)  # (H, W, 3) uint8
    rgb = torch.from_numpy(pixels).movedim(-1, 0) / 255  # (3, H, W)
    return PhotoStatistics(
        round(colourfulness(rgb), 3),
        round(deviation_from_tone(rgb), 3),
        round(flat_share(pixels), 3),
        round(commonest_share(pixels), 3),
    )


def deviation_from_tone(rgb: Tensor) -> float:
    """Say how far a picture's colours lie from those of a toned photograph that is like it.

    Args:
        rgb: (3, H, W) in [0, 1].

    Returns:
        In Lab units, root mean square; 0 where every lightness has one colour, as in sepia.
    """
    lightness, a, b = rgb_to_lab(rgb).flatten(1)
    level = (lightness / 100 * TONES).long().clamp(0, TONES - 1)
    count = torch.bincount(level, minlength=TONES).clamp_min(1)
    tones = [torch.bincount(level, ab, TONES) / count for ab in (a, b)]  # each (TONES,)
    squares = (a - tones[0][level]).square() + (b - tones[1][level]).square()
    return squares.mean().sqrt().item()


def flat_share(pixels: np.ndarray) -> float:
    """Say which share of the pixels, (H, W, 3) uint8, is like the ones right and below."""
    here = pixels[:-1, :-1].astype(np.int16)
    right = np.abs(pixels[:-1, 1:] - here).max(axis=-1, initial=0)
    below = np.abs(pixels[1:, :-1] - here).max(axis=-1, initial=0)
    flat = (np.maximum(right, below) <= FLAT_STEP) & (here.max(axis=-1, initial=0) > BLACK)
    return float(flat.mean()) if flat.size else 0.0


def commonest_share(pixels: np.ndarray) -> float:
    """Say which share of the pixels, (H, W, 3) uint8, has one of the commonest colours."""
    red, green, blue = (pixels >> 3).astype(np.int64).reshape(-1, 3).T  # 32 levels are enough
    counts = np.bincount((red << 10) + (green << 5) + blue)
    return float(np.sort(counts)[-FEW_COLOURS:].sum() / counts.sum())


def reason_to_reject(look: PhotoStatistics) -> str:
    """Say why a picture is of no use to learn colours from; nothing if it is of use."""
    if look.colourfulness < NEAR_GREY or look.deviation < TONED:
        return "near grey"
    if look.flat >= FLAT_SHARE and look.few_colours >= FEW_COLOURS_SHARE:
        return "graphic"
    return ""
