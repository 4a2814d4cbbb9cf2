"""Colours of a film's frames, one after the other in their order."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.looks import Look
from colourizer.inference.prediction import Reference
from colourizer.inference.preprocess import MIN_RANGE


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
        self._hints: list[Hint] = []

    def colourize(self, lightness: Tensor, hints: Sequence[Hint] = ()) -> Tensor:
        """Return the colours of the next frame, as `colourize_batch` does."""
        return self.colourize_batch([lightness], hints)[0]

    @torch.inference_mode()
    def colourize_batch(self, frames: Sequence[Tensor], hints: Sequence[Hint] = ()) -> list[Tensor]:
        """Return the colours of the next frames; the network runs once for all of them.

        Args:
            frames: the lightness of each, (1, h', w') in [0, 100], of any size that
                `Colourizer.predict` takes. However a film is cut into batches, its colours are the
                same to within rounding.
            hints: known colours that hold from the first of these frames on until a cut.

        Returns:
            For each frame ab (1, 2, h, w) in Lab units, on the CPU, of any size; zero for frames
            without content.

        Raises:
            HintError: a hint lies outside the frame.
        """
        self._hints += hints
        steered = bool(self._hints) or self._reference is not None
        predictions = self._colourizer.predict(frames, with_features=steered)
        colours = []
        for lightness, prediction in zip(frames, predictions, strict=True):
            if float(lightness.max() - lightness.min()) < MIN_RANGE:
                colours.append(torch.zeros(1, 2, 1, 1))
                continue
            ab = prediction.ab(self._look, 0, self._hints, self._size, self._reference)
            colours.append(ab)
        return colours

    def state(self) -> dict[str, Any]:
        """Return what the colours of later frames depend on, for `restore`.

        It holds only what `torch.load(..., weights_only=True)` reads: tensors, numbers, texts,
        lists and dicts of them.
        """
        return {"hints": [[hint.x, hint.y, list(hint.rgb)] for hint in self._hints]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on after the frame at which `state` was called, in another process, too."""
        self._hints = [Hint(x, y, (rgb[0], rgb[1], rgb[2])) for x, y, rgb in state["hints"]]
