"""Grey and CMYK values -> sRGB, as a file's own profile defines them; CIE Lab -> sRGB."""

import struct
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# XYZ of D50, whose white is (0.9642, 1, 0.8249) -> linear sRGB, by Bradford's adaptation to D65.
D50_WHITE = np.array((0.9642, 1.0, 0.8249))
D50_TO_SRGB = np.array(
    (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
)


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
        image = ImageCms.profileToProfile(Image.fromarray(every), source, target, outputMode="I;16")
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
    linear = (xyz @ D50_TO_SRGB.T).clip(0, 1)
    return encode_srgb(linear)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Return linear light in [0, 1] as sRGB in [0, 1] (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
