"""recombine.py: the photograph's own lightness, the network's chroma, by either road."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import scene
from PIL import Image

import recombine
from colour_space import rgb_to_lab
from recombine import enlarge, photo_lightness, rgb_strips, ycbcr_strips


def lab_of(rgb: np.ndarray) -> torch.Tensor:
    full = np.iinfo(rgb.dtype).max
    return rgb_to_lab(torch.from_numpy(rgb.astype(np.float64) / full).movedim(-1, 0))


def some_ab(height: int = 8, width: int = 12, chroma: float = 25) -> torch.Tensor:
    return torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(3)) * chroma


def as_rgb(ycbcr: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(ycbcr, mode="YCbCr").convert("RGB"))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (301, 2), (64, 96)])
def test_enlarging_strip_by_strip_is_torchs_bicubic(height, width):
    planes = some_ab()
    whole = F.interpolate(planes, (height, width), mode="bicubic", align_corners=False)[0]
    strips = list(enlarge(planes, height, width, rows=5))
    assert [strip.shape[1] for strip in strips[:-1]] == [5] * (len(strips) - 1)
    assert torch.allclose(torch.cat(strips, dim=1), whole, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (401, 2), (90, 121)])
def test_every_pixel_keeps_its_lightness_in_8_and_16_bits(height, width, dtype):
    full = np.iinfo(dtype).max
    grey = np.random.default_rng(0).integers(0, full, (height, width), dtype, endpoint=True)
    rgb = np.concatenate(list(rgb_strips(grey, some_ab())))
    assert (rgb.shape, rgb.dtype) == ((height, width, 3), dtype)
    difference = (lab_of(rgb)[:1] - photo_lightness(grey)).abs()
    assert difference.mean() < (0.35 if dtype == np.uint8 else 0.02)  # Lab units


def test_strips_leave_no_seams(monkeypatch):
    grey = np.asarray(scene(1, 200, 150).convert("L"))
    whole = [np.concatenate(list(road(grey, some_ab()))) for road in (rgb_strips, ycbcr_strips)]
    monkeypatch.setattr(recombine, "STRIP_PIXELS", 700)
    for road, expected in zip((rgb_strips, ycbcr_strips), whole, strict=True):
        strips = list(road(grey, some_ab()))
        assert len(strips) > 10
        assert np.abs(np.concatenate(strips).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (97, 64), (150, 201)])
def test_the_road_to_jpeg_gives_the_same_picture_as_that_through_rgb(size):
    grey = np.asarray(scene(2, *size).convert("L").resize(size))
    ab = some_ab(2, 3, chroma=20)
    through_rgb = np.concatenate(list(rgb_strips(grey, ab)))
    ycbcr = np.concatenate(list(ycbcr_strips(grey, ab)))
    assert ycbcr.shape == through_rgb.shape
    direct, expected = lab_of(as_rgb(ycbcr)), lab_of(through_rgb)
    assert (direct - expected).abs().mean() < 1.0  # Lab units


def test_a_jpeg_keeps_the_photographs_lightness():
    grey = np.asarray(scene(5, 320, 240).convert("L").resize((320, 240)))
    image = Image.fromarray(np.concatenate(list(ycbcr_strips(grey, some_ab()))), mode="YCbCr")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling="4:2:0")
    lightness = lab_of(np.asarray(Image.open(file).convert("RGB")))[:1]
    assert (lightness - photo_lightness(grey)).abs().mean() < 100 * 2 / 255


def test_black_and_white_stay_black_and_white():
    grey = np.zeros((32, 64), np.uint8)
    grey[:, 32:] = 255
    for rgb in (
        np.concatenate(list(rgb_strips(grey, some_ab()))),
        as_rgb(np.concatenate(list(ycbcr_strips(grey, some_ab())))),
    ):
        assert np.abs(rgb.astype(int) - grey[..., None]).max() <= 4
