"""Pictures that the page shows of a photograph: grey, coloured as is wished, confidence."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from colourizer.inference.colour_file import write_coloured
from colourizer.inference.hints import Hint
from colourizer.inference.lightness import to_grey
from colourizer.inference.looks import NATURAL, Look
from colourizer.inference.prediction import Prediction
from colourizer.inference.preprocess import PreparedPhoto
from colourizer.inference.side_pictures import draw_confidence, thumbnail_pixels
from colourizer.photos.photo import Photo
from colourizer.photos.pictures import to_jpeg
from colourizer.photos.pixels import to_8_bits

VIEW_SIDE = 1280  # pixels: the longest side of the largest picture that the page shows
VIEW_JPEG_QUALITY = 90  # of grey and confidence pictures; coloured ones are written as files are
CONFIDENCE_GAMMA = 4  # exponent of the confidence that is drawn; else low values hardly show


class NoConfidenceError(Exception):
    """The network has no likelihoods, so no confidence."""


@dataclass(frozen=True)
class ColourSettings:
    """How a photograph is coloured.

    look: vividness, warmth and saturation.
    variant: which of several plausible colourings.
    hints: known colours of single points.
    """

    look: Look = NATURAL
    variant: int = 0
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True)
class PredictedPhoto:
    """A photograph's prediction and thumbnail, to show it in any colours without its file.

    prediction: of the network, with features.
    size: (H, W) of the photograph, upright.
    view: (h, w) grey, uint8, upright, no side longer than VIEW_SIDE; from `draw_view`.
    """

    prediction: Prediction
    size: tuple[int, int]
    view: np.ndarray

    def ab(self, settings: ColourSettings) -> Tensor:
        """Return the chroma that the settings ask for, ab (1, 2, h', w') in Lab units.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        return self.prediction.ab(settings.look, settings.variant, settings.hints, self.size)

    def draw_grey(self, side: int) -> bytes:
        """Return the photograph in grey, as a JPEG with no side longer than `side` pixels."""
        return to_jpeg(Image.fromarray(self._reduced_view(side)), VIEW_JPEG_QUALITY)

    def draw_coloured(self, side: int, settings: ColourSettings) -> bytes:
        """Return the photograph in colour, as a JPEG with no side longer than `side` pixels.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        view = PreparedPhoto(Photo(self._reduced_view(side), "JPEG"))
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
        size = self._reduced_view(side).shape
        return to_jpeg(draw_confidence(confidence**CONFIDENCE_GAMMA, *size), VIEW_JPEG_QUALITY)

    def _reduced_view(self, side: int) -> np.ndarray:
        """Return the view, (h, w) uint8, with no side longer than `side` pixels."""
        image = Image.fromarray(self.view)
        image.thumbnail((side, side))
        return np.asarray(image)


def draw_view(photo: Photo) -> np.ndarray:
    """Return a grey thumbnail (h, w) uint8; transparent parts are composited onto white."""
    view = to_grey(thumbnail_pixels(photo, VIEW_SIDE))
    if photo.alpha is None:
        return view
    image = Image.fromarray(to_8_bits(photo.alpha)).resize(view.shape[::-1])
    alpha = np.asarray(image, dtype=np.uint16)
    return ((view * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
