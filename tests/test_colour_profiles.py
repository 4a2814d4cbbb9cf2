"""colour_profiles.py: values mean what the file's own profile says."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from colour_profiles import _grey_srgb, grey_to_srgb, profile_kind, to_srgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def grey_gamma(gamma: float) -> bytes:
    """Write a profile of grey with a gamma: that of sRGB with another curve."""
    profile = bytearray(_grey_srgb())
    place, size = struct.unpack(">2I", profile[profile.index(b"kTRC") + 4 :][:8])
    profile[place : place + size] = (
        b"curv" + struct.pack(">2IH", 0, 1, round(gamma * 256)) + b"\0" * (size - 14)
    )
    return bytes(profile)


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
    assert error.max() < 514  # near black, where the curve is steepest for Little CMS's own table
    assert error[:, 4096:].max() < 64


def test_grey_on_srgbs_curve_stays_as_it_is():
    every = np.arange(65536, dtype=np.uint16)[None]
    assert np.abs(grey_to_srgb(every, _grey_srgb()).astype(int) - every).max() <= 1


@pytest.mark.parametrize("broken", [b"", b"no profile", _grey_srgb()[:200], b"\xff" * 300])
def test_a_broken_profile_changes_nothing(broken):
    every = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(grey_to_srgb(every, broken), every)
    cmyk = Image.new("CMYK", (2, 2), (10, 20, 30, 40))
    assert to_srgb(cmyk, broken).tobytes() == cmyk.convert("RGB").tobytes()


def test_lab_becomes_the_colour_it_says():
    lab = ImageCms.createProfile("LAB")
    red = Image.new("RGB", (3, 2), (200, 40, 60))
    image = ImageCms.profileToProfile(red, SRGB, lab, outputMode="LAB")
    assert np.abs(np.asarray(to_srgb(image, b"")).astype(int) - [200, 40, 60]).max() <= 3


def test_profiles_are_told_apart():
    assert profile_kind(SRGB.tobytes()) == "RGB"
    assert profile_kind(_grey_srgb()) == "GRAY"
    assert profile_kind(b"RGB " * 40) == ""
