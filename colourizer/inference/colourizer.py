"""Colourizer: checkpoint + photograph -> coloured photograph; what other programs import."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from colourizer.colour.bins import mean_of_bins
from colourizer.colour.space import rgb_to_lab
from colourizer.inference.batching import Batching
from colourizer.inference.coherence import stride_8_vectors
from colourizer.inference.hints import Hint, feature_vectors
from colourizer.inference.looks import NATURAL, Look, choose_look
from colourizer.inference.prediction import Prediction, Reference, has_likelihoods
from colourizer.inference.preprocess import network_input, reduced_lightness
from colourizer.inference.provenance import describe_hints
from colourizer.inference.recombine import rgb_strips
from colourizer.inference.upsample import upsample
from colourizer.network.checkpoint import (
    BUNDLED,
    Network,
    build_model,
    fingerprint,
    load_checkpoint,
)
from colourizer.network.device import autocast, pick_device
from colourizer.network.fast.quantized_decoder import dequantize
from colourizer.network.prepare import name_precision, prepare_for_inference
from colourizer.photos.pixels import avoid_mapping, split_alpha, to_8_bits
from colourizer.record.row import Settings
from colourizer.record.tag import write_tag
from Model_CNN import Model_CNN

REFERENCE_SIDE = 512  # pixels; a reference's colours are reduced to that
CPU_BATCH_SIZE = 4  # photographs: the weights stay in the cache
GPU_BATCH_SIZE = 16  # photographs at most; halved when GPU memory runs out


class Colourizer:
    """Colours photographs with one network; threads may share it."""

    def __init__(
        self,
        model: Network,
        device: torch.device,
        look: Look = NATURAL,
        checkpoint: Path | None = None,
    ) -> None:
        """Take a network, which is changed in place, and the file that it was loaded from."""
        self.model = prepare_for_inference(model, device)
        self.precision = name_precision(self.model, device)
        self.device = device
        self.look = look
        self.checkpoint = checkpoint
        # On a GPU, batches are made of all threads' photographs; on the CPU, of each thread's own.
        on_gpu = device.type == "cuda"
        self._network = Batching(self._run, GPU_BATCH_SIZE) if on_gpu else self._run
        self.batch_size = CPU_BATCH_SIZE if device.type == "cpu" else 1
        # Metal commands from two threads at a time can crash the process (pytorch#197805).
        self._turn = Lock() if device.type == "mps" else nullcontext()

    @classmethod
    def load(
        cls,
        checkpoint: Path | str = BUNDLED,
        device: str = "auto",
        vividness: float | None = None,
        *,
        look: str = "natural",
        warmth: float | None = None,
        saturation: float | None = None,
    ) -> "Colourizer":
        """Load a checkpoint; without a name, the bundled one.

        Args:
            checkpoint: a file of train.py, or of the original project.
            device: auto, cpu, cuda, cuda:1, mps and so on.
            vividness: from 0, the safe mean of all likely colours, to 1.
            look: one of looks.LOOKS; it is what the settings beside it are by default.
            warmth: from -1, bluish, to 1, yellowish.
            saturation: what chroma is multiplied by, from 0 to 2.

        Raises:
            CheckpointError: it cannot be used.
            ValueError: there is no such look, or a setting is out of its range.
        """
        chosen = choose_look(look, vividness, warmth, saturation)
        path = Path(checkpoint)
        content = load_checkpoint(path)
        return cls(build_model(content, path), pick_device(device), chosen, path)

    @property
    def has_likelihoods(self) -> bool:
        """Whether the network predicts likelihoods, which confidence and variants need."""
        return has_likelihoods(self.model)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the checkpoint's file, hexadecimal; empty if the network was in none."""
        return fingerprint(self.checkpoint) if self.checkpoint else ""

    def settings(
        self,
        variant: int = 0,
        hints: Sequence[Hint] = (),
        reference: Reference | None = None,
        keep_luma: bool = False,
        look: Look | None = None,
        album: bool = False,
    ) -> Settings:
        """Return what moves the colours of a photograph, for its metadata and a report.

        Args:
            variant: as for `Prediction.ab`.
            hints: as for `Prediction.ab`.
            reference: as for `Prediction.ab`.
            keep_luma: whether a grey JPEG's luma is kept.
            look: None is this Colourizer's own.
            album: whether it is coloured together with others.
        """
        look = look or self.look
        return Settings(
            network=self.fingerprint,
            vividness=look.vividness if self.has_likelihoods else None,
            warmth=look.warmth,
            saturation=look.saturation,
            variant=variant + 1,
            hints=describe_hints(hints),
            reference=reference.sha256 if reference else "",
            keep_luma=keep_luma,
            device=self.device.type,
            precision=self.precision,
            album=album,
        )

    def provenance(self, settings: Settings) -> str:
        """Return the program, the checkpoint and settings, for a photograph's metadata."""
        return write_tag(self.checkpoint.name if self.checkpoint else "", settings)

    def colourize(
        self,
        picture: Image.Image | np.ndarray,
        hints: Sequence[tuple[int, int, tuple[int, int, int]]] = (),
        reference: Reference | Image.Image | np.ndarray | None = None,
    ) -> np.ndarray:
        """Colour a photograph; every pixel keeps its lightness.

        Args:
            picture: an image, which is turned upright as its EXIF says, or an array of pixels,
                (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
            hints: (x, y, (red, green, blue)): the colour of a point, in pixels of the upright
                photograph, rgb in [0, 255]; it is propagated to what belongs to the point.
            reference: a colour photograph, whose colours are propagated to similar places. To use
                one for many photographs, pass what `study_reference` returned.

        Returns:
            rgb (H, W, 3) of the type of the pixels.

        Raises:
            ValueError: an array of another shape or type, a hint outside the photograph, or a
                reference without colours.
        """
        pixels = _to_pixels(picture)
        size = pixels.shape[0], pixels.shape[1]
        ab, _ = self._predict_steered(reduced_lightness(pixels), size, hints, reference)
        return np.concatenate(list(rgb_strips(pixels, ab)))

    def match_reference(
        self,
        picture: Image.Image | np.ndarray,
        reference: Reference | Image.Image | np.ndarray,
    ) -> float:
        """Return the share of a photograph that a reference matches, in [0, 1].

        One below `hints.WEAK_MATCH` is probably unrelated; it changes little, or nothing.

        Args:
            picture: as for `colourize`.
            reference: as for `colourize`.

        Raises:
            ValueError: an array of another shape or type, or a reference without colours.
        """
        lightness = reduced_lightness(_to_pixels(picture))
        _, match = self._predict_steered(lightness, (1, 1), (), reference)
        return match or 0.0

    def colourize_file(
        self,
        source: Path | str | BinaryIO,
        to: Path | str | BinaryIO,
        *,
        target: str | None = None,
        hints: Sequence[tuple[int, int, tuple[int, int, int]]] = (),
        reference: Reference | Image.Image | np.ndarray | None = None,
        keep_luma: bool = False,
        tag: bool = True,
        overwrite: bool = False,
    ) -> float | None:
        """Colour a photograph's file into another, with all its metadata, as colourize.py does.

        Args:
            source: a path, or an open file that can be read from any place.
            to: a path, written whole or not at all; or an open file, seekable.
            target: jpeg, png, webp, tiff or avif; None is the photograph's own format.
            hints: as for `colourize`.
            reference: as for `colourize`.
            keep_luma: keep what a grey JPEG stores bit for bit.
            tag: name the program, the checkpoint and the settings in the metadata.
            overwrite: replace an existing file.

        Returns:
            The share of the photograph that the reference matches; None without one.

        Raises:
            PhotoError: it cannot be read or written.
            ValueError: a hint outside the photograph, or a reference without colours.
            FileExistsError: `to` exists already.
        """
        # Imported when needed: loading a checkpoint takes no image codecs.
        from colourizer.inference.colour_file import read_prepared, write_coloured
        from colourizer.photos.write import wrap_write_errors
        from colourizer.runtime.atomic_file import write_atomically

        source = Path(source) if isinstance(source, str) else source
        to = Path(to) if isinstance(to, str) else to
        if isinstance(to, Path) and to.exists() and not overwrite:
            raise FileExistsError(f"{to}: exists already; overwrite=True replaces it")
        if reference is not None and not isinstance(reference, Reference):
            reference = self.study_reference(reference)
        prepared = read_prepared(source, target, keep_luma)
        ab, match = self._predict_steered(prepared.lightness, prepared.size, hints, reference)
        settings = self.settings(0, [Hint(*hint) for hint in hints], reference, keep_luma)
        provenance = self.provenance(settings) if tag else None

        def write(file: BinaryIO) -> None:
            write_coloured(file, prepared, ab, target, provenance)

        if not isinstance(to, Path):
            write(to)
            return match
        with wrap_write_errors():
            write_atomically(to, write)
        return match

    def _predict_steered(
        self,
        lightness: Tensor,
        size: tuple[int, int],
        hints: Sequence[tuple[int, int, tuple[int, int, int]]],
        reference: Reference | Image.Image | np.ndarray | None,
    ) -> tuple[Tensor, float | None]:
        """Return a photograph's `Prediction.ab_and_match`; hints, reference as for `colourize`.

        Args:
            lightness: (1, h', w') in [0, 100], as for `predict`.
            size: (H, W) of the photograph, in whose pixels hints are given.
            hints: known colours of points.
            reference: a colour photograph.
        """
        if reference is not None and not isinstance(reference, Reference):
            reference = self.study_reference(reference)
        points = [Hint(*hint) for hint in hints]
        steered = bool(points) or reference is not None
        (prediction,) = self.predict([lightness], with_features=steered)
        return prediction.ab_and_match(self.look, 0, points, size, reference)

    @torch.inference_mode()
    def predict(
        self, photographs: Sequence[Tensor], with_features: bool = False
    ) -> list[Prediction]:
        """Run the network once for each photograph; colours are read out of the predictions.

        Args:
            photographs: the lightness of each, (1, H, W) in [0, 100], its own or that of
                `reduced_lightness`; those of one working size are computed in batches.
            with_features: keep feature vectors, too, which hints and references need.
        """
        with self._turn:
            inputs = [network_input(lightness) for lightness in photographs]
            predictions: dict[int, Prediction] = {}
            for shape in {lightness.shape for lightness in inputs}:
                numbers = [n for n, lightness in enumerate(inputs) if lightness.shape == shape]
                batch = torch.cat([inputs[n] for n in numbers])  # (B, 1, h, w)
                found = self._forward(batch, with_features)
                predictions |= dict(zip(numbers, found, strict=True))
        for n, lightness in enumerate(photographs):
            height, width = inputs[n].shape[-2:]
            own = F.adaptive_avg_pool2d(lightness[None], (height // 4, width // 4))
            seen = F.avg_pool2d(inputs[n], 4)
            predictions[n] = replace(predictions[n], lightness=own, stretched=seen)
        return [predictions[n] for n in range(len(inputs))]

    def _forward(self, lightness: Tensor, with_features: bool) -> list[Prediction]:
        """Run the network on lightness (B, 1, h, w) in [0, 100]."""
        size = lightness.shape[2] // 4, lightness.shape[3] // 4
        predictions = []
        for batch in lightness.split(self.batch_size):
            outputs, *maps = self._outputs(batch)
            for n, output in enumerate(outputs.split(1)):
                features = [each[n : n + 1] for each in maps]
                predictions.append(self._prediction(output, features, size, with_features))
        return predictions

    def _outputs(self, lightness: Tensor) -> Sequence[Tensor]:
        """Return `_run`'s outputs for one batch of lightness (B, 1, h, w) in [0, 100]."""
        lightness = lightness.to(self.device).contiguous(memory_format=torch.channels_last)
        with self._precision():
            outputs = self._network(lightness)
        # Readout needs no lock.
        return [each.cpu() for each in outputs] if self.device.type == "mps" else outputs

    def _precision(self) -> AbstractContextManager:
        """Return the context in which the network runs."""
        return autocast(self.device) if isinstance(self.model, Model_CNN) else nullcontext()

    def _prediction(
        self, output: Tensor, features: list[Tensor], size: tuple[int, int], with_features: bool
    ) -> Prediction:
        """Return a prediction; feature vectors (h, w, C) have the size (h, w)."""
        vectors = stride_8_vectors(features) if self.has_likelihoods else None
        known = feature_vectors(features, size) if with_features else None
        return Prediction(self.model, output, vectors, known)

    @torch.inference_mode()
    def decoder_features(self, lightness: Tensor) -> list[Tensor]:
        """Return the decoder's features, whose means over frames give a film steady colours.

        Args:
            lightness: (B, 1, h, w) in [0, 100], prepared as by `network_input`.

        Returns:
            features (B, C, h/8, w/8) and (B, C', h/4, w/4), float32; those of a `Model_CNN` are in
            [0, 6], and its logits are linear in the latter.
        """
        with self._turn:
            batches = [self._outputs(batch)[1:] for batch in lightness.split(self.batch_size)]
        return [dequantize(torch.cat(maps)).contiguous() for maps in zip(*batches, strict=True)]

    @torch.inference_mode()
    def predict_from_features(
        self, features: list[Tensor], with_features: bool = False
    ) -> Prediction:
        """Return what the network predicts from features, as those of `decoder_features`.

        Args:
            features: (1, C, h/8, w/8) and (1, C', h/4, w/4) in [0, 6].
            with_features: as for `predict`.
        """
        fine = features[-1]
        output = self._head(fine)
        return self._prediction(output, features, (fine.shape[2], fine.shape[3]), with_features)

    @torch.inference_mode()
    def ab_of_features(self, fine: Tensor) -> Tensor:
        """Return the mean colours, ab (B, 2, h, w), of features (B, C', h, w) at any stride."""
        assert isinstance(self.model, Model_CNN)
        output = self._head(fine).float()
        return mean_of_bins(output, self.model.bin_centres.to(output.device))

    def _head(self, fine: Tensor) -> Tensor:
        """Return the output of the network's head for fine features, on their device."""
        assert isinstance(self.model, Model_CNN)
        with self._turn, self._precision():
            own = fine.to(self.device, memory_format=torch.channels_last)
            return self.model.head(own).to(fine.device)

    def _run(self, lightness: Tensor) -> tuple[Tensor, ...]:
        """Return the network's output and the decoder's features for lightness (B, 1, h, w)."""
        output, features = self.model.forward_with_features(lightness)
        return output, *features

    def predict_ab(self, lightness: Tensor) -> Tensor:
        """Predict a photograph's chroma at its full resolution.

        Args:
            lightness: (1, H, W) in [0, 100].

        Returns:
            ab (2, H, W) in Lab units, on the CPU.
        """
        (prediction,) = self.predict([lightness])
        height, width = lightness.shape[-2:]
        return upsample(prediction.ab(self.look), height, width)

    def study_reference(self, picture: Image.Image | np.ndarray, sha256: str = "") -> Reference:
        """Return a colour photograph as a reference for others: its prediction and true colours.

        Args:
            picture: as for `colourize`, in colour.
            sha256: of its file, hexadecimal, to name it by; without, its pixels' is taken.

        Raises:
            ValueError: it has no colours, or is an array of another shape or type.
        """
        pixels = _to_pixels(picture)
        if pixels.ndim == 2 or not (pixels != pixels[..., :1]).any():
            raise ValueError("has no colours to take")
        image = Image.fromarray(to_8_bits(pixels))
        image.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE))
        rgb = torch.from_numpy(np.array(image)).movedim(-1, 0) / 255
        (prediction,) = self.predict([reduced_lightness(pixels)], with_features=True)
        sha256 = sha256 or hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
        return Reference(prediction, rgb_to_lab(rgb)[None, 1:], sha256)


def _to_pixels(picture: Image.Image | np.ndarray) -> np.ndarray:
    """Return the pixels of an upright image, or of an array that is one.

    Raises:
        ValueError: an array of another shape or type.
    """
    if isinstance(picture, Image.Image):
        avoid_mapping(picture)
        return split_alpha(ImageOps.exif_transpose(picture))[0]
    if not isinstance(picture, np.ndarray):
        what = f"{type(picture).__name__}: needs an image or an array of pixels"
        raise ValueError(f"{what}; colourize_file takes the path of a file")
    right = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if not right or not picture.size or picture.dtype not in (np.uint8, np.uint16):
        wanted = "(H, W) or (H, W, 3) of uint8 or uint16"
        raise ValueError(f"{picture.shape} of {picture.dtype}: needs {wanted}")
    return picture
