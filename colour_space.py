"""What the numbers mean: sRGB, linear light, CIE XYZ and CIE Lab.

Every tensor in this project is channels first, float, (..., C, H, W), and named for its space:

    rgb        3 channels, sRGB (IEC 61966-2-1), gamma-encoded          [0, 1]
    grey       1 channel, the gamma-encoded value of a neutral colour   [0, 1]
    lab        3 channels, CIE 1976 L*a*b* for the D65 white point
    lightness  1 channel, L* of lab                                     [0, 100]
    ab         2 channels, a* and b* of lab; sRGB reaches               [-86, 98] and [-108, 94]
    chroma     the length of ab
    ycbcr      3 channels, luma and two differences of colour, as JPEG stores rgb   [0, 1]
"""

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
_RGB_TO_YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    dtype=torch.float64,
)

# CIE 15:2004, 8.2.1: below DARK the cube root is replaced by a straight line.
_DARK = (6 / 29) ** 3
_DARK_SLOPE = (29 / 6) ** 2 / 3
_DARK_OFFSET = 4 / 29


def _mix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Multiply the channels by a 3x3 matrix; planes: (..., 3, H, W)."""
    matrix = matrix.to(planes.dtype).to(planes.device)
    with torch.autocast(planes.device.type, enabled=False):  # bf16 is too coarse for colours
        return torch.einsum("ij,...jhw->...ihw", matrix, planes)


def srgb_to_linear(value: Tensor) -> Tensor:
    """Decode sRGB's gamma. value: any shape, [0, 1]. Returns the same shape, linear, [0, 1]."""
    curve = ((value.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(value <= 0.04045, value / 12.92, curve)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode with sRGB's gamma. linear: any shape, [0, 1]. Returns the same shape, [0, 1]."""
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def luminance(rgb: Tensor) -> Tensor:
    """Say what each channel adds to a colour's luminance, CIE's Y.

    Args:
        rgb: (..., 3, H, W) in [0, 1].

    Returns:
        (..., 3, H, W); over the channels they sum to Y, [0, 1].
    """
    weights = _RGB_TO_XYZ[1].to(rgb.dtype).to(rgb.device)
    return srgb_to_linear(rgb) * weights[:, None, None]


def _compress(t: Tensor) -> Tensor:
    """CIE's f: the cube root with a straight foot. t: any shape, [0, 1]."""
    return torch.where(t > _DARK, t.clamp_min(_DARK) ** (1 / 3), t * _DARK_SLOPE + _DARK_OFFSET)


def _expand(f: Tensor) -> Tensor:
    """The inverse of _compress. f: any shape."""
    return torch.where(f > 6 / 29, f**3, (f - _DARK_OFFSET) / _DARK_SLOPE)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to Lab.

    Args:
        rgb: (..., 3, H, W) in [0, 1].

    Returns:
        lab (..., 3, H, W): lightness in [0, 100], ab within about 110 of 0.
    """
    x, y, z = _compress(_mix(_RGB_TO_XYZ, srgb_to_linear(rgb))).unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def _lab_to_linear(lab: Tensor) -> Tensor:
    """Convert Lab to linear sRGB; values outside [0, 1] are colours that sRGB has not."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    return _mix(
        _XYZ_TO_RGB, torch.stack((_expand(y + a / 500), _expand(y), _expand(y - b / 200)), -3)
    )


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert Lab to sRGB, clipping each channel; `fit_to_gamut` keeps the lightness instead.

    Args:
        lab: (..., 3, H, W), lightness in [0, 100], ab in Lab units.

    Returns:
        rgb (..., 3, H, W) in [0, 1].
    """
    return linear_to_srgb(_lab_to_linear(lab).clamp(0, 1))


def fit_to_gamut(lightness: Tensor, ab: Tensor) -> Tensor:
    """Convert lightness and ab to sRGB; a colour that sRGB has not loses chroma, not lightness.

    Args:
        lightness: (..., 1, H, W) in [0, 100].
        ab: (..., 2, H, W) in Lab units.

    Returns:
        rgb (..., 3, H, W) in [0, 1]; its Lab lightness is the one given.
    """
    linear = _lab_to_linear(torch.cat((lightness, ab), dim=-3))
    outside = ((linear < -1e-4) | (linear > 1 + 1e-4)).any(dim=-3)  # (..., H, W)
    if outside.any():
        # Bisect the share of chroma that still fits, for the pixels outside only.
        pixels = torch.cat((lightness, ab), dim=-3).movedim(-3, 0)[:, outside]  # (3, N)
        low, high = torch.zeros_like(pixels[:1]), torch.ones_like(pixels[:1])
        for _ in range(8):  # 2^-8 of the chroma is less than half a Lab unit
            share = (low + high) / 2
            candidate = _lab_to_linear(torch.cat((pixels[:1], pixels[1:] * share))[..., None])
            fits = ((candidate >= -1e-4) & (candidate <= 1 + 1e-4)).all(dim=0)[None, :, 0]
            low, high = torch.where(fits, share, low), torch.where(fits, high, share)
        fitted = _lab_to_linear(torch.cat((pixels[:1], pixels[1:] * low))[..., None])[..., 0]
        linear = linear.movedim(-3, 0)
        linear[:, outside] = fitted
        linear = linear.movedim(0, -3)
    return linear_to_srgb(linear.clamp(0, 1))


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """Convert sRGB to what JPEG stores: ITU-R BT.601 over the full range, as JFIF 1.02 says.

    Args:
        rgb: (..., 3, H, W) in [0, 1].

    Returns:
        ycbcr (..., 3, H, W) in [0, 1], chroma about 128/255.
    """
    ycbcr = _mix(_RGB_TO_YCBCR, rgb)
    ycbcr[..., 1:, :, :] += 128 / 255
    return ycbcr


def rgb_to_pixels(rgb: Tensor, dtype: DTypeLike = np.uint8) -> np.ndarray:
    """Turn rgb (3, H, W) in [0, 1] into pixels (H, W, 3) of 8 or 16 bits, uint8 or uint16."""
    values = (rgb * np.iinfo(dtype).max).round()
    return values.movedim(0, -1).cpu().numpy().astype(dtype, order="C")


def grey_to_lightness(grey: Tensor) -> Tensor:
    """Convert the sRGB value of a neutral colour, any shape in [0, 1], to lightness in [0, 100]."""
    return 116 * _compress(srgb_to_linear(grey)) - 16


def lightness_to_grey(lightness: Tensor) -> Tensor:
    """Convert lightness, any shape in [0, 100], to the sRGB value of the neutral colour, [0, 1]."""
    return linear_to_srgb(_expand((lightness + 16) / 116).clamp(0, 1))


def to_8_bits(lightness: Tensor) -> Tensor:
    """Round lightness, any shape in [0, 100], to that of the nearest of the 256 grey levels."""
    return grey_to_lightness((lightness_to_grey(lightness) * 255).round() / 255)
