"""ageing.py: what the network sees may get old in every way; it stays a picture of the same."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from support.scenes import scene

from colourizer.colour.space import linear_to_srgb, srgb_to_linear
from colourizer.training import ageing
from colourizer.training.ageing import (
    add_grain,
    add_halation,
    add_scratches,
    age,
    blur,
    change_contrast,
    compress,
    darken_corners,
    fade,
    fade_unevenly,
    paint_border,
    photograph_on_film,
)

COLOUR = torch.from_numpy(np.array(scene(3, 64, 64))).movedim(-1, 0)
GREY = COLOUR[1:2].float() / 255


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def middle() -> float:
    """Stand in for random numbers."""
    return 0.5


def test_ageing_is_decided_by_its_generator_and_gives_a_grey_picture_of_the_same_size():
    old = [age(COLOUR[:, :, :50], seeded(seed)) for seed in range(30)]
    assert all(grey.shape == (1, 64, 50) and grey.dtype == torch.uint8 for grey in old)
    assert torch.equal(old[7], age(COLOUR[:, :, :50], seeded(7)))
    assert len({tuple(grey.flatten().tolist()) for grey in old}) == 30


def test_an_old_photograph_still_shows_the_same_things():
    likeness = [
        torch.corrcoef(torch.stack((age(COLOUR, seeded(s)).float().flatten(), GREY.flatten())))[
            0, 1
        ]
        for s in range(40)
    ]
    assert np.mean(likeness) > 0.5


@pytest.mark.parametrize(("kind", "red_seen"), [(0.0, True), (0.7, False), (0.95, False)])
def test_only_panchromatic_film_sees_red(kind, red_seen):
    red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 4, 4)
    numbers = iter([kind] + [0.5] * 9)
    assert (photograph_on_film(red, lambda: next(numbers)).mean() > 0.3) == red_seen


def test_film_keeps_greys_grey():
    neutral = torch.arange(0, 256, dtype=torch.uint8).expand(3, 4, 256)
    for seed in range(10):
        numbers = torch.rand(10, generator=seeded(seed)).tolist()
        assert torch.allclose(
            photograph_on_film(neutral, iter(numbers).__next__), neutral[:1] / 255, atol=1e-3
        )


def test_film_adds_up_linear_light():
    weights = torch.tensor(ageing.PANCHROMATIC)  # the numbers stand for the middle of each spread
    light = (srgb_to_linear(COLOUR / 255) * weights[:, None, None]).sum(0, keepdim=True)
    assert torch.allclose(photograph_on_film(COLOUR, middle), linear_to_srgb(light), atol=2e-4)


def test_fading_keeps_the_order_of_greys_and_loses_range():
    ramp = torch.linspace(0, 1, 32).expand(1, 4, 32)
    faded = fade(ramp, middle)
    assert (faded.diff(dim=-1) > 0).all()
    assert faded.min() > 0.05
    assert faded.max() < 0.95


def test_corners_darken_and_the_middle_does_not():
    white = torch.ones(1, 65, 65)
    dark = darken_corners(white, middle)
    assert dark[0, 32, 32] == 1
    assert dark[0, 0, 0] == pytest.approx(1 - ageing.MAX_VIGNETTE / 2)


def test_blur_is_gaussian():
    expected = gaussian_filter(
        GREY[0].numpy(), 0.2 + (ageing.MAX_BLUR - 0.2) / 2, mode="nearest", radius=3
    )
    assert np.allclose(blur(GREY, middle)[0].numpy(), expected, atol=1e-5)


def test_blur_smoothes_and_grain_roughens():
    assert blur(GREY, middle).diff(dim=-1).abs().mean() < GREY.diff(dim=-1).abs().mean()
    noise = add_grain(torch.full((1, 63, 65), 0.5), middle, seeded(1)) - 0.5
    assert noise.shape == (1, 63, 65)
    assert noise.std() == pytest.approx(-ageing.GRAIN * np.log(0.5), rel=0.2)


def test_a_jpeg_is_like_the_picture_but_not_equal():
    grey = (GREY * 255).round().byte()
    back = compress(grey, lambda: 0.0)
    assert back.shape == grey.shape
    assert 0 < (back.float() - grey.float()).abs().mean() < 8


def test_contrast_keeps_the_order_of_greys_and_hard_prints_clip():
    ramp = torch.linspace(0, 1, 64).expand(1, 4, 64)
    for random, clipped in ((lambda: 0.0, False), (lambda: 0.99, True)):
        printed = change_contrast(ramp, random)
        assert (printed.diff(dim=-1) >= 0).all()
        assert ((printed == 0).sum() + (printed == 1).sum() > 8) == clipped


def test_uneven_fading_takes_different_parts_of_the_contrast():
    stripes = torch.tensor([0.2, 0.8]).repeat(32).expand(1, 64, 64)
    faded = fade_unevenly(stripes, middle, seeded(2))
    contrast = faded[..., 1::2] - faded[..., ::2]
    assert contrast.max() <= 0.6 + 1e-6
    assert contrast.min() > 0.6 * (1 - ageing.UNEVEN) - 1e-6
    assert contrast.max() - contrast.min() > 0.05


def test_halation_spreads_light_to_what_is_beside_it_only():
    lamp = torch.full((1, 64, 64), 0.2)
    lamp[:, 30:34, 30:34] = 1
    lit = add_halation(lamp, middle) - lamp
    assert lit[0, 28, 28] > 0.01
    assert lit[0, 5, 5] == 0
    assert lit.min() >= 0


def test_scratches_are_thin():
    scratched = add_scratches(GREY, middle)
    changed = (scratched != GREY).float().mean()
    assert 0 < changed < 0.15


def test_a_border_is_neutral_and_leaves_the_middle_alone():
    for seed in range(20):
        bordered = COLOUR.clone()
        paint_border(bordered, seeded(seed))
        changed = (bordered != COLOUR).any(dim=0)
        assert not changed[16:48, 16:48].any()
        painted = bordered[:, changed]
        assert (painted == painted[:1]).all()  # one grey
        assert len(painted.unique()) <= 1
