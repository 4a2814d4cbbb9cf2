"""Colour spaces and conversions: sRGB, linear light, CIE XYZ, CIE Lab, YCbCr; the sRGB gamut.

Every tensor in this project is channels first, float, (..., C, H, W), and named for its space:

    rgb        3 channels, sRGB (IEC 61966-2-1), gamma-encoded          [0, 1]
    grey       1 channel, the gamma-encoded value of a neutral colour   [0, 1]
    lab        3 channels, CIE 1976 L*a*b* for the D65 white point
    lightness  1 channel, L* of lab                                     [0, 100]
    ab         2 channels, a* and b* of lab; sRGB reaches               [-86, 98] and [-108, 94]
    chroma     the length of ab
    ycbcr      3 channels, luma and two colour differences, as JPEG stores rgb   [0, 1];
               films store it with other weights and ranges: YcbcrCoding
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor

MAX_LIGHTNESS = 100.0

# Linear sRGB -> XYZ, each row divided by the D65 white point (0.95047, 1, 1.08883), so that
# white is (1, 1, 1). Primaries and white: IEC 61966-2-1; the digits are scikit-image's.
_RGB_TO_XYZ = torch.tensor(
    [
        [0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
    ],
    dtype=torch.float64,
)
_XYZ_TO_RGB = torch.linalg.inv(_RGB_TO_XYZ)

# CIE 15:2004, 8.2.1: below _DARK, whose cube root is _DARK_ROOT, a straight line replaces the root.
_DARK, _DARK_ROOT = (6 / 29) ** 3, 6 / 29
_DARK_SLOPE = (29 / 6) ** 2 / 3
# IEC 61966-2-1: below these the curve is a straight line.
_DARK_LINEAR, _DARK_SRGB = 0.0031308, 0.04045
# Size of the table of maximal chroma: a row for each 8-bit grey, a column for each 0.7 degrees of
# hue. Between hues its error is 1 Lab unit, rarely 2.
_LEVELS, _HUES = 256, 513
_SLACK = 1e-4  # of linear light: a smaller excess over the gamut is rounding


def _mix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Multiply the channels by a 3x3 matrix; planes: (..., 3, H, W)."""
    matrix = matrix.to(planes.dtype).to(planes.device)
    with torch.autocast(planes.device.type, enabled=False):  # bf16 is too coarse for colours
        return torch.einsum("ij,...jhw->...ihw", matrix, planes)


# Each of the four curves below starts as a straight line. Line and curve are clamped to their parts
# and summed, in a quarter of the time of where(dark, line, curve).


def srgb_to_linear(value: Tensor) -> Tensor:
    """Return linear light in [0, 1], decoded from sRGB values of any shape in [0, 1]."""
    line = (value.clamp_max(_DARK_SRGB) - _DARK_SRGB) / 12.92
    return ((value.clamp_min(_DARK_SRGB) + 0.055) / 1.055) ** 2.4 + line


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Return sRGB values in [0, 1], encoded from linear light of any shape in [0, 1]."""
    line = (linear.clamp_max(_DARK_LINEAR) - _DARK_LINEAR) * 12.92
    # In half the time of ** (1 / 2.4).
    curve = 1.055 * (linear.clamp_min(_DARK_LINEAR).log2() / 2.4).exp2() - 0.055
    return (curve + line).clamp_min(0)  # rounding may leave a negative 0


def luminance(rgb: Tensor) -> Tensor:
    """Return each channel's contribution to luminance, CIE's Y.

    Args:
        rgb: (..., 3, H, W) in [0, 1].

    Returns:
        (..., 3, H, W); the sum over the channels is Y in [0, 1].
    """
    weights = _RGB_TO_XYZ[1].to(rgb.dtype).to(rgb.device)
    return srgb_to_linear(rgb) * weights[:, None, None]


def _compress(t: Tensor) -> Tensor:
    """Return CIE's f, the cube root with a linear part near 0, of t, any shape in [0, 1]."""
    return t.clamp_min(_DARK) ** (1 / 3) + (t.clamp_max(_DARK) - _DARK) * _DARK_SLOPE


def _expand(f: Tensor) -> Tensor:
    """Return the inverse of `_compress` for any shape."""
    return f.clamp_min(_DARK_ROOT) ** 3 + (f.clamp_max(_DARK_ROOT) - _DARK_ROOT) / _DARK_SLOPE


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to Lab.

    Args:
        rgb: (..., 3, H, W) in [0, 1].

    Returns:
        lab (..., 3, H, W): lightness in [0, 100], ab within about 110 of 0.
    """
    x, y, z = _compress(_mix(_RGB_TO_XYZ, srgb_to_linear(rgb))).unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


@cache
def _pixel_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return linear light of 256 sRGB values, and CIE's f of 65536 steps of [0, 1]; float32."""
    linear = srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255)
    steps = ((torch.arange(65536, dtype=torch.float64) + 0.5) / 65535).clamp_max(1)
    return linear.float().numpy(), _compress(steps).float().numpy()


def pixels_to_lab(planes: np.ndarray) -> np.ndarray:
    """Convert 8-bit sRGB to Lab by tables: small pictures in a tenth of the time of `rgb_to_lab`.

    Args:
        planes: (3, N) uint8.

    Returns:
        lab (3, N) float32, within 0.1 Lab units of that of `rgb_to_lab`.
    """
    linear, f = _pixel_tables()
    xyz = (65535 * _RGB_TO_XYZ).float().numpy() @ linear.take(planes)  # (3, N)
    x, y, z = f.take(xyz.astype(np.int32), mode="clip")
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def _lab_to_linear(lab: Tensor) -> Tensor:
    """Convert Lab to linear sRGB; outside the gamut, values are outside [0, 1]."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    return _mix(
        _XYZ_TO_RGB, torch.stack((_expand(y + a / 500), _expand(y), _expand(y - b / 200)), -3)
    )


@cache
def _max_chroma() -> Tensor:
    """Return the maximal chroma in the sRGB gamut, (_LEVELS, _HUES) in Lab units.

    The rows go from lightness 0 to 100, the columns from hue -pi to pi, in radians.
    """
    lightness = torch.linspace(0, MAX_LIGHTNESS, _LEVELS)[:, None].expand(-1, _HUES)
    hue = torch.linspace(-torch.pi, torch.pi, _HUES)
    direction = torch.stack((hue.cos(), hue.sin()))[:, None]  # (2, 1, _HUES)
    chroma, step = torch.zeros(_LEVELS, _HUES), 128.0  # sRGB's blue has 134
    while step > 0.1:  # bisection
        lab = torch.cat((lightness[None], direction * (chroma + step)))
        linear = _lab_to_linear(lab)
        chroma, step = chroma + step * ~_is_outside(linear), step / 2
    return chroma


def _is_outside(linear: Tensor) -> Tensor:
    """Return where linear values (..., 3, H, W) are outside the sRGB gamut: (..., H, W) bool."""
    return (linear - linear.clamp(0, 1)).abs().amax(dim=-3) > _SLACK


def fit_to_gamut(lightness: Tensor, ab: Tensor) -> Tensor:
    """Convert lightness and ab to sRGB; colours outside the gamut lose chroma, not lightness.

    Args:
        lightness: (..., 1, H, W) in [0, 100].
        ab: (..., 2, H, W) in Lab units.

    Returns:
        rgb (..., 3, H, W) in [0, 1], of the given lightness.
    """
    lab = torch.cat((lightness, ab), dim=-3)
    linear = _lab_to_linear(lab)
    outside = _is_outside(linear).flatten().nonzero()[:, 0]  # (N,)
    if len(outside):
        planes = linear.movedim(-3, 0)
        pixels = lab.movedim(-3, 0).flatten(1).index_select(1, outside)  # (3, N)
        fitted = _lab_to_linear(_clip_chroma(pixels)[..., None])[..., 0]
        fitted = planes.flatten(1).index_copy(1, outside, fitted)
        linear = fitted.view(planes.shape).movedim(0, -3)
    return linear_to_srgb(linear.clamp(0, 1))


def _clip_chroma(lab: Tensor) -> Tensor:
    """Return lab (3, N), chroma clipped to the gamut's at each lightness and hue."""
    lightness, a, b = lab
    level = lightness * ((_LEVELS - 1) / MAX_LIGHTNESS)
    row = level.floor().clamp(0, _LEVELS - 2)
    column = ((torch.atan2(b, a) / (2 * torch.pi) + 0.5) * (_HUES - 1)).round()
    index = (row * _HUES + column).int()
    table = _max_chroma().to(lab).flatten()
    # index_select is the fastest of the ways to index.
    below, above = table.index_select(0, index), table.index_select(0, index + _HUES)
    most = below + (above - below) * (level - row)
    share = (most / torch.hypot(a, b).clamp_min(1e-6)).clamp_max(1)
    return torch.stack((lightness, a * share, b * share))


@dataclass(frozen=True)
class YcbcrCoding:
    """How rgb is coded as luma and two colour differences.

    red, blue: their weights in luma; green has the rest of 1.
    full_range: whether values fill [0, 1]; otherwise luma fills [16, 235] / 255, and colour
        differences [16, 240] / 255, which is the range of video.
    """

    red: float
    blue: float
    full_range: bool = False

    def in_full_range(self) -> "YcbcrCoding":
        """Return the same weights in full range."""
        return replace(self, full_range=True)

    def matrix(self) -> Tensor:
        """Return the matrix (3, 3) from rgb to ycbcr in full range, without offsets; float64."""
        green = 1 - self.red - self.blue
        luma = torch.tensor([self.red, green, self.blue], dtype=torch.float64)
        rgb = torch.eye(3, dtype=torch.float64)
        to_blue = (rgb[2] - luma) / (2 * (1 - self.blue))
        return torch.stack((luma, to_blue, (rgb[0] - luma) / (2 * (1 - self.red))))


# ITU-R BT.601, BT.709 and BT.2020 (non-constant luminance); and JPEG's, JFIF 1.02.
BT601, BT709 = YcbcrCoding(0.299, 0.114), YcbcrCoding(0.2126, 0.0722)
BT2020 = YcbcrCoding(0.2627, 0.0593)
JFIF = BT601.in_full_range()


def rgb_to_ycbcr(rgb: Tensor, coding: YcbcrCoding = JFIF) -> Tensor:
    """Convert sRGB to YCbCr; without a coding, as JPEG stores it.

    Args:
        rgb: (..., 3, H, W) in [0, 1].
        coding: weights and range.

    Returns:
        ycbcr (..., 3, H, W) in [0, 1]; neutral chroma is 128/255.
    """
    ycbcr = _mix(coding.matrix(), rgb)
    if not coding.full_range:
        ycbcr[..., :1, :, :] *= 219 / 255
        ycbcr[..., :1, :, :] += 16 / 255
        ycbcr[..., 1:, :, :] *= 224 / 255
    ycbcr[..., 1:, :, :] += 128 / 255
    return ycbcr


def rgb_to_pixels(rgb: Tensor, dtype: DTypeLike = np.uint8) -> np.ndarray:
    """Convert rgb (3, H, W) in [0, 1] to pixels (H, W, 3), uint8 or uint16."""
    values = (rgb * np.iinfo(dtype).max).round().cpu().numpy()
    pixels = np.empty((*values.shape[1:], 3), dtype)
    for n, plane in enumerate(values):  # in half the time of one transposed copy
        pixels[..., n] = plane
    return pixels


def grey_to_lightness(grey: Tensor) -> Tensor:
    """Convert the sRGB value of a neutral colour, any shape in [0, 1], to lightness in [0, 100]."""
    return 116 * _compress(srgb_to_linear(grey)) - 16


def lightness_to_grey(lightness: Tensor) -> Tensor:
    """Convert lightness, any shape in [0, 100], to the sRGB value of the neutral colour, [0, 1]."""
    return linear_to_srgb(_expand((lightness + 16) / 116).clamp(0, 1))


@cache
@torch.inference_mode(False)  # a cached inference tensor could not be used with gradients
def _nearest_greys() -> Tensor:
    """Return for 65536 steps of lightness 0 to 100 that of the nearest 8-bit grey, (65536,)."""
    lightness = torch.linspace(0, MAX_LIGHTNESS, 65536, dtype=torch.float64)
    levels = (lightness_to_grey(lightness) * 255).round()
    return grey_to_lightness(levels / 255).float()


def round_to_greys(lightness: Tensor) -> Tensor:
    """Round lightness, any shape in [0, 100], to that of the nearest 8-bit grey.

    Within 0.001 of the middle between two it may be the other one.
    """
    steps = (lightness * (65535 / MAX_LIGHTNESS)).round().int()
    # A table takes a fifth of the time of computing.
    nearest = _nearest_greys().to(lightness)
    return nearest.index_select(0, steps.flatten()).view(lightness.shape)
