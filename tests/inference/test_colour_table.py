"""colour_table.py: what is looked up is what would have been computed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from colourizer.colour.space import (
    JFIF,
    fit_to_gamut,
    grey_to_lightness,
    rgb_to_lab,
    rgb_to_ycbcr,
)
from colourizer.inference.fast.colour_table import (
    AB_STEP,
    ColourTable,
    _interpolation_weights,
    colour_table,
)


def lookup(grey: np.ndarray, ab: torch.Tensor, table: ColourTable | None = None) -> torch.Tensor:
    """Look up (h, w) and (2, h, w); returns rgb (3, h, w) in [0, 1]."""
    table = table or ColourTable(grey.dtype)
    rgb = table.look_up_rgb(grey, table.row_index(ab))
    assert (rgb.shape, rgb.dtype) == ((*grey.shape, 3), grey.dtype)
    return torch.from_numpy(rgb.astype(np.float32) / np.iinfo(grey.dtype).max).movedim(-1, 0)


def computed(grey: np.ndarray, ab: torch.Tensor) -> torch.Tensor:
    values = torch.from_numpy(grey.astype(np.float32) / np.iinfo(grey.dtype).max)
    return fit_to_gamut(grey_to_lightness(values)[None], ab)


def every_grey(dtype: type) -> np.ndarray:
    full = np.iinfo(dtype).max
    return np.linspace(0, full, 2048).round().astype(dtype)[None].repeat(40, axis=0)


@pytest.fixture
def ab() -> torch.Tensor:
    """Chromas (2, 40, 2048) of multiples of AB_STEP, one in each row."""
    some = torch.randint(-80, 81, (2, 40, 1), generator=torch.Generator().manual_seed(0))
    return (some * AB_STEP).float().expand(2, 40, 2048)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_greys_have_the_colours_that_would_be_computed(dtype, ab):
    grey = every_grey(dtype)
    found, expected = lookup(grey, ab), computed(grey, ab)
    rounding = 0.5 / np.iinfo(dtype).max
    off = (found - expected).abs()
    # Where sRGB ends, a channel may bend between two steps of grey.
    assert (off <= rounding + 0.001).float().mean() > 0.97
    assert off.mean() < rounding + 0.0002
    assert (rgb_to_lab(found) - rgb_to_lab(expected))[0].abs().max() < (0.8, 0.25)[
        dtype != np.uint8
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_without_chroma_stay_as_they_are(dtype):
    grey = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)[None]
    table = ColourTable(dtype)
    rgb = table.look_up_rgb(grey, table.row_index(torch.zeros(2, *grey.shape)))
    assert np.abs(rgb.astype(int) - grey[..., None]).max() <= (0 if dtype == np.uint8 else 2)
    assert rgb[0, 0].tolist() == [0, 0, 0]
    assert rgb[0, -1].tolist() == [np.iinfo(dtype).max] * 3


def test_16_bits_rise_without_steps(ab):
    grey = np.arange(20_000, 40_000, dtype=np.uint16)[None].repeat(2, axis=0)
    some = torch.tensor([[10.0, -20.0], [15.0, 5.0]])[..., None].expand(2, 2, grey.shape[1])
    table = ColourTable(np.uint16)
    rises = np.diff(table.look_up_rgb(grey, table.row_index(some)).astype(int), axis=1)
    assert rises.min() >= 0
    assert rises.max() <= 3
    assert len(np.unique(table.look_up_rgb(grey, table.row_index(some))[0, :, 1])) > 15_000


def test_chroma_is_rounded_and_what_no_screen_has_stops_somewhere():
    grey = np.full((1, 6), 128, dtype=np.uint8)
    near = torch.tensor([[10.0, 10.2, 9.8, 1e6, -1e6, 0.0], [-5.0, -5.2, -4.8, 0.0, 3.0, 1e6]])
    found = lookup(grey, near[:, None])
    assert torch.equal(found[:, 0, 0], found[:, 0, 1])
    assert torch.equal(found[:, 0, 0], found[:, 0, 2])
    lightness = grey_to_lightness(torch.tensor(128 / 255))[None, None, None]
    expected = fit_to_gamut(lightness, torch.tensor([10.0, -5.0])[:, None, None])
    assert (found[:, 0, 0] - expected[:, 0, 0]).abs().max() <= 0.51 / 255
    red, green, blue = found[:, 0, 3]
    assert red > green
    assert red > blue


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_chromas_that_come_later_change_nothing_for_those_before(dtype, ab):
    grey = every_grey(dtype)
    table = ColourTable(dtype)
    halves = [lookup(grey[rows], ab[:, rows], table) for rows in (slice(20), slice(20, 40))]
    again = lookup(grey, ab, table)
    assert torch.equal(torch.cat(halves, dim=1), again)
    assert torch.equal(again, lookup(grey, ab))


def test_as_ycbcr_there_is_chroma_and_what_to_add_to_grey_for_luma(ab):
    grey = every_grey(np.uint8)
    table = ColourTable(np.uint8, JFIF)
    added, *chroma = table.look_up_ycbcr(grey, table.row_index(ab))
    found = np.stack((grey + added, *chroma)).astype(int)  # modulo 256
    expected = rgb_to_ycbcr(computed(grey, ab)).numpy() * 255
    off = np.abs(found - expected)
    assert (off < 0.6).mean() > 0.98
    assert off.mean() < 0.27  # of rounding alone: 0.25


def test_threads_that_ask_at_once_get_what_one_gets():
    grey = np.tile(np.arange(256, dtype=np.uint8), (50, 1))
    fields = [
        torch.randn(2, 50, 256, generator=torch.Generator().manual_seed(n)) * 30 for n in range(24)
    ]
    shared = ColourTable(np.uint8)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda ab: shared.look_up_rgb(grey, shared.row_index(ab)), fields))
    alone = ColourTable(np.uint8)
    for field, found in zip(fields, together, strict=True):
        assert np.array_equal(found, alone.look_up_rgb(grey, alone.row_index(field)))
    assert shared._used == alone._used


def test_all_photographs_share_a_table():
    assert colour_table(np.uint8) is colour_table(np.uint8)
    kinds = [colour_table(np.uint8), colour_table(np.uint16), colour_table(np.uint8, True)]
    assert len({id(table) for table in kinds}) == 3


def test_what_is_cached_can_be_used_for_gradients():
    with torch.inference_mode():
        lookup(every_grey(np.uint8), torch.zeros(2, 40, 2048))
    assert not _interpolation_weights().is_inference()
