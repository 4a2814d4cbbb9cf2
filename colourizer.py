"""Colourizer: checkpoint + photograph -> coloured photograph; what other programs import."""

import math
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from ab_bins import confidence, tilted, vivid_ab
from batching import Batching
from checkpoint import BUNDLED, Network, build_model, load_checkpoint
from colour_space import MAX_LIGHTNESS, round_to_greys
from device import autocast, is_fast_in_bf16, pick_device
from Model_CNN import STRIDE, Model_CNN, fold_batch_norm, halve_weights
from pixel_formats import pixels_and_alpha, to_8_bits
from recombine import STRIP_PIXELS, enlarge, photo_lightness, rgb_strips

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
BATCH = 16  # photographs that a GPU is given at a time, if so many wait; fewer if memory is short


def stretch_levels(lightness: Tensor) -> Tensor:
    """Undo fading, and what is left of a tone: let lightness reach from BLACK to WHITE at least.

    Args:
        lightness: (1, 1, h, w) in [0, 100].

    Returns:
        lightness (1, 1, h, w) in [0, 100].
    """
    values = np.sort(lightness.numpy(), axis=None)  # a tenth of the time of torch.quantile
    last = len(values) - 1
    black, white = (float(values[round(last * s)]) for s in (LEVELS_SHARE, 1 - LEVELS_SHARE))
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


def reduced_lightness(pixels: np.ndarray) -> Tensor:
    """Measure a photograph's lightness at two to four times the network's size, or at its own.

    Whole numbers of pixels are averaged, which takes a tenth of the time of anything finer.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, h, w) in [0, 100].
    """
    height, width = working_size(*pixels.shape[:2])
    factor = min(pixels.shape[0] // (2 * height), pixels.shape[1] // (2 * width))
    factor = 2 ** int(math.log2(max(1, factor)))  # by 4 Pillow is twice as fast as by 6
    if factor > 1:
        rows = len(pixels)
        if pixels.ndim == 3 or pixels.dtype != np.uint8:  # is copied, so a strip at a time
            rows = factor * max(1, STRIP_PIXELS // (factor * pixels.shape[1]))
        strips = [pixels[y : y + rows] for y in range(0, len(pixels), rows)]
        reduced = [Image.fromarray(to_8_bits(strip)).reduce(factor) for strip in strips]
        pixels = np.concatenate([np.asarray(strip) for strip in reduced])
    return photo_lightness(pixels)


class Colourizer:
    """Puts colour into photographs with one network; see `load` and `colourize`."""

    def __init__(self, model: Network, device: torch.device, vividness: float = VIVIDNESS) -> None:
        fold_batch_norm(model.eval())
        if isinstance(model, Model_CNN) and is_fast_in_bf16(device):
            halve_weights(model)
        # Folded, and halved where that is fast: for `answer`, which calls it under autocast then.
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.device = device
        self.vividness = vividness
        # On the CPU a batch takes as long as its photographs one by one: each thread has its own.
        self._network = Batching(self.model, BATCH) if device.type == "cuda" else self.model
        # Metal's commands of two threads at a time can end the process (pytorch#197805).
        self._turn = Lock() if device.type == "mps" else nullcontext()

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
            lightness: (1, H, W) in [0, 100], on the CPU.

        Returns:
            lightness (1, 1, h, w), about WORKING_PIXELS of it, on the network's device.
        """
        size = working_size(*lightness.shape[-2:])
        small = F.interpolate(lightness[None], size, mode="bilinear", antialias=True)
        # The network knows 8-bit greys only: of smoother values, which resizing makes, it expects
        # wrong colours (docs/experiments.md).
        small = round_to_greys(stretch_levels(small)).to(self.device)
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
        height, width = lightness.shape[-2:]
        return next(enlarge(ab, height, width, rows=height))

    @torch.inference_mode()
    def predict(self, lightness: Tensor, variants: int) -> tuple[list[Tensor], Tensor | None]:
        """Predict several colourings of a photograph, and how sure the network is, in one look.

        Any number of threads may do so at the same time.

        Args:
            lightness: (1, H, W) in [0, 100], the photograph's or that of `reduced_lightness`.
            variants: how many colourings; the first is that of `predict_ab`.

        Returns:
            For each variant its ab (1, 2, h, w) in Lab units; and the confidence (1, 1, h, w) in
            (0, 1], None of a network that knows no likelihoods; all on the CPU, h and w being the
            network's.
        """
        with self._turn:
            return self.answer(self.look(lightness), variants)

    @torch.inference_mode()
    def answer(self, small: Tensor, variants: int) -> tuple[list[Tensor], Tensor | None]:
        """Ask the network and read colours out of what it says; threads of MPS have to take turns.

        Args:
            small: as of `look`.
            variants: as of `predict`, which also says what is returned.
        """
        with autocast(self.device) if isinstance(self.model, Model_CNN) else nullcontext():
            if not isinstance(self.model, Model_CNN) or not self.model.config.likelihoods:
                return [self.model.predict_ab(small).cpu()] * variants, None
            logits = self._network(small).float()  # (1, K, h/4, w/4)
        centres, shares = self.model.bin_centres, self.model.bin_shares
        sure = confidence(logits, centres)  # (1, 1, h/4, w/4)
        colourings = [
            vivid_ab(tilted(logits, centres, i), centres, shares, self.vividness, sure).cpu()
            for i in range(variants)
        ]
        return colourings, sure.cpu()

    def colourize(self, picture: Image.Image | np.ndarray) -> np.ndarray:
        """Colour a photograph; every pixel keeps its lightness.

        Any number of threads may do so at the same time.

        Args:
            picture: an image, which is turned upright as its EXIF says, or the pixels of one,
                (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.

        Returns:
            rgb (H, W, 3) of the type of the pixels.

        Raises:
            ValueError: an array of another shape or type.
        """
        if isinstance(picture, Image.Image):
            pixels, _ = pixels_and_alpha(ImageOps.exif_transpose(picture))
        else:
            pixels = picture
        right = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        if not right or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
            wanted = "(H, W) or (H, W, 3) of uint8 or uint16"
            raise ValueError(f"{pixels.shape} of {pixels.dtype}: needs {wanted}")
        (ab,), _ = self.predict(reduced_lightness(pixels), variants=1)
        return np.concatenate(list(rgb_strips(pixels, ab)))
