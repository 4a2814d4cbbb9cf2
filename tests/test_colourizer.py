"""colourizer.py: the photograph's own lightness, at any size."""

import numpy as np
import pytest
import torch
from conftest import SAMPLES, scene
from PIL import Image, ImageOps

from checkpoint import BUNDLED, load_checkpoint
from colour_space import lightness_to_grey, rgb_to_lab
from colourizer import Colourizer, photo_lightness, stretch_levels, working_size


@pytest.fixture(scope="module")
def colourizer(checkpoint_file) -> Colourizer:
    return Colourizer.load(checkpoint_file, "cpu")


def lightness_of(rgb: np.ndarray) -> np.ndarray:
    return rgb_to_lab(torch.from_numpy(rgb / 255.0).movedim(-1, 0))[0].numpy()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (301, 2), (47, 83), (256, 256)])
def test_every_pixel_keeps_its_lightness_and_the_photo_its_size(colourizer, height, width):
    grey = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    rgb = colourizer.colourize(grey)
    assert rgb.shape == (height, width, 3)
    assert np.abs(lightness_of(rgb) - photo_lightness(grey)[0].numpy()).mean() < 100 / 255


def test_strips_leave_no_seams(colourizer, monkeypatch):
    colour = np.asarray(scene(1, 200, 100))
    whole, lightness = colourizer.colourize(colour), photo_lightness(colour)
    monkeypatch.setattr("colourizer.STRIP_PIXELS", 700)
    assert np.abs(colourizer.colourize(colour).astype(int) - whole).max() <= 1
    assert (photo_lightness(colour) - lightness).abs().max() < 1e-3


def test_sixteen_bits_and_eight_of_the_same_photo_get_the_same_colours(colourizer):
    eight = np.asarray(scene(2).convert("L"))
    sixteen = eight.astype(np.uint16) * 257
    assert (
        np.abs(colourizer.colourize(sixteen).astype(int) - colourizer.colourize(eight)).max() <= 1
    )


def test_colours_that_the_photo_had_do_not_matter(colourizer):
    colour = np.asarray(scene(3))
    lightness = photo_lightness(colour)
    neutral = (lightness_to_grey(lightness)[0] * 255).round().byte().numpy()
    difference = colourizer.colourize(neutral).astype(int) - colourizer.colourize(colour)
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (256, 256), (3000, 4000), (4000, 3000), (10, 5000), (5000, 10)]
)
def test_the_network_sees_every_photo_at_about_the_same_size(height, width):
    rows, columns = working_size(height, width)
    assert rows % 32 == columns % 32 == 0
    assert 0.8 < rows * columns / 256**2 < 1.25
    if 0.3 < height / width < 3:
        assert rows / columns == pytest.approx(height / width, rel=0.15)


def test_the_bundled_checkpoint_beats_grey_on_the_sample_photographs():
    colourizer = Colourizer.load(device="cpu")
    errors, floors = [], []
    originals = sorted((SAMPLES.parent / "samples_in_colour").glob("*.jpg"))
    assert len(originals) >= 6
    for path in originals:
        pixels = np.asarray(Image.open(path).resize((256, 256)))
        lab = rgb_to_lab(torch.from_numpy(pixels / np.float32(255)).movedim(-1, 0))
        ab = colourizer.predict_ab(lab[:1])
        errors.append((ab - lab[1:]).norm(dim=0).mean().item())
        floors.append(lab[1:].norm(dim=0).mean().item())
    assert np.mean(errors) < np.mean(floors)


@pytest.mark.parametrize(
    ("black", "white"),
    [
        ((60, 60, 60), (210, 210, 210)),
        ((60, 35, 15), (240, 214, 160)),
        ((10, 15, 40), (225, 235, 250)),
    ],
    ids=["faded", "sepia", "blue-toned"],
)
def test_a_faded_or_toned_print_gets_the_colours_of_a_fresh_one(black, white):
    colourizer = Colourizer.load(device="cpu")
    for name in ("coffee.jpg", "skyline.jpg", "raccoon.jpg"):
        grey = Image.open(SAMPLES / name).convert("L").resize((256, 256))
        fresh = np.asarray(ImageOps.autocontrast(grey, cutoff=0.5))
        old = np.asarray(ImageOps.colorize(Image.fromarray(fresh), black, white))
        ab, old_ab = (colourizer.predict_ab(photo_lightness(pixels)) for pixels in (fresh, old))
        assert (ab - old_ab).norm(dim=0).mean() < 0.25 * ab.norm(dim=0).mean()


def test_an_empty_picture_stays_as_it_is():
    flat = torch.full((1, 1, 32, 32), 70.0)
    assert torch.equal(stretch_levels(flat), flat)
    fresh = torch.linspace(0, 100, 32 * 32).view(1, 1, 32, 32)
    assert torch.allclose(stretch_levels(fresh), fresh, atol=1e-3)
    stretched = stretch_levels(30 + fresh / 2)
    assert stretched.min() == pytest.approx(5, abs=1)
    assert stretched.max() == pytest.approx(95, abs=1)
    assert (stretched.flatten().diff() >= 0).all()


def test_the_network_sees_8_bit_greys_as_in_training(colourizer, monkeypatch):
    seen = []
    forward = colourizer.model.forward

    def watched(lightness):
        seen.append(lightness)
        return forward(lightness)

    monkeypatch.setattr(colourizer.model, "forward", watched)
    colourizer.colourize(np.asarray(scene(4, 100, 150).convert("L")))
    levels = lightness_to_grey(seen[0]) * 255
    assert (levels - levels.round()).abs().max() < 1e-2


def test_the_bundled_checkpoint_knows_how_common_colours_are():
    shares = load_checkpoint(BUNDLED)["model"]["bin_shares"]
    assert shares.sum().item() == pytest.approx(1, abs=1e-2)
    assert shares.max() > 20 * shares.median()
