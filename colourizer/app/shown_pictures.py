"""Pictures that the page shows of a photograph: as it is, coloured as is wished, confidence."""

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image
from torch import Tensor

from colourizer.inference.album import Album
from colourizer.inference.colour_file import write_coloured
from colourizer.inference.hints import Hint
from colourizer.inference.lightness import to_grey
from colourizer.inference.looks import NATURAL, Look
from colourizer.inference.prediction import Prediction, Reference
from colourizer.inference.preprocess import PreparedPhoto
from colourizer.inference.side_pictures import draw_confidence, thumbnail_pixels
from colourizer.photos.photo import Photo
from colourizer.photos.pictures import to_jpeg
from colourizer.photos.pixels import to_8_bits

VIEW_SIDE = 2048  # pixels: the longest side of the largest picture that the page shows
VIEW_JPEG_QUALITY = 90  # of originals and confidence; coloured ones are written as files are
MAX_REDUCED = 4  # reduced views that are kept of each photograph
CONFIDENCE_GAMMA = 4  # exponent of the confidence that is drawn; else low values hardly show


class NoConfidenceError(Exception):
    """The network has no likelihoods, so no confidence."""


@dataclass(frozen=True)
class ColourSettings:
    """How a photograph is coloured.

    look: vividness, warmth and saturation.
    variant: which of several plausible colourings.
    hints: known colours of single points.
    reference: a colour photograph whose colours are propagated to similar places.
    album: photographs with which it shares the colours of what they show as well.
    """

    look: Look = NATURAL
    variant: int = 0
    hints: tuple[Hint, ...] = ()
    reference: Reference | None = None
    album: Album | None = None


@dataclass(frozen=True)
class PredictedPhoto:
    """A photograph's prediction and thumbnail, to show it in any colours without its file.

    key: the photograph's in the store; in an album its path.
    prediction: of the network, with features.
    size: (H, W) of the photograph, upright.
    original: (h, w) or (h, w, 3), uint8, upright, no side longer than VIEW_SIDE; from
        `draw_original`.
    """

    key: str
    prediction: Prediction
    size: tuple[int, int]
    original: np.ndarray
    _reduced: dict[int, np.ndarray] = field(default_factory=dict)  # of `_grey`, by their side
    _shared: WeakKeyDictionary[Album, Prediction] = field(default_factory=WeakKeyDictionary)

    def ab(self, settings: ColourSettings) -> Tensor:
        """Return the chroma that the settings ask for, ab (1, 2, h', w') in Lab units.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        return self._predicted_in(settings.album).ab(
            settings.look, settings.variant, settings.hints, self.size, settings.reference
        )

    def match(self, settings: ColourSettings) -> float | None:
        """Return the share that the settings' reference matches, in [0, 1]; None without one."""
        _, match = self._predicted_in(settings.album).ab_and_match(
            settings.look, settings.variant, reference=settings.reference
        )
        return match

    def _predicted_in(self, album: Album | None) -> Prediction:
        """Return the prediction, in an album with what its other photographs say."""
        if album is None:
            return self.prediction
        if (kept := self._shared.get(album)) is None:
            kept = self._shared[album] = album.share(Path(self.key), self.prediction)
        return kept

    def draw_before(self, side: int) -> bytes:
        """Return the photograph as it is, as a JPEG with no side longer than `side` pixels."""
        image = Image.fromarray(self.original)
        image.thumbnail((side, side))
        return to_jpeg(image, VIEW_JPEG_QUALITY)

    def draw_coloured(self, side: int, settings: ColourSettings) -> bytes:
        """Return the photograph in colour, as a JPEG with no side longer than `side` pixels.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        view = PreparedPhoto(Photo(self._grey(side), "JPEG"))
        file = io.BytesIO()
        write_coloured(file, view, self.ab(settings))
        return file.getvalue()

    def draw_confidence(self, side: int) -> bytes:
        """Return the network's confidence as a JPEG to be laid over a photograph; dark is low.

        Raises:
            NoConfidenceError: the network has none.
        """
        confidence = self.prediction.confidence()
        if confidence is None:
            raise NoConfidenceError("this network does not know how sure it is")
        size = self._grey(side).shape
        return to_jpeg(draw_confidence(confidence**CONFIDENCE_GAMMA, *size), VIEW_JPEG_QUALITY)

    @cached_property
    def _view(self) -> np.ndarray:
        """The photograph in grey, (h, w) uint8."""
        return to_grey(self.original)

    def _grey(self, side: int) -> np.ndarray:
        """Return the photograph in grey, (h, w) uint8, with no side longer than `side` pixels."""
        if (kept := self._reduced.get(side)) is not None:
            return kept
        image = Image.fromarray(self._view)
        image.thumbnail((side, side))
        if len(self._reduced) >= MAX_REDUCED:
            self._reduced.clear()
        reduced = self._reduced[side] = np.asarray(image)
        return reduced


def draw_original(photo: Photo) -> np.ndarray:
    """Return a thumbnail, (h, w) or (h, w, 3) uint8, transparent parts composited onto white."""
    pixels = thumbnail_pixels(photo, VIEW_SIDE)
    if photo.alpha is None:
        return pixels
    size = pixels.shape[1], pixels.shape[0]
    alpha = np.asarray(Image.fromarray(to_8_bits(photo.alpha)).resize(size), dtype=np.uint16)
    alpha = alpha if pixels.ndim == 2 else alpha[..., None]
    return ((pixels * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
