"""Photographs for the benchmarks: the samples enlarged, with grain."""

from pathlib import Path

import numpy as np
from PIL import Image

GRAIN = 4.0  # grey levels: a camera's or scan's noise; without it JPEGs would be too small


def add_grain(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return an image's pixels, (H, W) or (H, W, 3) float in [0, 255], with grey Gaussian noise."""
    noise = rng.standard_normal((256, 256), dtype=np.float32) * GRAIN
    tiles = (-(-image.height // 256), -(-image.width // 256))
    noise = np.tile(noise, tiles)[: image.height, : image.width]
    return (np.asarray(image) + (noise if image.mode == "L" else noise[..., None])).clip(0, 255)


def grained_part(path: Path, size: tuple[int, int], share: float, seed: int) -> Image.Image:
    """Return a random part of a photograph in colour, enlarged, with grain.

    Args:
        path: the photograph.
        size: (width, height) of the result, in pixels.
        share: of the photograph's width and height that the part has.
        seed: decides the part and the grain.
    """
    rng = np.random.default_rng(seed)
    image = Image.open(path).convert("RGB")
    left, top = rng.random(2) * (1 - share) * image.size
    box = (left, top, left + share * image.width, top + share * image.height)
    image = image.resize(size, Image.Resampling.BICUBIC, box=box)
    return Image.fromarray(add_grain(image, rng).astype(np.uint8))
