"""metrics.py against scikit-image and hand-made cases."""

import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch

from colourizer.colour.metrics import (
    ab_error,
    ciede2000,
    colourfulness,
    colourfulness_of_pixels,
    psnr,
)


def random(shape, seed, low, high):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return low + (high - low) * values


def test_psnr_is_that_of_scikit_image():
    one, two = random((3, 20, 20), 0, 0, 1), random((3, 20, 20), 1, 0, 1)
    expected = skimage.metrics.peak_signal_noise_ratio(one.numpy(), two.numpy(), data_range=1)
    assert psnr(one, two, 1) == pytest.approx(expected)
    assert psnr(one, one, 1) == pytest.approx(100)


def test_ciede2000_is_that_of_scikit_image():
    one, two = random((3, 50, 50), 0, 0, 1), random((3, 50, 50), 1, 0, 1)
    for lab in (one, two):
        lab[0] *= 100
        lab[1:] = lab[1:] * 200 - 100
    one[1:, 0] = 0  # a row of greys has no hue
    two[:, 1] = one[:, 1]
    expected = skimage.color.deltaE_ciede2000(
        one.movedim(0, -1).numpy(), two.movedim(0, -1).numpy()
    )
    np.testing.assert_allclose(ciede2000(one, two).numpy(), expected, atol=1e-6)


# Sharma, Wu, Dalal 2005, table 1: pairs 1, 7, 17 and 25.
@pytest.mark.parametrize(
    ("lab1", "lab2", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_gives_the_published_values(lab1, lab2, expected):
    pair = [torch.tensor(lab, dtype=torch.float64).view(3, 1, 1) for lab in (lab1, lab2)]
    assert ciede2000(*pair).item() == pytest.approx(expected, abs=1e-4)


def test_ab_error_is_a_distance_in_the_ab_plane():
    true = torch.zeros(2, 4, 4)
    wrong = torch.tensor([3.0, 4.0]).view(2, 1, 1).expand(2, 4, 4)
    assert ab_error(wrong, true) == 5


def test_colourfulness_follows_the_published_formula():
    rgb = random((3, 30, 30), 2, 0, 1)
    r, g, b = (rgb * 255).numpy()
    rg, yb = r - g, 0.5 * (r + g) - b
    spread = np.sqrt(rg.std() ** 2 + yb.std() ** 2)
    expected = spread + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert colourfulness(rgb) == pytest.approx(expected)
    assert colourfulness(torch.full((3, 8, 8), 0.4)) == 0


def test_colourfulness_of_8_bit_pixels_is_that_of_rgb():
    planes = (random((3, 900), 3, 0, 256)).byte()
    assert colourfulness_of_pixels(planes.numpy()) == pytest.approx(
        colourfulness(planes[:, None] / 255), rel=1e-5
    )
