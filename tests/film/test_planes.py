"""Planes of frames: luma as decoded, chroma as the plain definition gives it."""

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", reason="PyAV is not installed")

from colourizer.colour.space import (  # noqa: E402
    BT601,
    BT709,
    BT2020,
    JFIF,
    fit_to_gamut,
    grey_to_lightness,
    rgb_to_lab,
    rgb_to_ycbcr,
)
from colourizer.film.planes import cell_greys, chroma_planes, look_up_chroma  # noqa: E402
from colourizer.inference.upsample import upsample  # noqa: E402


def plain_chroma(greys, ab, coding):
    """Return the definition: the chroma of sRGB with each cell's lightness, in levels."""
    lightness = grey_to_lightness(torch.from_numpy(greys).float() / 255)[None]
    rgb = fit_to_gamut(lightness, upsample(ab, *greys.shape))
    return rgb_to_ycbcr(rgb, coding)[1:].numpy() * 255


@pytest.mark.parametrize("coding", [BT601, BT709, BT2020, JFIF])
def test_looked_up_chroma_is_that_of_the_definition(coding):
    torch.manual_seed(0)
    greys = torch.randint(0, 256, (30, 41), dtype=torch.uint8).numpy()
    ab = torch.randn(1, 2, 6, 8) * 15
    wanted = plain_chroma(greys, ab, coding)
    off = np.abs(look_up_chroma(greys, ab, coding) - wanted)  # rounded, and ab to half units
    assert off.mean() < 0.4
    assert (off < 1.5).mean() > 0.98
    deep = chroma_planes(greys, ab, coding, 10)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 4 - wanted).max() < 0.13


def test_frames_without_colour_get_neutral_chroma():
    greys = np.zeros((3, 4), np.uint8)
    for bits, neutral in ((8, 128), (10, 512)):
        assert (chroma_planes(greys, torch.zeros(1, 2, 1, 1), BT709, bits) == neutral).all()


@pytest.mark.parametrize("coding", [BT601, BT709, JFIF])
def test_a_colour_comes_back_out_of_its_luma_and_chroma(coding):
    lab = torch.tensor([60.0, 20.0, -30.0]).view(3, 1, 1)
    rgb = fit_to_gamut(lab[:1], lab[1:])
    ycbcr = rgb_to_ycbcr(rgb, coding)
    if not coding.full_range:
        luma, chroma = (ycbcr[:1] * 255 - 16) / 219, (ycbcr[1:] * 255 - 128) / 224
    else:
        luma, chroma = ycbcr[:1], ycbcr[1:] - 128 / 255
    back = torch.linalg.inv(coding.matrix()).float() @ torch.cat((luma, chroma)).view(3, 1)
    torch.testing.assert_close(rgb_to_lab(back.view(3, 1, 1)), lab, atol=0.1, rtol=0)


def test_cells_of_an_interlaced_frame_lie_within_its_fields():
    luma = np.zeros((8, 6), np.uint8)
    luma[0::2] = 235
    luma[1::2] = 16
    progressive = cell_greys(luma, (2, 2), BT601, interlaced=False)
    interlaced = cell_greys(luma, (2, 2), BT601, interlaced=True)
    assert np.ptp(progressive) == 0
    assert (interlaced[0::2] == 255).all()
    assert (interlaced[1::2] == 0).all()


def test_an_interlaced_frame_has_as_many_rows_of_cells_as_a_progressive_one():
    luma = np.zeros((10, 6), np.uint8)
    luma[0::2] = 235
    luma[1::2] = 16
    for height in range(5, 11):
        greys = cell_greys(luma[:height], (2, 2), BT601, interlaced=True)
        assert greys.shape == cell_greys(luma[:height], (2, 2), BT601, interlaced=False).shape
        assert (greys[0::2] == 255).all()
        assert (greys[1::2] == 0).all()


def test_odd_sides_have_cells_of_what_is_there():
    luma = np.full((5, 7), 16, np.uint8)
    luma[-1], luma[:, -1] = 235, 235
    greys = cell_greys(luma, (2, 2), BT601, interlaced=False)
    assert greys.shape == (3, 4)
    assert (greys[-1] == 255).all()
    assert (greys[:, -1] == 255).all()
    deep = cell_greys(luma.astype(np.uint16) << 2, (2, 2), BT601, interlaced=False)
    np.testing.assert_array_equal(deep, greys)
