"""Colour profiles: grey and CMYK values -> sRGB by a file's own; others made; CIE Lab -> sRGB."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# White of profiles, D50, as XYZ; and Bradford's matrix, by which other whites are adapted to it.
D50_WHITE = np.array((0.9642, 1.0, 0.8249))
BRADFORD = np.array(
    ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
)
# x and y of white, red, green and blue.
SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


@dataclass(frozen=True)
class Curve:
    """Value v in [0, 1] -> light in [0, 1]: (a v + b) ** gamma from d on, below it c v."""

    gamma: float
    a: float = 1
    b: float = 0
    c: float = 0
    d: float = 0

    @property
    def is_power(self) -> bool:
        """Whether it is a power of the value, and nothing else."""
        return (self.a, self.b, self.d) == (1, 0, 0)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return values in [0, 1] as light in [0, 1]."""
        return np.where(values < self.d, self.c * values, (self.a * values + self.b) ** self.gamma)


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile_colour_space(profile: bytes) -> str:
    """Return a profile's colour space, "RGB", "GRAY", "CMYK", ...; "" if it is no profile."""
    if len(profile) < 128 or profile[36:40] != b"acsp":
        return ""
    return profile[16:20].decode("latin-1").strip()


def grey_srgb_profile() -> bytes:
    """Return a profile of grey values with sRGB's transfer curve; Pillow can make none."""
    third = (63190, 65536, 54061)  # D50, in 65536ths
    curve = [round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)]
    tags = {
        b"desc": b"desc" + struct.pack(">2I", 0, 5) + b"grey\0" + b"\0" * 79,
        b"cprt": b"text" + b"\0" * 4 + b"none",
        b"wtpt": b"XYZ " + struct.pack(">4i", 0, *third),
        b"kTRC": b"para" + struct.pack(">IHH5i", 0, 3, 0, *curve),
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">2I", start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I4x4s", start + len(body), b"\x02\x40\0\0") + b"mntrGRAYXYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    return (head + struct.pack(">3i", *third)).ljust(128, b"\0") + table + body


def rgb_profile(curve: Curve, primaries: tuple[float, ...], name: str = "RGB") -> bytes:
    """Return an ICC profile, version 4, of red, green and blue that share a curve.

    Args:
        curve: of each channel.
        primaries: x and y of white, red, green and blue.
        name: what programs call it.
    """
    to_xyz, adaptation = _matrices(primaries)
    parameters = (curve.gamma, curve.a, curve.b, curve.c, curve.d)
    shared = b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(parameters)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("none"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(D50_WHITE),
        b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel()),
        b"rTRC": shared,
        b"gTRC": shared,
        b"bTRC": shared,
    }
    columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)
    tags |= {tag: b"XYZ " + bytes(4) + _fixed(column) for tag, column in columns}
    table, body = struct.pack(">I", len(tags)), b""
    start, places = 128 + 4 + 12 * len(tags), dict[bytes, int]()
    for tag, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + b"\0" * (-len(content) % 4)
        table += tag + struct.pack(">2I", places[content], len(content))
    head = struct.pack(">I4x4s", start + len(body), b"\x04\x30\0\0") + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    return (head + _fixed(D50_WHITE)).ljust(128, b"\0") + table + body


def srgb_profile() -> bytes:
    """Return a profile of sRGB, always the same; Pillow's holds the time."""
    return rgb_profile(SRGB_CURVE, SRGB_PRIMARIES, "sRGB")


def _matrices(primaries: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return linear RGB -> XYZ of D50, and the adaptation of white to D50; (3, 3) each."""
    x, y = np.array(primaries[::2]), np.array(primaries[1::2])
    xyz = np.stack((x / y, np.ones(4), (1 - x - y) / y))  # a column each
    white, colours = xyz[:, 0], xyz[:, 1:]
    ratio = (BRADFORD @ D50_WHITE) / (BRADFORD @ white)
    adaptation = np.linalg.inv(BRADFORD) @ np.diag(ratio) @ BRADFORD
    return adaptation @ (colours * np.linalg.solve(colours, white)), adaptation


def _fixed(values: Iterable[float]) -> bytes:
    """Return numbers as ICC stores them, in 65536ths."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">3I4s2I", 0, 1, 12, b"enUS", len(content), 28) + content


def grey_to_srgb(values: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert grey values from their own profile to sRGB's transfer curve.

    Args:
        values: (H, W) uint8 or uint16.
        profile: of the file; a broken one, or one not of grey, changes nothing.

    Returns:
        (H, W), of the same type.
    """
    if profile_colour_space(profile) != "GRAY":
        return values
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    try:
        source, target = (
            ImageCms.ImageCmsProfile(BytesIO(p)) for p in (profile, grey_srgb_profile())
        )
        # Optimized, curves are joined into one of few points: shadows are off by 9 of 255 levels.
        image = ImageCms.profileToProfile(
            Image.fromarray(every),
            source,
            target,
            outputMode="I;16",
            flags=ImageCms.Flags.NOOPTIMIZE,
        )
        table = np.asarray(image).ravel()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return values
    if values.dtype == np.uint8:
        table = (table[::257] / 257).round().astype(np.uint8)
    return table[values]


def cmyk_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image of mode CMYK to sRGB, by its own profile unless that is broken."""
    if profile_colour_space(profile) == "CMYK":
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            return converted or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* of D50, (..., 3), L in [0, 100], as sRGB in [0, 1]."""
    f = (lab[..., 0] + 16) / 116
    f = np.stack((f + lab[..., 1] / 500, f, f - lab[..., 2] / 200), axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50_WHITE
    to_xyz, _ = _matrices(SRGB_PRIMARIES)
    return encode_srgb((xyz @ np.linalg.inv(to_xyz).T).clip(0, 1))


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Return linear light in [0, 1] as sRGB in [0, 1] (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
