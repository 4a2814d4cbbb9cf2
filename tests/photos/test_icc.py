"""icc.py: values mean what the file's own profile says."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from colourizer.photos.icc import (
    cmyk_to_srgb,
    grey_srgb_profile,
    grey_to_srgb,
    profile_colour_space,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def grey_gamma(gamma: float) -> bytes:
    """Write a profile of grey with a gamma: that of sRGB with another curve."""
    profile = bytearray(grey_srgb_profile())
    place, size = struct.unpack(">2I", profile[profile.index(b"kTRC") + 4 :][:8])
    profile[place : place + size] = (
        b"curv" + struct.pack(">2IH", 0, 1, round(gamma * 256)) + b"\0" * (size - 14)
    )
    return bytes(profile)


def cmyk_that_is_white() -> bytes:
    """Write a profile of CMYK whose table gives the same white for every mixture of inks."""
    lab_white = struct.pack(">3H", 0xFF00, 0x8000, 0x8000)
    curves = struct.pack(">2H", 0, 65535)
    table = b"mft2" + struct.pack(">I4B", 0, 4, 3, 2, 0)
    table += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">2H", 2, 2)
    table += curves * 4 + lab_white * 2**4 + curves * 3
    start = 128 + 4 + 12
    head = struct.pack(">I4x4s", start + len(table), b"\x02\x40\0\0") + b"prtrCMYKLab "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head = (head + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I4s2I", 1, b"A2B0", start, len(table)) + table


def test_grey_goes_through_its_profile_as_little_cms_says():
    profile = grey_gamma(1.8)
    every = np.arange(256, dtype=np.uint8)[None]
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = ImageCms.profileToProfile(Image.fromarray(every), source, SRGB, outputMode="RGB")
    assert np.abs(grey_to_srgb(every, profile) - np.asarray(image)[..., 1].astype(int)).max() <= 1
    every = np.arange(65536, dtype=np.uint16)[None]
    linear = (every / 65535) ** (round(1.8 * 256) / 256)
    low = linear <= 0.0031308
    truth = np.where(low, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 65535
    error = np.abs(grey_to_srgb(every, profile) - truth)
    assert error.max() < 2


def test_grey_on_srgbs_curve_stays_as_it_is():
    every = np.arange(65536, dtype=np.uint16)[None]
    assert np.abs(grey_to_srgb(every, grey_srgb_profile()).astype(int) - every).max() <= 1


@pytest.mark.parametrize("broken", [b"", b"no profile", grey_srgb_profile()[:200], b"\xff" * 300])
def test_a_broken_profile_changes_nothing(broken):
    every = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(grey_to_srgb(every, broken), every)
    cmyk = Image.new("CMYK", (2, 2), (10, 20, 30, 40))
    assert cmyk_to_srgb(cmyk, broken).tobytes() == cmyk.convert("RGB").tobytes()


def test_cmyk_goes_through_its_profile():
    # Of a real one we have none that may be shared: this one says that all inks are white.
    white = cmyk_that_is_white()
    assert profile_colour_space(white) == "CMYK"
    image = cmyk_to_srgb(Image.new("CMYK", (2, 2), (10, 20, 30, 40)), white)
    assert image.mode == "RGB"
    assert np.asarray(image).min() > 250


def test_profiles_are_told_apart():
    assert profile_colour_space(SRGB.tobytes()) == "RGB"
    assert profile_colour_space(grey_srgb_profile()) == "GRAY"
    assert profile_colour_space(b"RGB " * 40) == ""
