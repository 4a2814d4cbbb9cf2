"""recombine.py: the photograph's own lightness, the network's chroma, by either road."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from support.scenes import scene

from colourizer.colour.space import lightness_to_grey, rgb_to_lab
from colourizer.inference import recombine
from colourizer.inference.fast import cells
from colourizer.inference.fast.cells import CELLS, add_to_cells, cell_ranges
from colourizer.inference.lightness import photo_lightness, to_grey
from colourizer.inference.recombine import (
    recombine_rgb,
    recombine_ycbcr,
    rgb_strips,
    ycbcr_planes,
)
from colourizer.inference.upsample import upsample_strips


def lab_of(rgb: np.ndarray) -> torch.Tensor:
    full = np.iinfo(rgb.dtype).max
    return rgb_to_lab(torch.from_numpy(rgb.astype(np.float64) / full).movedim(-1, 0))


def some_ab(height: int = 8, width: int = 12, chroma: float = 25) -> torch.Tensor:
    return torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(3)) * chroma


def as_rgb(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Turn what JPEG stores into RGB; every chroma value is that of 2x2 pixels."""
    wide = chroma.repeat(2, axis=1).repeat(2, axis=2)[:, : luma.shape[0], : luma.shape[1]]
    return np.asarray(Image.fromarray(np.dstack([luma, *wide]), mode="YCbCr").convert("RGB"))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (301, 2), (64, 96)])
def test_enlarging_strip_by_strip_is_torchs_bicubic(height, width):
    planes = some_ab()
    whole = F.interpolate(planes, (height, width), mode="bicubic", align_corners=False)[0]
    strips = list(upsample_strips(planes, height, width, rows=5))
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (401, 2), (90, 121)])
def test_a_large_photograph_gets_nearly_the_same_colours_as_a_small_one(
    monkeypatch, height, width, dtype
):
    ab = some_ab(2, 3, chroma=20)  # changes slowly, as that of a large photograph
    full = np.iinfo(dtype).max
    grey = np.random.default_rng(0).integers(0, full, (height, width), dtype, endpoint=True)
    computed = np.concatenate(list(rgb_strips(grey, ab)))
    monkeypatch.setattr(recombine, "TABLE_PIXELS", 1)
    monkeypatch.setattr(recombine, "STRIP_PIXELS", 700)
    monkeypatch.setattr(recombine, "fit_to_gamut", None)  # is not called here
    looked_up = np.concatenate(list(rgb_strips(grey, ab)))
    assert (looked_up.shape, looked_up.dtype) == (computed.shape, dtype)
    lightness, chroma = (lab_of(looked_up) - lab_of(computed)).abs().split((1, 2))
    assert lightness.mean() < (0.35 if dtype == np.uint8 else 0.02)  # Lab units
    if min(height, width) > 50:  # of smaller ones 2x2 pixels are too many for a chroma
        assert chroma.mean() < 0.7


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("cell", CELLS)
def test_with_larger_cells_too_every_pixel_keeps_its_lightness(monkeypatch, cell, dtype):
    ab = some_ab(2, 3, chroma=20)
    grey = np.asarray(scene(2, 34 * cell + 3, 41 * cell + 1).convert("L")).astype(dtype)
    grey *= np.iinfo(dtype).max // 255
    computed = np.concatenate(list(rgb_strips(grey, ab)))
    monkeypatch.setattr(recombine, "TABLE_PIXELS", 1)
    monkeypatch.setattr(recombine, "STRIP_PIXELS", 3 * cell * grey.shape[1])
    monkeypatch.setattr(cells, "MIN_CELLS", grey.size / cell**2)
    looked_up = np.concatenate(list(rgb_strips(grey, ab)))
    assert (looked_up.shape, looked_up.dtype) == (computed.shape, dtype)
    lightness, chroma = (lab_of(looked_up) - lab_of(computed)).abs().split((1, 2))
    assert lightness.mean() < (0.35 if dtype == np.uint8 else 0.02)  # Lab units
    assert chroma.mean() < 0.7
    assert cells.cell_size(*grey.shape) == cell


def test_a_large_photograph_in_colour_keeps_its_lightness(monkeypatch):
    toned = np.asarray(scene(3, 150, 100))
    expected = lab_of(np.concatenate(list(rgb_strips(toned, some_ab()))))
    deep = toned.astype(np.uint16) * 257
    deep_expected = np.concatenate(list(rgb_strips(deep, some_ab())))
    monkeypatch.setattr(recombine, "TABLE_PIXELS", 1)
    difference = lab_of(np.concatenate(list(rgb_strips(toned, some_ab())))) - expected
    assert difference[:1].abs().mean() < 0.35
    assert np.array_equal(np.concatenate(list(rgb_strips(deep, some_ab()))), deep_expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4001, 3), (600, 900)])
def test_colours_become_the_greys_of_their_lightness(size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    expected = lightness_to_grey(lab_of(rgb)[:1])[0].numpy() * 255
    assert np.abs(to_grey(rgb) - expected).max() < 0.56
    assert np.abs(to_grey(rgb[::-1, ::-1]) - expected[::-1, ::-1]).max() < 0.56
    neutral = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(to_grey(np.stack([neutral] * 3, axis=-1)), neutral)
    assert to_grey(neutral) is neutral


def test_strips_leave_no_seams(monkeypatch):
    grey = np.asarray(scene(1, 200, 150).convert("L"))
    whole, planes = np.concatenate(list(rgb_strips(grey, some_ab()))), ycbcr_planes(grey, some_ab())
    monkeypatch.setattr(recombine, "STRIP_PIXELS", 700)
    strips = list(rgb_strips(grey, some_ab()))
    assert len(strips) > 10
    assert np.abs(np.concatenate(strips).astype(int) - whole).max() <= 1
    for one, other in zip(ycbcr_planes(grey, some_ab()), planes, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (97, 64), (150, 201)])
def test_the_road_to_jpeg_gives_the_same_picture_as_that_through_rgb(size):
    grey = np.asarray(scene(2, *size).convert("L").resize(size))
    ab = some_ab(2, 3, chroma=20)
    through_rgb = np.concatenate(list(rgb_strips(grey, ab)))
    luma, chroma = ycbcr_planes(grey, ab)
    assert luma.shape == grey.shape
    assert chroma.shape == (2, (size[1] + 1) // 2, (size[0] + 1) // 2)
    direct, expected = lab_of(as_rgb(luma, chroma)), lab_of(through_rgb)
    assert (direct - expected).abs().mean() < 1.0  # Lab units


@pytest.mark.parametrize("cell", CELLS)
def test_larger_cells_make_nearly_the_same_picture(monkeypatch, cell):
    grey = np.asarray(scene(2, max(300, 34 * cell), max(401, 41 * cell)).convert("L"))
    ab = some_ab(2, 3, chroma=20)
    expected = lab_of(np.concatenate(list(rgb_strips(grey, ab))))
    monkeypatch.setattr(cells, "MIN_CELLS", grey.size / cell**2)
    assert (lab_of(as_rgb(*ycbcr_planes(grey, ab))) - expected).abs().mean() < 1.2


@pytest.mark.parametrize("cell", [2, 8])
def test_what_is_added_to_a_cells_pixels_stops_at_black_and_white(cell):
    chance = np.random.default_rng(0)
    grey = chance.integers(0, 256, (21, 35), dtype=np.uint8)
    added = chance.integers(-127, 128, (-(-21 // cell), -(-35 // cell)), dtype=np.int8)
    every = added.astype(int).repeat(cell, axis=0).repeat(cell, axis=1)[:21, :35]
    expected = (grey + every).clip(0, 255)
    assert np.array_equal(add_to_cells(grey, added, cell), expected)
    grey.flags.writeable = False
    assert np.array_equal(add_to_cells(grey, added, cell), expected)
    backwards = np.asfortranarray(grey[::-1])[::-1]
    assert np.array_equal(add_to_cells(backwards, added, cell), expected)


@pytest.mark.parametrize("chroma", [3, 40])
def test_luma_is_what_keeps_the_lightness_or_on_request_grey_itself(chroma):
    grey = np.asarray(scene(5, 320, 240).convert("L").resize((320, 240)))
    ab = some_ab(2, 3, chroma)
    luma, planes = ycbcr_planes(grey, ab)
    lightness = lab_of(as_rgb(luma, planes))[:1]
    assert (lightness - photo_lightness(grey)).abs().mean() < 100 / 255
    kept, same_planes = ycbcr_planes(grey, ab, keep_luma=True)
    assert np.array_equal(kept, grey)
    assert np.array_equal(same_planes, planes)


def test_a_thin_picture_gets_its_colours_where_they_belong():
    grey = np.full((9, 215_000), 128, dtype=np.uint8)
    ab = torch.zeros(1, 2, 9, 32)
    ab[:, :, 4:] = 30  # a step in the middle, across
    through_rgb = lab_of(np.concatenate(list(rgb_strips(grey, ab)))[:, :99])[1:]
    through_ycbcr = lab_of(as_rgb(*ycbcr_planes(grey, ab))[:, :99])[1:]
    assert (through_ycbcr - through_rgb).abs().mean() < 1.5


def test_black_and_white_stay_black_and_white():
    grey = np.zeros((32, 64), np.uint8)
    grey[:, 32:] = 255
    for rgb in (
        np.concatenate(list(rgb_strips(grey, some_ab()))),
        as_rgb(*ycbcr_planes(grey, some_ab())),
    ):
        assert np.abs(rgb.astype(int) - grey[..., None]).max() <= 4


def flat(height: int, width: int) -> np.ndarray:
    """Greys that change slowly, as those of an enlarged photograph."""
    return np.asarray(scene(7, 8, 6).convert("L").resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_looked_up_rgb_equals_its_plain_definition(monkeypatch, dtype):
    grey = flat(600, 420).astype(dtype) * (np.iinfo(dtype).max // 255)
    ab, plain = some_ab(2, 3, chroma=20), recombine_rgb(grey, some_ab(2, 3, chroma=20))
    assert np.array_equal(np.concatenate(list(rgb_strips(grey, ab))), plain)  # not looked up yet
    monkeypatch.setattr(recombine, "TABLE_PIXELS", 1)
    difference = (lab_of(np.concatenate(list(rgb_strips(grey, ab)))) - lab_of(plain)).abs()
    assert difference.mean() < 0.4  # Lab units
    assert difference[:1].mean() < 0.2


@pytest.mark.parametrize("size", [(600, 420), (333, 221), (1, 1)])
def test_looked_up_ycbcr_equals_its_plain_definition(size):
    grey, ab = flat(*size), some_ab(2, 3, chroma=20)
    for fast, plain in zip(ycbcr_planes(grey, ab), recombine_ycbcr(grey, ab), strict=True):
        assert fast.shape == plain.shape
        assert np.abs(fast.astype(int) - plain).mean() < 1  # grey levels


FINE = {
    "dither": lambda x, y: (x * 7 + y * 13) % 5 < 2,
    "columns": lambda x, _: x % 2 == 0,
    "checks": lambda x, y: (x + y) % 2 == 0,
    "dots": lambda x, y: np.cos(x * 1.1) * np.cos(y * 1.1) > 0.2,
    "lines": lambda _, y: y % 3 == 0,
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pattern", FINE)
@pytest.mark.parametrize(("dark", "bright"), [(0, 255), (20, 120), (60, 150)])
def test_fine_black_and_white_keeps_its_lightness_as_in_any_jpeg(
    monkeypatch, cell, pattern, dark, bright
):
    monkeypatch.setattr(cells, "CELLS", (cell,))
    y, x = np.mgrid[:83, :101]
    grey = np.where(FINE[pattern](x, y), bright, dark).astype(np.uint8)
    ab = torch.tensor([60.0, 40.0]).view(1, 2, 1, 1) * torch.linspace(0.3, 1, 6)  # strong reds

    def lightness_error(planes: tuple[np.ndarray, np.ndarray]) -> float:
        difference = lab_of(as_rgb(*planes))[:1] - photo_lightness(grey)
        return float(difference.abs().mean())

    ordinary = lightness_error(recombine_ycbcr(grey, ab))
    assert lightness_error(ycbcr_planes(grey, ab)) < ordinary + 0.6  # Lab units


@pytest.mark.parametrize("cell", [2, 3, 8])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 24), (17, 25), (5, 3)])
def test_the_range_of_a_cell_is_that_of_its_pixels(cell, height, width):
    grey = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    found = cell_ranges(grey, cell)
    for y, x in np.ndindex(found.shape):
        pixels = grey[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell]
        assert found[y, x] == np.ptp(pixels)
    assert found.shape == (-(-height // cell), -(-width // cell))
