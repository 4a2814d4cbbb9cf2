"""Colours of a film's frames, one after the other in their order, without flicker."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from colourizer.colour.space import round_to_greys
from colourizer.film.motion import match_cells, take_displaced, to_cells
from colourizer.film.propagation import SceneFeatures, add_frame, begin_scene, forget_changed
from colourizer.film.scenes import content, is_cut, thumbnail
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint, HintSamples, propagate_samples, sample_hints
from colourizer.inference.looks import Look
from colourizer.inference.prediction import Prediction, Reference, locate
from colourizer.inference.preprocess import find_levels, stretch_levels, to_working_size
from Model_CNN import Model_CNN

# The network need not see a frame if no more than this share of it is nowhere in the last one.
MAX_UNMATCHED = 0.02
CONTENT_STEP = 0.1  # the share of content changes by no more from frame to frame of a scene


class _Frame(NamedTuple):
    """A frame prepared for the network.

    lightness: (1, 1, h, w) in [0, 100], of the working size.
    stretched: the network's input, of the same shape.
    content: share in [0, 1] by which chroma is multiplied.
    begins_scene: whether it is the first after a cut.
    displacements: from `match_cells`, where its chroma is the last frame's; None for the network's.
    """

    lightness: Tensor
    stretched: Tensor
    content: float
    begins_scene: bool
    displacements: Tensor | None


class FilmColours:
    """Colours the frames of one film; one thread at a time may use it."""

    def __init__(
        self,
        colourizer: Colourizer,
        look: Look,
        size: tuple[int, int] = (1, 1),
        reference: Reference | None = None,
    ) -> None:
        """Begin a film.

        Args:
            colourizer: the network.
            look: how colours are read out.
            size: (H, W) of a frame in pixels, upright, in which hints are given.
            reference: a colour photograph; its colours are propagated to similar places.
        """
        self._colourizer = colourizer
        self._look = look
        self._size = size
        self._reference = reference
        self._is_unet = isinstance(colourizer.model, Model_CNN)
        self._seen: Tensor | None = None  # thumbnail of the last frame with content
        self._levels: tuple[float, float] | None = None  # darkest and lightest of the scene so far
        self._content = 0.0  # of the last frame that has any
        self._scene: SceneFeatures | None = None
        self._cells: Tensor | None = None  # of the last frame that the network saw; None: see next
        self._ab = torch.zeros(1, 2, 1, 1)  # of that frame
        self._samples: HintSamples | None = None  # of the scene's hints
        self._waiting: list[Hint] = []  # for a frame with content
        self._matched = [0.0, 0]  # the sum of the shares that the reference matches; of how many

    @property
    def match(self) -> float | None:
        """The share of the frames that the reference matches; None without one."""
        total, frames = self._matched
        return total / frames if frames else None

    def colourize(self, lightness: Tensor, hints: Sequence[Hint] = ()) -> Tensor:
        """Return the colours of the next frame, as `colourize_batch` does."""
        return self.colourize_batch([lightness], hints)[0]

    @torch.inference_mode()
    def colourize_batch(self, frames: Sequence[Tensor], hints: Sequence[Hint] = ()) -> list[Tensor]:
        """Return the colours of the next frames; the network runs once for all of them.

        Args:
            frames: the lightness of each, (1, h', w') in [0, 100], of any size that
                `Colourizer.predict` takes, the same for all. However a film is cut into batches,
                its colours are the same to within rounding.
            hints: known colours that hold from the first of these frames on until a cut.

        Returns:
            For each frame ab (1, 2, h, w) in Lab units, on the CPU, of any size; zero for frames
            without content.

        Raises:
            HintError: a hint lies outside the frame.
        """
        for hint in hints:
            locate(hint, self._size)  # raises
        if hints:
            self._waiting += hints
            self._cells = None  # the network must see the next frame
        prepared = [self._prepare(lightness) for lightness in frames]
        shown = [frame for frame in prepared if frame.content and frame.displacements is None]
        predictions = self._predict(shown) if shown else iter(())
        colours = []
        for frame in prepared:
            if not frame.content:
                colours.append(torch.zeros(1, 2, 1, 1))
                continue
            if frame.displacements is not None:
                ab = take_displaced(self._ab, frame.displacements)
            else:
                if frame.begins_scene:
                    self._scene = self._samples = None
                own, stretched = to_cells(frame.lightness), to_cells(frame.stretched)
                prediction = replace(next(predictions), lightness=own, stretched=stretched)
                ab, match = prediction.ab_and_match(self._look, reference=self._reference)
                if match is not None:
                    self._matched = [self._matched[0] + match, self._matched[1] + 1]
                self._ab = ab = self._with_hints(prediction, ab)
            colours.append(ab * frame.content)
        return colours

    def _prepare(self, lightness: Tensor) -> _Frame:
        """Return the next frame prepared for the network."""
        small = to_working_size(lightness)
        seen = thumbnail(small)
        begins_scene = self._seen is None or is_cut(self._seen, seen)
        levels = _widen(None if begins_scene else self._levels, find_levels(small))
        stretched = stretch_levels(small, levels)
        share = content(stretched)
        displacements = None
        if share:  # what a black frame or a title interrupts can go on after it
            if not begins_scene:
                share = min(max(share, self._content - CONTENT_STEP), self._content + CONTENT_STEP)
            self._seen, self._levels, self._content = seen, levels, share
            displacements = self._displacements(to_cells(small), begins_scene)
        return _Frame(small, round_to_greys(stretched), share, begins_scene, displacements)

    def _displacements(self, cells: Tensor, begins_scene: bool) -> Tensor | None:
        """Return where a frame's chroma is in the last one; None if the network must see it.

        It sees every other frame at least.
        """
        before, self._cells = self._cells, cells
        if before is None or begins_scene or not self._is_unet:
            return None
        displacements, unmatched = match_cells(before, cells)
        if unmatched > MAX_UNMATCHED:
            return None
        self._cells = None
        return displacements

    def _predict(self, frames: Sequence[_Frame]) -> Iterator[Prediction]:
        """Yield what the network predicts for each frame and for its scene so far."""
        with_features = bool(self._waiting or self._samples or self._reference)
        if not self._is_unet:  # its output isn't linear in features
            alone = [frame.lightness[0] for frame in frames]
            yield from self._colourizer.predict(alone, with_features)
            return
        inputs = torch.cat([frame.stretched for frame in frames])
        for n, maps in enumerate(zip(*self._colourizer.decoder_features(inputs), strict=True)):
            features = [each[None] for each in maps]
            small = frames[n].lightness
            if self._scene is None:
                self._scene = begin_scene(small, features)
            else:
                scene = add_frame(self._scene, small, features)
                self._scene = forget_changed(scene, features[-1], self._colourizer.ab_of_features)
            means = [self._scene.coarse, self._scene.fine]
            yield self._colourizer.predict_from_features(means, with_features)

    def _with_hints(self, prediction: Prediction, ab: Tensor) -> Tensor:
        """Return chroma with the scene's hints, which follow what has their places' features."""
        if self._waiting:
            assert prediction.features is not None
            points = [locate(hint, self._size) for hint in self._waiting]
            new = sample_hints(prediction.features, ab, points)
            old = self._samples or HintSamples(new.inputs[:0], new.change[:0])
            both = zip(old, new, strict=True)
            self._samples, self._waiting = HintSamples(*map(torch.cat, both)), []
        if self._samples is None:
            return ab
        assert prediction.features is not None
        return propagate_samples(prediction.features, ab, self._samples)

    def state(self) -> dict[str, Any]:
        """Return what the colours of later frames depend on, for `restore`.

        It holds only what `torch.load(..., weights_only=True)` reads: tensors, numbers, texts,
        lists and dicts of them.
        """
        return {
            "seen": self._seen,
            "levels": self._levels and list(self._levels),
            "content": self._content,
            "scene": self._scene and dict(vars(self._scene)),
            "cells": self._cells,
            "ab": self._ab,
            "samples": self._samples and list(self._samples),
            "waiting": [[hint.x, hint.y, list(hint.rgb)] for hint in self._waiting],
            "matched": self._matched,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on after the frame at which `state` was called, in another process, too."""
        scene, levels, samples = (state[name] for name in ("scene", "levels", "samples"))
        self._seen = state["seen"]
        self._levels = levels and (levels[0], levels[1])
        self._content = state["content"]
        self._scene = scene and SceneFeatures(**scene)
        self._cells, self._ab = state["cells"], state["ab"]
        self._samples = samples and HintSamples(*samples)
        self._waiting = [Hint(x, y, (rgb[0], rgb[1], rgb[2])) for x, y, rgb in state["waiting"]]
        self._matched = state["matched"]


def _widen(levels: tuple[float, float] | None, own: tuple[float, float]) -> tuple[float, float]:
    """Return the darkest and the lightest of a scene's levels and those of a frame."""
    return own if levels is None else (min(levels[0], own[0]), max(levels[1], own[1]))
