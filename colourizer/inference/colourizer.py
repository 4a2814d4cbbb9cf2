"""Colourizer: checkpoint + photograph -> coloured photograph."""

import itertools
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from colourizer.colour.space import rgb_to_lab, round_to_greys
from colourizer.inference.batching import Batching
from colourizer.inference.hints import Hint, describe
from colourizer.inference.prediction import Prediction, Reference, knows_likelihoods
from colourizer.inference.preprocess import reduced_lightness, stretch_levels, working_size
from colourizer.inference.recombine import rgb_strips
from colourizer.inference.upsample import enlarge
from colourizer.network.checkpoint import BUNDLED, Network, build_model, load_checkpoint
from colourizer.network.device import autocast, is_fast_in_bf16, pick_device
from colourizer.network.fast.packed_conv import pack_convolutions
from colourizer.network.fast.quantized_decoder import quantize_decoder
from colourizer.network.prepare import fold_batch_norm, halve_weights
from colourizer.photos.pixels import split_alpha, to_8_bits
from Model_CNN import Model_CNN

# From 0, the safe mean, to 1. Chosen on validation photographs: nearly as colourful as they are.
VIVIDNESS = 0.5
REFERENCE_SIDE = 512  # pixels; of a reference's colours more are not looked at
# Photographs that it pays to give the CPU at a time: its weights stay where they are near.
TOGETHER = 4
BATCH = 16  # photographs that a GPU is given at a time, if so many wait; fewer if memory is short

# What a photograph's `Colourizer.predict` returns: for each variant its ab (1, 2, h, w) in Lab
# units; and the confidence (1, 1, h, w) in (0, 1], None of a network that knows no likelihoods; all
# on the CPU, h and w being the network's.
Colourings = tuple[list[Tensor], Tensor | None]


class Colourizer:
    """Puts colour into photographs with one network; see `load` and `colourize`."""

    def __init__(self, model: Network, device: torch.device, vividness: float = VIVIDNESS) -> None:
        fold_batch_norm(model.eval())
        if isinstance(model, Model_CNN) and is_fast_in_bf16(device):
            halve_weights(model)
        if isinstance(model, Model_CNN) and device.type == "cpu":
            quantize_decoder(model)
            pack_convolutions(model)
        # Folded, and halved where that is fast: for `answer`, which calls it under autocast then.
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.device = device
        self.vividness = vividness
        # Of a GPU all threads' photographs make batches; of the CPU each thread makes its own.
        self._network = Batching(self.model, BATCH) if device.type == "cuda" else self.model
        self.together = TOGETHER if device.type == "cpu" else 1
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
        return knows_likelihoods(self.model)

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
    def predict(self, lightness: Tensor, variants: int) -> Colourings:
        """Predict several colourings of a photograph, and how sure the network is, in one look.

        Any number of threads may do so at the same time.

        Args:
            lightness: (1, H, W) in [0, 100], the photograph's or that of `reduced_lightness`.
            variants: how many colourings; the first is that of `predict_ab`.
        """
        return self.predict_together([lightness], variants)[0]

    @torch.inference_mode()
    def predict_together(self, photographs: Sequence[Tensor], variants: int) -> list[Colourings]:
        """Predict the same as `predict` of several photographs; on the CPU faster than one by one.

        Args:
            photographs: the lightness of each, as of `predict`; the network is given `together` of
                one shape at a time.
            variants: as of `predict`.
        """
        with self._turn:
            looks = [self.look(lightness) for lightness in photographs]
            said: dict[int, Colourings] = {}
            for shape in {small.shape for small in looks}:
                places = [n for n, small in enumerate(looks) if small.shape == shape]
                answers = self.answer(torch.cat([looks[n] for n in places]), variants)
                said |= dict(zip(places, answers, strict=True))
        return [said[n] for n in range(len(looks))]

    @torch.inference_mode()
    def answer(self, small: Tensor, variants: int) -> list[Colourings]:
        """Ask the network and read colours out of what it says; threads of MPS have to take turns.

        Args:
            small: (B, 1, h, w), as of `look`.
            variants: as of `predict`, which also says what is returned for each.
        """
        with autocast(self.device) if isinstance(self.model, Model_CNN) else nullcontext():
            outputs = [self._network(some).split(1) for some in small.split(self.together)]
        answers = []
        for output in itertools.chain(*outputs):
            prediction = Prediction(self.model, output)
            colourings = [prediction.ab(self.vividness, variant) for variant in range(variants)]
            answers.append((colourings, prediction.confidence()))
        return answers

    @torch.inference_mode()
    def study(self, lightness: Tensor) -> Prediction:
        """Look at a photograph once, to read colours from that as often as wished, with hints too.

        Any number of threads may do so at the same time.

        Args:
            lightness: as of `predict`.
        """
        with self._turn:
            small = self.look(lightness)
            with autocast(self.device) if isinstance(self.model, Model_CNN) else nullcontext():
                output, features = self.model.forward_with_features(small)
            size = small.shape[2] // 4, small.shape[3] // 4
            # On the CPU: who reads colours out of it later need take no turn.
            return Prediction(self.model, output.cpu(), describe(features, size))

    def study_reference(self, picture: Image.Image | np.ndarray) -> Reference:
        """Look at a photograph in colour whose colours others are to get.

        Args:
            picture: as of `colourize`, but its colours count.

        Raises:
            ValueError: it has none, or is an array of another shape or type.
        """
        pixels = _pixels_of(picture)
        if pixels.ndim == 2 or not (pixels != pixels[..., :1]).any():
            raise ValueError("has no colours to take")
        image = Image.fromarray(to_8_bits(pixels))
        image.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE))
        rgb = torch.from_numpy(np.array(image)).movedim(-1, 0) / 255
        prediction = self.study(reduced_lightness(pixels))
        assert prediction.description is not None
        return Reference(prediction, prediction.description, rgb_to_lab(rgb)[None, 1:])

    def colourize(
        self,
        picture: Image.Image | np.ndarray,
        hints: Sequence[tuple[int, int, tuple[int, int, int]]] = (),
        reference: Reference | Image.Image | np.ndarray | None = None,
    ) -> np.ndarray:
        """Colour a photograph; every pixel keeps its lightness.

        Any number of threads may do so at the same time.

        Args:
            picture: an image, which is turned upright as its EXIF says, or the pixels of one,
                (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
            hints: (x, y, (red, green, blue)): what colour is at a place, in pixels of the upright
                photograph, rgb in [0, 255]; what belongs to the place follows.
            reference: a photograph in colour; its colours go where this one looks like it. For many
                photographs give what `study_reference` makes of it.

        Returns:
            rgb (H, W, 3) of the type of the pixels.

        Raises:
            ValueError: an array of another shape or type, a hint outside the photograph, or a
                reference without colours.
        """
        pixels = _pixels_of(picture)
        lightness = reduced_lightness(pixels)
        if not hints and reference is None:
            (ab,), _ = self.predict(lightness, variants=1)
        else:
            if reference is not None and not isinstance(reference, Reference):
                reference = self.study_reference(reference)
            known = [Hint(*hint) for hint in hints]
            size = pixels.shape[0], pixels.shape[1]
            ab = self.study(lightness).ab(self.vividness, 0, known, size, reference)
        return np.concatenate(list(rgb_strips(pixels, ab)))


def _pixels_of(picture: Image.Image | np.ndarray) -> np.ndarray:
    """Give the pixels of an upright image, or of an array that is one.

    Raises:
        ValueError: an array of another shape or type.
    """
    if isinstance(picture, Image.Image):
        return split_alpha(ImageOps.exif_transpose(picture))[0]
    right = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if not right or not picture.size or picture.dtype not in (np.uint8, np.uint16):
        wanted = "(H, W) or (H, W, 3) of uint8 or uint16"
        raise ValueError(f"{picture.shape} of {picture.dtype}: needs {wanted}")
    return picture
