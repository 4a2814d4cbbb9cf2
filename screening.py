"""Which pictures are of no use to learn colours from, by what they look like."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from metrics import colourfulness

SIDE_JUDGED = 256  # pixels: the longest side at which pictures are judged
# Hasler and Suesstrunk call 15 "slightly colourful"; a photograph below teaches grey.
NEAR_GREY = 15.0


@dataclass(frozen=True)
class Look:
    """What a picture looks like, measured once.

    colourfulness: of Hasler and Suesstrunk, from 0.
    """

    colourfulness: float


def look_at(image: Image.Image) -> Look:
    """Measure what a picture looks like.

    Args:
        image: RGB, of any size.
    """
    image = image.copy()
    image.thumbnail((SIDE_JUDGED, SIDE_JUDGED))
    rgb = torch.from_numpy(np.array(image)).movedim(-1, 0) / 255  # (3, H, W)
    return Look(colourfulness(rgb))


def objection(look: Look) -> str:
    """Say why a picture is of no use to learn colours from; nothing if it is of use."""
    return "near grey" if look.colourfulness < NEAR_GREY else ""
