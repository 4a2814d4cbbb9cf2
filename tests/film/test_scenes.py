"""scenes.py: cuts are found, fades are none; titles and leaders have no content."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from support.scenes import scene

from colourizer.film.scenes import content, is_cut, thumbnail
from colourizer.inference.lightness import photo_lightness


def picture(seed: int) -> torch.Tensor:
    """Lightness (1, 1, 192, 256) of a scene."""
    return photo_lightness(np.asarray(scene(seed, 192, 256)))[None]


def of_greys(greys: np.ndarray) -> torch.Tensor:
    """Lightness (1, 1, H, W) of grey levels in [0, 255]."""
    return photo_lightness(greys.round().clip(0, 255).astype(np.uint8))[None]


def title(grain: float, size: int) -> np.ndarray:
    """White letters on black, grey levels (192, 256)."""
    image = Image.new("L", (256, 192), 12)
    draw = ImageDraw.Draw(image)
    for line in range(160 // size):
        font = ImageFont.load_default(size)
        draw.text((20, 10 + line * size), "The Old House by the River", fill=235, font=font)
    return np.asarray(image) + np.random.default_rng(0).normal(0, grain, (192, 256))


@pytest.mark.parametrize("size", [12, 40])
@pytest.mark.parametrize("grain", [0, 3])
def test_titles_have_no_content(size, grain):
    assert content(of_greys(title(grain, size))) == 0


@pytest.mark.parametrize("grey", [0, 130, 255])
def test_a_leader_has_no_content(grey):
    grain = np.random.default_rng(0).normal(0, 2, (192, 256))
    assert content(of_greys(grey + grain)) == 0


def test_scenes_have_content_and_lose_it_bit_by_bit_as_they_fade():
    lightness = picture(0)
    shares = [content(lightness * share) for share in (1, 0.3, 0.2, 0.1, 0.02)]
    assert shares[0] == 1 and shares[-1] == 0
    assert shares == sorted(shares, reverse=True)


def test_another_scene_is_a_cut():
    assert is_cut(thumbnail(of_greys(title(0, 40))), thumbnail(picture(0)))
    upside_down = picture(0).flip(2)
    assert is_cut(thumbnail(picture(0)), thumbnail(upside_down))


def test_motion_fades_and_flashes_are_no_cuts():
    lightness = picture(0)
    after = [lightness.roll(6, dims=3), lightness * 0.7, (lightness * 1.4).clamp(0, 100)]
    for frame in after:
        assert not is_cut(thumbnail(lightness), thumbnail(frame))


def test_noise_is_no_cut():
    torch.manual_seed(0)
    one, other = (50 + torch.randn(1, 1, 192, 256) for _ in range(2))
    assert not is_cut(thumbnail(one), thumbnail(other))
