"""Colourizer: checkpoint + photograph -> coloured photograph; what other programs import."""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ab_bins import confidence, tilted, vivid_ab
from checkpoint import BUNDLED, Network, build_model, load_checkpoint
from colour_space import (
    MAX_LIGHTNESS,
    fit_to_gamut,
    grey_to_lightness,
    rgb_to_lab,
    rgb_to_pixels,
    to_8_bits,
)
from device import pick_device
from Model_CNN import STRIDE, Model_CNN

# The network looks at every photograph at about this many pixels, whatever its own size, so that
# a scan and its thumbnail get the same colours.
WORKING_PIXELS = 256 * 256
# From 0, the safe mean, to 1. Chosen on validation photographs: nearly as colourful as they are.
VIVIDNESS = 0.5
# The network sees the darkest of a photograph's pixels no lighter than BLACK and the lightest no
# darker than WHITE, lightness in Lab units, this share of them left out: faded and toned prints
# become as fresh ones.
LEVELS_SHARE, BLACK, WHITE = 0.005, 5.0, 95.0
LEAST_RANGE = 15.0  # Lab units of lightness; what has less is an empty picture and left alone
STRIP_PIXELS = 1 << 20  # full-resolution pixels that are converted at a time: bounds the memory


def photo_lightness(pixels: np.ndarray) -> Tensor:
    """Measure the lightness of every pixel.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, H, W) in [0, 100].
    """
    full = 255 if pixels.dtype == np.uint8 else 65535
    if pixels.ndim == 2:  # one value per grey level, looked up
        table = grey_to_lightness(torch.linspace(0, 1, full + 1))
        return torch.from_numpy(table.numpy()[pixels])[None]
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = []
    for y in range(0, len(pixels), rows):
        rgb = torch.from_numpy(pixels[y : y + rows].astype(np.float32) / full).movedim(-1, 0)
        strips.append(rgb_to_lab(rgb)[:1])
    return torch.cat(strips, dim=1)


def stretch_levels(lightness: Tensor) -> Tensor:
    """Undo fading, and what is left of a tone: let lightness reach from BLACK to WHITE at least.

    Args:
        lightness: (1, 1, h, w) in [0, 100].

    Returns:
        lightness (1, 1, h, w) in [0, 100].
    """
    ends = torch.tensor([LEVELS_SHARE, 1 - LEVELS_SHARE])
    black, white = torch.quantile(lightness.flatten(), ends).tolist()
    if white - black < LEAST_RANGE:
        return lightness
    new_black, new_white = min(black, BLACK), max(white, WHITE)
    stretched = (lightness - black) * ((new_white - new_black) / (white - black)) + new_black
    return stretched.clamp(0, MAX_LIGHTNESS)


def working_size(height: int, width: int) -> tuple[int, int]:
    """Choose the size at which the network sees a photograph.

    Returns:
        (height, width), multiples of the network's stride, about WORKING_PIXELS in all, of nearly
        the photograph's own aspect; beyond 4:1 the long side is squeezed.
    """
    aspect = min(4.0, max(0.25, height / width))
    rows = math.sqrt(WORKING_PIXELS * aspect)
    return (
        max(STRIDE, round(rows / STRIDE) * STRIDE),
        max(STRIDE, round(rows / aspect / STRIDE) * STRIDE),
    )


def join(lightness: Tensor, ab: Tensor) -> np.ndarray:
    """Make a picture of a photograph's lightness and a prediction.

    Args:
        lightness: (1, H, W) in [0, 100].
        ab: (2, H, W) in Lab units; what sRGB has not loses chroma.

    Returns:
        rgb (H, W, 3) uint8.
    """
    height, width = lightness.shape[-2:]
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for y in range(0, height, rows):
        strip = fit_to_gamut(lightness[:, y : y + rows], ab[:, y : y + rows])
        rgb[y : y + rows] = rgb_to_pixels(strip)
    return rgb


def to_photo_size(planes: Tensor, height: int, width: int) -> Tensor:
    """Enlarge what the network said, (1, C, h, w), to a photograph's size: (C, height, width)."""
    planes = planes.float().cpu()
    return F.interpolate(planes, (height, width), mode="bicubic", align_corners=False)[0]


class Colourizer:
    """Puts colour into photographs with one network; see `load` and `colourize`."""

    def __init__(self, model: Network, device: torch.device, vividness: float = VIVIDNESS) -> None:
        self.model = model.to(device).to(memory_format=torch.channels_last).eval()
        self.device = device
        self.vividness = vividness

    @classmethod
    def load(
        cls,
        checkpoint: Path | str = BUNDLED,
        device: str = "auto",
        vividness: float = VIVIDNESS,
    ) -> "Colourizer":
        """Load a checkpoint; without a name, the one that lies in the repository.

        Raises:
            CheckpointError: it cannot be used.
        """
        path = Path(checkpoint)
        content = load_checkpoint(path)
        return cls(build_model(content, path), pick_device(device), vividness)

    @property
    def knows_likelihoods(self) -> bool:
        """Say whether the network can tell how sure it is, and has more than one answer."""
        return isinstance(self.model, Model_CNN) and self.model.config.likelihoods

    def look(self, lightness: Tensor) -> Tensor:
        """Reduce a photograph to what the network sees of it.

        Args:
            lightness: (1, H, W) in [0, 100].

        Returns:
            lightness (1, 1, h, w), about WORKING_PIXELS of it, on the network's device.
        """
        size = working_size(*lightness.shape[-2:])
        small = F.interpolate(lightness[None], size, mode="bilinear", antialias=True)
        # The network knows 8-bit greys only: of smoother values, which resizing makes, it expects
        # wrong colours (docs/experiments.md).
        small = to_8_bits(stretch_levels(small)).to(self.device)
        return small.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def predict_ab(self, lightness: Tensor) -> Tensor:
        """Predict a photograph's chroma at its full resolution.

        Args:
            lightness: (1, H, W) in [0, 100].

        Returns:
            ab (2, H, W) in Lab units, on the CPU.
        """
        (ab,), _ = self.predict(lightness, variants=1)
        return to_photo_size(ab, *lightness.shape[-2:])

    @torch.inference_mode()
    def predict(self, lightness: Tensor, variants: int) -> tuple[list[Tensor], Tensor | None]:
        """Predict several colourings of a photograph, and how sure the network is, in one look.

        Args:
            lightness: (1, H, W) in [0, 100].
            variants: how many colourings; the first is that of `predict_ab`.

        Returns:
            For each variant its ab (1, 2, h, w) in Lab units; and the confidence (1, 1, h, w) in
            (0, 1], None of a network that knows no likelihoods. h and w are the network's;
            `to_photo_size` enlarges.
        """
        small = self.look(lightness)
        if not isinstance(self.model, Model_CNN) or not self.model.config.likelihoods:
            return [self.model.predict_ab(small)] * variants, None
        logits = self.model(small)  # (1, K, h/4, w/4)
        centres, shares = self.model.bin_centres, self.model.bin_shares
        sure = confidence(logits, centres)  # (1, 1, h/4, w/4)
        colourings = [
            vivid_ab(tilted(logits, centres, i), centres, shares, self.vividness, sure)
            for i in range(variants)
        ]
        return colourings, sure

    def colourize(self, pixels: np.ndarray) -> np.ndarray:
        """Colour a photograph; every pixel keeps its lightness.

        Args:
            pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.

        Returns:
            rgb (H, W, 3) uint8.
        """
        lightness = photo_lightness(pixels)
        return join(lightness, self.predict_ab(lightness))
