"""Tone and primaries that a file describes without a profile: PNG's gAMA and cICP, AVIF's nclx."""

import struct
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from colourizer.photos.errors import PhotoError
from colourizer.photos.heif_boxes import read_properties
from colourizer.photos.icc import SRGB_CURVE, SRGB_PRIMARIES, Curve, encode_srgb, rgb_profile
from colourizer.photos.png import iterate_chunks
from colourizer.photos.source import open_source

# Curves and primaries by their numbers in ITU-T H.273, which cICP and nclx share.
BT_709 = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES = {
    **dict.fromkeys((1, 6, 14, 15), BT_709),
    4: Curve(2.2),
    5: Curve(2.8),
    8: Curve(1),
    13: SRGB_CURVE,
}
HDR = {16: "PQ", 18: "HLG"}
D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: SRGB_PRIMARIES,
    5: (*D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
SRGB_GAMMA = 2.2  # what a PNG says of sRGB
GAMMA_TOLERANCE = 0.06  # of the ratio of gammas: so much is carried over, and no more
PNG_UNIT = 100_000


@dataclass(frozen=True)
class Tone:
    """What a file's values mean.

    curve: from values to light.
    primaries: x and y of white, red, green and blue, as in PNG's cHRM.
    chunks: of a PNG, those that say so, whole.
    """

    curve: Curve = SRGB_CURVE
    primaries: tuple[float, ...] = SRGB_PRIMARIES
    chunks: bytes = b""

    @property
    def is_far_from_srgb(self) -> bool:
        """Whether values have to be converted, as colours are computed for those of sRGB."""
        ratio = self.curve.gamma / SRGB_GAMMA
        return self.curve.is_power and abs(ratio - 1) > GAMMA_TOLERANCE

    def profile(self) -> bytes:
        """Return a profile that says the same of values, once they are converted; "" for sRGB."""
        curve = SRGB_CURVE if self.is_far_from_srgb else self.curve
        nearly_srgb = np.allclose(self.primaries, SRGB_PRIMARIES, atol=0.002)
        return b"" if curve == SRGB_CURVE and nearly_srgb else rgb_profile(curve, self.primaries)

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Return uint8 or uint16 values with sRGB's curve, as far as they are far from it."""
        if not self.is_far_from_srgb:
            return values
        top = np.iinfo(values.dtype).max
        light = self.curve.decode(np.arange(top + 1) / top)
        return (encode_srgb(light) * top).round().astype(values.dtype)[values]


def read_tone(source: Path | BinaryIO, image: Image.Image) -> Tone | None:
    """Return the tone that a file describes; None for sRGB, or if its profile tells.

    Args:
        source: a file's path, or an open file.
        image: the same, opened; a profile that is not to be obeyed is removed from its `info`.

    Raises:
        PhotoError: it is of high dynamic range, or of a narrow one.
    """
    if image.format not in ("PNG", "AVIF", "HEIF"):
        return None
    if image.format != "PNG" and image.info.get("icc_profile"):
        return None
    with open_source(source) as file:
        if image.format == "PNG":
            return _read_png_tone(file, image)
        colours = (box for kind, box in read_properties(file) if kind == b"colr")
        codes = [box for box in colours if box.startswith(b"nclx") and len(box) >= 8]
    return _tone_of_codes(*struct.unpack_from(">2H", codes[0], 4)) if codes else None


def _tone_of_codes(primaries: int, transfer: int, chunks: bytes = b"") -> Tone | None:
    """Return the tone of two numbers of H.273; None for sRGB, and for what is not specified."""
    if name := HDR.get(transfer):
        raise PhotoError(f"is of high dynamic range ({name}), which is not supported")
    curve, points = CURVES.get(transfer, SRGB_CURVE), PRIMARIES.get(primaries, SRGB_PRIMARIES)
    return None if (curve, points) == (SRGB_CURVE, SRGB_PRIMARIES) else Tone(curve, points, chunks)


def _read_png_tone(file: BinaryIO, image: Image.Image) -> Tone | None:
    """Return what a PNG's chunks say: cICP goes before a profile, that before sRGB, gAMA, cHRM."""
    before_pixels = takewhile(lambda chunk: chunk[0] != b"IDAT", iterate_chunks(file))
    found = dict(reversed(list(before_pixels)))  # of two of a name, decoders take the first
    if len(chunk := found.get(b"cICP", b"")) == 16:
        image.info.pop("icc_profile", None)
        if not chunk[11]:
            raise PhotoError("has values of narrow range (cICP), which is not supported")
        return _tone_of_codes(chunk[8], chunk[9], chunk)
    is_told = image.info.get("icc_profile") or b"sRGB" in found
    if is_told or len(chunk := found.get(b"gAMA", b"")) != 16:
        return None
    gamma = int.from_bytes(chunk[8:12], "big") / PNG_UNIT
    if not 0.1 < gamma < 10:  # nonsense
        return None
    primaries: tuple[float, ...] = SRGB_PRIMARIES
    if len(chromaticities := found.get(b"cHRM", b"")) == 44:
        values = [value / PNG_UNIT for value in struct.unpack(">8I", chromaticities[8:40])]
        if all(0 < value < 1 for value in values):
            primaries, chunk = tuple(values), chunk + chromaticities
    return Tone(Curve(1 / gamma), primaries, chunk)
