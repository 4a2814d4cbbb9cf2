"""space.py against scikit-image, and its own promises."""

import numpy as np
import pytest
import skimage.color
import torch

from colourizer.colour.space import (
    _is_outside,
    _lab_to_linear,
    fit_to_gamut,
    grey_to_lightness,
    lightness_to_grey,
    pixels_to_lab,
    rgb_to_lab,
    round_to_greys,
)


@pytest.fixture
def rgb() -> torch.Tensor:
    """(3, 64, 64) in [0, 1]: random colours, and rows of greys, blacks and primaries."""
    rgb = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rgb[:, 0] = torch.linspace(0, 1, 64, dtype=torch.float64)
    rgb[:, 1] *= 0.02
    rgb[:, 2] = rgb[:, 2].round()
    return rgb


def test_lab_is_that_of_scikit_image(rgb):
    expected = skimage.color.rgb2lab(rgb.movedim(0, -1).numpy())
    np.testing.assert_allclose(rgb_to_lab(rgb).movedim(0, -1).numpy(), expected, atol=1e-3)


def test_lab_of_colours_in_srgb_is_converted_back_as_by_scikit_image(rgb):
    lab = rgb_to_lab(rgb)
    expected = skimage.color.lab2rgb(lab.movedim(0, -1).numpy())
    converted = fit_to_gamut(lab[:1], lab[1:]).movedim(0, -1).numpy()
    np.testing.assert_allclose(converted, expected, atol=1e-4)


def test_lab_of_8_bit_pixels_is_that_of_rgb():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels)).reshape(3, -1)
    dark = np.indices((8, 8, 8), dtype=np.uint8).reshape(3, -1)
    planes = np.concatenate((cube, dark, np.tile(np.arange(256, dtype=np.uint8), (3, 1))), axis=1)
    expected = rgb_to_lab(torch.from_numpy(planes)[:, None] / 255)[:, 0]
    np.testing.assert_allclose(pixels_to_lab(planes), expected.numpy(), atol=0.1)


def test_single_precision_comes_back_within_a_tenth_of_an_8_bit_step(rgb):
    rgb = rgb.float()
    lab = rgb_to_lab(rgb)
    assert (fit_to_gamut(lab[:1], lab[1:]) - rgb).abs().max() < 0.1 / 255


def test_any_leading_dimensions_are_allowed(rgb):
    stacked = rgb.expand(2, 5, 3, 64, 64)
    assert torch.equal(rgb_to_lab(stacked)[1, 3], rgb_to_lab(rgb))


def test_grey_and_lightness_are_inverse_and_agree_with_lab():
    grey = torch.linspace(0, 1, 256).view(1, 1, 256)
    lightness = grey_to_lightness(grey)
    assert torch.allclose(lightness, rgb_to_lab(grey.expand(3, 1, 256))[:1], atol=1e-3)
    assert (lightness_to_grey(lightness) - grey).abs().max() < 1e-5


def test_a_colour_outside_srgb_loses_chroma_and_keeps_lightness_and_hue():
    generator = torch.Generator().manual_seed(1)
    lightness = torch.rand(1, 50, 50, generator=generator) * 100
    ab = torch.randn(2, 50, 50, generator=generator) * 60
    rgb = fit_to_gamut(lightness, ab)
    lab = rgb_to_lab(rgb)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert (lab[:1] - lightness).abs().max() < 0.2
    chroma, asked = lab[1:].norm(dim=0), ab.norm(dim=0)
    assert (chroma <= asked + 0.2).all()
    cosine = (lab[1:] * ab).sum(dim=0) / (chroma * asked)
    assert cosine[chroma > 5].min() > 0.999


def test_no_more_chroma_is_lost_than_has_to_be():
    generator = torch.Generator().manual_seed(2)
    lightness = torch.rand(1, 50, 50, generator=generator) * 90 + 5
    ab = torch.randn(2, 50, 50, generator=generator) * 60
    fitted = rgb_to_lab(fit_to_gamut(lightness, ab))[1:]
    cut = fitted.norm(dim=0) < ab.norm(dim=0) - 1
    more = torch.cat((lightness, fitted * (1 + 3 / fitted.norm(dim=0))))  # by 3 Lab units
    outside = _is_outside(_lab_to_linear(more))
    assert cut.float().mean() > 0.3
    assert outside[cut].float().mean() > 0.98


def test_a_colour_inside_srgb_is_left_alone(rgb):
    lab = rgb_to_lab(rgb)
    assert (fit_to_gamut(lab[:1], lab[1:]) - rgb).abs().max() < 1e-4


def test_rounding_to_greys_gives_the_lightness_of_the_256_greys_and_changes_nothing_twice():
    lightness = torch.rand(1, 100, 100, generator=torch.Generator().manual_seed(2)) * 100
    rounded = round_to_greys(lightness)
    levels = lightness_to_grey(rounded) * 255
    assert (levels - levels.round()).abs().max() < 1e-2
    assert (lightness_to_grey(lightness) * 255 - levels).abs().max() <= 0.5 + 1e-2
    assert torch.allclose(round_to_greys(rounded), rounded)
