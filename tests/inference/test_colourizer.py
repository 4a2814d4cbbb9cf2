"""colourizer.py: the photograph's own lightness, at any size."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support.scenes import SAMPLES, scene

from colourizer.colour.space import lightness_to_grey, rgb_to_lab
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.lightness import photo_lightness
from colourizer.inference.looks import Look
from colourizer.inference.preprocess import reduced_lightness, stretch_levels, working_size
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint
from colourizer.network.prepare import fold_batch_norm


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
    monkeypatch.setattr("colourizer.inference.recombine.STRIP_PIXELS", 700)
    assert np.abs(colourizer.colourize(colour).astype(int) - whole).max() <= 1
    assert (photo_lightness(colour) - lightness).abs().max() < 1e-3


def test_sixteen_bits_and_eight_of_the_same_photo_get_the_same_colours(colourizer):
    eight = np.asarray(scene(2).convert("L"))
    sixteen = eight.astype(np.uint16) * 257
    coloured = colourizer.colourize(sixteen)
    assert coloured.dtype == np.uint16
    assert np.abs(coloured / 257 - colourizer.colourize(eight)).max() <= 1


def test_an_image_is_coloured_as_its_pixels(colourizer):
    image = scene(2).convert("L")
    expected = colourizer.colourize(np.asarray(image))
    assert np.array_equal(colourizer.colourize(image), expected)
    transparent = image.convert("LA")
    assert np.array_equal(colourizer.colourize(transparent), expected)


def test_half_precision_hardly_moves_the_colours(monkeypatch):
    lightness = reduced_lightness(np.asarray(Image.open(SAMPLES / "skyline.jpg")))
    colours = []
    for fast in (False, True):
        for module in ("device", "prepare"):
            monkeypatch.setattr(
                f"colourizer.network.{module}.is_fast_in_bf16", lambda _, fast=fast: fast
            )
        colours.append(Colourizer.load(device="cpu").predict([lightness])[0].ab(Look(0.5)))
    assert 0 < (colours[0] - colours[1]).norm(dim=1).mean() < 0.6  # Lab units


def test_a_large_scan_gets_the_colours_of_its_thumbnail(colourizer):
    small = scene(2, 320, 240).resize((320, 240)).convert("L")
    large = small.resize((3200, 2400), Image.Resampling.BICUBIC)
    for scan in (np.asarray(large), np.asarray(large).astype(np.uint16) * 257):
        seen = [reduced_lightness(scan), photo_lightness(np.asarray(small))]
        ab, expected = (prediction.ab(Look(0.5)) for prediction in colourizer.predict(seen))
        assert reduced_lightness(scan).shape[-1] < 1000
        assert (ab - expected).abs().mean() < 0.15 * expected.abs().mean() + 0.5


@pytest.mark.parametrize("with_features", [False, True])
def test_in_a_batch_photographs_get_the_colours_that_each_gets_alone(with_features):
    colourizer = Colourizer.load(device="cpu")  # of the untrained network all would be alike
    colourizer.batch_size = 2  # of one shape there are three: two batches
    sizes = [(90, 60), (60, 90), (90, 60), (48, 64), (90, 60)]
    photos = [
        photo_lightness(np.asarray(scene(i, *size).convert("L"))) for i, size in enumerate(sizes)
    ]
    together = colourizer.predict(photos, with_features)
    assert len(together) == len(photos)
    for lightness, found in zip(photos, together, strict=True):
        (expected,) = colourizer.predict([lightness], with_features)
        for variant in range(2):
            ab, alone = found.ab(Look(0.5), variant), expected.ab(Look(0.5), variant)
            assert ab.shape == alone.shape
            assert (ab - alone).abs().max() < 0.1  # Lab units
        assert torch.allclose(found.confidence(), expected.confidence(), atol=0.01)
        if with_features:
            assert torch.allclose(found.features, expected.features, atol=0.05)
    first, third = together[0].ab(Look(0.5)), together[2].ab(Look(0.5))
    assert (first - third).abs().max() > 1  # each has its own
    assert colourizer.predict([]) == []


def test_threads_may_share_a_colourizer(colourizer):
    photos = [np.asarray(scene(i, 90, 60).convert("L")) for i in range(8)]
    alone = [colourizer.colourize(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(colourizer.colourize, photos))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_folding_batch_normalization_changes_nothing(checkpoint_file):
    model = build_model(load_checkpoint(checkpoint_file), checkpoint_file).eval()
    lightness = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(0)) * 100
    with torch.inference_mode():
        before = model(lightness)
        fold_batch_norm(model)
        after = model(lightness)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules())
    assert torch.allclose(before, after, atol=1e-4)


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
    changes = []
    for path in sorted(SAMPLES.glob("*.jpg")):
        grey = Image.open(path).convert("L").resize((256, 256))
        fresh = np.asarray(ImageOps.autocontrast(grey, cutoff=0.5))
        old = np.asarray(ImageOps.colorize(Image.fromarray(fresh), black, white))
        ab, old_ab = (colourizer.predict_ab(photo_lightness(pixels)) for pixels in (fresh, old))
        changes.append(float((ab - old_ab).norm(dim=0).mean() / ab.norm(dim=0).mean()))
    assert len(changes) >= 6
    assert np.mean(changes) < 0.2
    assert max(changes) < 0.5  # a pale sky, whose few colours are as easily these as those


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
    forward = colourizer.model.forward_with_features

    def watched(lightness):
        seen.append(lightness)
        return forward(lightness)

    monkeypatch.setattr(colourizer.model, "forward_with_features", watched)
    colourizer.colourize(np.asarray(scene(4, 100, 150).convert("L")))
    levels = lightness_to_grey(seen[0]) * 255
    assert (levels - levels.round()).abs().max() < 1e-2


def test_the_bundled_checkpoint_knows_how_common_colours_are():
    shares = load_checkpoint(BUNDLED)["model"]["bin_shares"]
    assert shares.sum().item() == pytest.approx(1, abs=1e-2)
    assert shares.max() > 20 * shares.median()
