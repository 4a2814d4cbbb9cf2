"""tone.py: what a file says of its values is said again, or they are converted."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.scenes import scene

from colourizer.photos.errors import PhotoError
from colourizer.photos.icc import SRGB_CURVE, grey_srgb_profile, rgb_profile, srgb_profile
from colourizer.photos.photo import Photo
from colourizer.photos.read import read_photo, read_rgb
from colourizer.photos.tone import PRIMARIES
from colourizer.photos.write import write_photo

GREY = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
SRGB = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))


def chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chromaticities(primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in primaries)))


def codes(primaries: int, transfer: int, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, 0, full_range)))


def png(path: Path, values: np.ndarray, chunks: bytes) -> Path:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    content = file.getvalue()
    path.write_bytes(content[:33] + chunks + content[33:])
    return path


def rewritten(photo: Photo, target: str | None = None) -> io.BytesIO:
    pixels = photo.pixels
    rgb = np.stack([pixels] * 3, axis=2) if pixels.ndim == 2 else pixels
    file = io.BytesIO()
    write_photo(file, rgb, photo, target=target)
    return file


def srgb_of(light: np.ndarray) -> np.ndarray:
    low = light <= 0.0031308
    return np.where(low, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def shown(file: io.BytesIO, bits: int = 8) -> np.ndarray:
    """Return what a file's RGB values look like in sRGB, by its own profile, in [0, 1]."""
    with Image.open(file) as image:
        if profile := image.info.get("icc_profile"):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return np.asarray(ImageCms.profileToProfile(image.convert("RGB"), own, SRGB)) / 255
        return np.asarray(image.convert("RGB")) / 255


@pytest.mark.parametrize("exponent", [1.0, 0.55555, 1 / 2.8])
@pytest.mark.parametrize("deep", [False, True])
def test_values_of_another_gamma_are_converted(tmp_path, exponent, deep):
    values = GREY.astype(np.uint16) * 257 if deep else GREY
    path = png(tmp_path / "a.png", values, gamma(exponent))
    truth = srgb_of((GREY / 255) ** (1 / exponent))
    photo = read_photo(path)
    top = np.iinfo(photo.pixels.dtype).max
    assert top == (65535 if deep else 255)
    assert np.abs(photo.pixels / top - truth).max() < 1e-4 + 0.51 / top
    assert np.abs(np.asarray(read_rgb(path))[..., 0] / 255 - truth).max() < 1.01 / 255
    with Image.open(rewritten(photo)) as image:
        assert "gamma" not in image.info
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("target", [None, "jpeg", "webp", "avif", "tiff"])
@pytest.mark.parametrize("wide", [False, True])
def test_about_srgbs_gamma_is_said_again_and_the_values_stay(tmp_path, target, wide):
    chunks = gamma(0.45455) + (chromaticities(PRIMARIES[12]) if wide else b"")
    path = png(tmp_path / "a.png", np.asarray(scene(0)), chunks)
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    file = rewritten(photo, target)
    with Image.open(file) as image:
        if target is None:
            assert image.info["gamma"] == 0.45455
            assert ("chromaticity" in image.info) == wide
            return
        assert image.info["icc_profile"]
    plain = rewritten(Photo(photo.pixels, "PNG"), target)
    as_stored, as_shown = shown(plain), shown(file)
    from_gamma = srgb_of(as_stored**2.2)
    if not wide:
        assert np.abs(as_shown - from_gamma).max() < 3 / 255
    elif target == "tiff":
        strong = np.ptp(as_shown, axis=2).mean()
        assert strong > 1.1 * np.ptp(from_gamma, axis=2).mean()


def test_gamma_counts_however_much_text_stands_before_it(tmp_path):
    text = chunk(b"tEXt", b"Comment\0" + b"a" * (2 << 20))
    path = png(tmp_path / "a.png", GREY, text + gamma(1))
    assert np.abs(read_photo(path).pixels - srgb_of(GREY / 255) * 255).max() < 0.51


def test_what_says_srgb_stays_without_a_profile(tmp_path):
    twice = chunk(b"sRGB", b"\0") + gamma(0.45455), codes(1, 13) + codes(9, 16)
    for chunks in (*twice, codes(1, 13), gamma(0), b""):
        photo = read_photo(png(tmp_path / "a.png", GREY, chunks))
        assert np.array_equal(photo.pixels, GREY)
        assert photo.metadata.icc_profile == photo.metadata.tone == b""


def test_a_profile_goes_before_gamma(tmp_path):
    profile = b"x\0\0" + zlib.compress(srgb_profile())
    path = png(tmp_path / "a.png", np.asarray(scene(0)), chunk(b"iCCP", profile) + gamma(1))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    assert photo.metadata.icc_profile == srgb_profile()


def test_codes_of_a_png_are_said_again(tmp_path):
    photo = read_photo(png(tmp_path / "a.png", np.asarray(scene(0)), codes(12, 13)))
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    assert codes(12, 13) in rewritten(photo).getvalue()
    with Image.open(rewritten(photo, "jpeg")) as image:
        assert image.info["icc_profile"] == rgb_profile(SRGB_CURVE, PRIMARIES[12])


@pytest.mark.parametrize(("primaries", "profile"), [(1, b""), (12, "its own")])
def test_codes_go_before_a_profile(tmp_path, primaries, profile):
    other = chunk(b"iCCP", b"x\0\0" + zlib.compress(srgb_profile()))
    path = png(tmp_path / "a.png", np.asarray(scene(0)), codes(primaries, 13) + other)
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    expected = profile and rgb_profile(SRGB_CURVE, PRIMARIES[primaries])
    assert photo.metadata.icc_profile == expected
    with pytest.raises(PhotoError, match=r"high dynamic range \(PQ\)"):
        read_photo(png(path, GREY, codes(9, 16) + other))


def test_a_png_of_narrow_range_is_refused_in_words(tmp_path):
    with pytest.raises(PhotoError, match="narrow range"):
        read_photo(png(tmp_path / "a.png", GREY, codes(1, 13, full_range=0)))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_in_words(tmp_path, transfer, name):
    path = png(tmp_path / "a.png", GREY, codes(9, transfer))
    avif = tmp_path / "a.avif"
    avif.write_bytes(with_codes(scene(0), 9, transfer))
    for read in (read_photo, read_rgb):
        for file in (path, avif):
            with pytest.raises(PhotoError, match=f"high dynamic range \\({name}\\)"):
                read(file)


def with_codes(image: Image.Image, primaries: int, transfer: int) -> bytes:
    """Return an AVIF whose nclx has other numbers."""
    file = io.BytesIO()
    image.save(file, "AVIF", quality=100, subsampling="4:4:4")
    content = file.getvalue()
    place = content.index(b"colrnclx") + 8
    return content[:place] + struct.pack(">2H", primaries, transfer) + content[place + 4 :]


def test_what_an_avif_says_is_said_by_a_profile(tmp_path):
    file = io.BytesIO(with_codes(scene(0), 12, 13))
    photo = read_photo(file)
    assert photo.metadata.icc_profile == rgb_profile(SRGB_CURVE, PRIMARIES[12])
    with Image.open(rewritten(photo)) as image:
        assert image.info["icc_profile"] == photo.metadata.icc_profile
    assert read_photo(io.BytesIO(with_codes(scene(0), 1, 13))).metadata.icc_profile == b""
    assert read_photo(io.BytesIO(with_codes(scene(0), 2, 2))).metadata.icc_profile == b""


def test_an_avif_of_linear_light_is_converted():
    linear = np.asarray(read_rgb(io.BytesIO(with_codes(scene(0), 1, 8)))).astype(float)
    stored = np.asarray(read_rgb(io.BytesIO(with_codes(scene(0), 1, 13)))) / 255
    assert np.abs(linear - srgb_of(stored) * 255).max() < 0.51


@pytest.mark.parametrize("suffix", ["tif", "jpg", "png"])
@pytest.mark.parametrize("deep", [False, True])
def test_grey_that_went_through_its_profile_says_that_it_is_srgb(tmp_path, suffix, deep):
    values = GREY.astype(np.uint16) * 257 if deep else GREY
    if deep and suffix == "jpg":
        return
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path, icc_profile=grey_srgb_profile())
    photo = read_photo(path)
    with Image.open(rewritten(photo)) as image:
        assert image.info["icc_profile"] == srgb_profile()
        assert ImageCms.getProfileDescription(SRGB).strip() == "sRGB"


def test_a_profile_of_grey_that_colours_have_is_not_said_to_be_obeyed():
    file = io.BytesIO()
    scene(0).save(file, "PNG", icc_profile=grey_srgb_profile())
    assert read_photo(file).converted == ()


def test_a_profile_that_is_made_is_srgbs_for_srgb():
    every = np.asarray(scene(0))
    pillows = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(Image.fromarray(every), SRGB, pillows)
    assert np.abs(np.asarray(converted).astype(int) - every).max() <= 1
