"""crops.py: crops that a seed decides, and what the network sees of them."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from support.scenes import pixels_of, scene

from colourizer.colour.space import grey_to_lightness, lightness_to_grey, rgb_to_lab
from colourizer.training.crops import (
    CropBatch,
    CropConfig,
    cut_crop,
    make_batch,
    network_input_and_target,
)


def cut(photos: list[torch.Tensor], size: int, aged: float) -> CropBatch:
    return make_batch(photos, range(len(photos)), CropConfig(size, aged), range(len(photos)))


@pytest.mark.parametrize(("height", "width"), [(40, 40), (32, 100), (100, 33)])
def test_a_crop_has_its_size_and_is_decided_by_its_seed(height, width):
    photos = [torch.randint(0, 256, (3, height, width), dtype=torch.uint8)] * 20
    batch = cut(photos, 32, 0.5)
    assert batch.rgb.shape == (20, 3, 32, 32)
    assert batch.rgb.is_contiguous(memory_format=torch.channels_last)
    assert batch.aged.shape == (len(batch.aged_index), 1, 32, 32)
    assert batch.rgb.dtype == batch.aged.dtype == torch.uint8
    assert batch.photo_index.tolist() == list(range(20))
    assert 3 < len(batch.aged_index) < 17
    assert all(torch.equal(*both) for both in zip(batch, cut(photos, 32, 0.5), strict=True))
    assert len({tuple(crop.flatten().tolist()) for crop in batch.rgb}) == 20


@pytest.mark.parametrize("mirror", [0.2, 0.7])
def test_a_crop_is_a_part_of_the_photograph_resized_and_mirrored(mirror):
    image = scene(0, 80, 100)
    crop = torch.empty(3, 40, 40, dtype=torch.uint8)
    chances = (1 - 1e-9, 0.5, 0.5, 0.25, mirror)  # all of the height
    cut_crop(pixels_of(image), 0.35, chances, crop)
    part = image.crop((5, 0, 85, 80)).resize((40, 40), Image.Resampling.BILINEAR)
    expected = pixels_of(part).flip(-1) if mirror < 0.5 else pixels_of(part)
    assert (crop.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("min_area", [0.1, 0.6, 1])
def test_a_crop_has_the_area_that_is_asked_for(min_area):
    rows = torch.arange(100, dtype=torch.uint8).view(1, 100, 1).expand(3, 100, 300)
    crop = torch.empty(3, 100, 100, dtype=torch.uint8)
    areas = []
    for chance in (0.0, 0.5, 1 - 1e-9):
        cut_crop(rows, min_area, (chance, 0.5, 0.0, 0.5, 0.7), crop)  # as high as it is wide
        areas.append((int(crop[0].max()) + 1) ** 2 / 100**2)
    assert areas == pytest.approx([min_area, min_area**0.5, 1], abs=0.03)


@pytest.mark.parametrize("aged", [0, 0.5, 1])
def test_a_batch_is_its_crops(aged):
    photos = list(torch.randint(0, 256, (5, 3, 50, 40), dtype=torch.uint8))
    lightness, ab = network_input_and_target(cut(photos, 32, aged))
    for n, photo in enumerate(photos):
        one = network_input_and_target(make_batch([photo], [n], CropConfig(32, aged), [n]))
        assert torch.allclose(lightness[n], one[0][0], atol=1e-3)
        assert torch.allclose(ab[n], one[1][0], atol=1e-3)


def test_half_of_the_crops_are_mirrored():
    ramp = torch.arange(64, dtype=torch.uint8).expand(3, 64, 64) * 4
    crops = cut([ramp] * 200, 32, 0).rgb
    assert 70 < sum(bool(crop[0, 0, -1] > crop[0, 0, 0]) for crop in crops) < 130


def test_half_of_the_crops_are_seen_as_they_are_in_8_bit_grey():
    batch = cut([pixels_of(scene(0, 64, 64))] * 40, 64, 0)
    lightness, ab = network_input_and_target(batch)
    lab = rgb_to_lab(batch.rgb / 255)
    assert torch.equal(ab, lab[:, 1:])
    levels = lightness_to_grey(lightness) * 255
    assert (levels - levels.round()).abs().max() < 1e-2
    sharp = batch.blur_sides == 64
    assert 10 < sharp.sum() < 30
    values = lightness_to_grey(lab[:, :1]) * 255
    exact = grey_to_lightness(values.round() / 255)
    clear = (values % 1 - 0.5).abs() > 0.005  # not half-way between two levels
    assert torch.allclose(lightness[sharp][clear[sharp]], exact[sharp][clear[sharp]], atol=1e-3)
    assert clear.float().mean() > 0.98


@pytest.mark.parametrize("size", [64, 50, 33])
def test_the_others_are_seen_as_reduced_and_enlarged_again(size):
    batch = cut([pixels_of(scene(0, 64, 64))] * 20, size, 0)
    lightness, _ = network_input_and_target(batch)
    exact = rgb_to_lab(batch.rgb / 255)[:, :1]
    soft = [n for n, side in enumerate(batch.blur_sides.tolist()) if side < size]
    assert len(soft) > 4
    for n in soft:
        side = int(batch.blur_sides[n])
        assert 0.4 * size - 1 < side
        expected = Image.fromarray(exact[n, 0].numpy())
        for length in (side, size):
            expected = expected.resize((length, length), Image.Resampling.BILINEAR)
        # what is rounded to 256 greys is off by half of one, in the dark most
        assert (
            lightness[n, 0] - torch.tensor(list(expected.get_flattened_data())).view(size, size)
        ).abs().max() < 0.3


def test_ageing_changes_what_the_network_sees_and_not_the_truth(monkeypatch):
    monkeypatch.setattr("colourizer.training.crops.BORDER_SHARE", 0)
    photos = [pixels_of(scene(0, 64, 64))] * 10
    new, old = (cut(photos, 48, aged) for aged in (0, 1))
    assert torch.equal(new.rgb, old.rgb)
    assert (len(new.aged_index), len(old.aged_index)) == (0, 10)
    seen = [network_input_and_target(batch) for batch in (new, old)]
    assert torch.equal(seen[0][1], seen[1][1])
    assert not any(torch.equal(*both) for both in zip(seen[0][0], seen[1][0], strict=True))
    assert F.l1_loss(seen[0][0], seen[1][0]) > 1


def test_the_border_of_an_old_photograph_is_neutral_in_the_truth_too(monkeypatch):
    monkeypatch.setattr("colourizer.training.crops.BORDER_SHARE", 1)
    photos = [pixels_of(scene(0, 64, 64))] * 10
    new, old = (cut(photos, 48, aged) for aged in (0, 1))
    changed = (new.rgb != old.rgb).any(dim=1)  # (10, 48, 48)
    assert changed.any()
    assert not changed[:, 12:36, 12:36].any()
    _, ab = network_input_and_target(old)
    assert ab.movedim(1, -1)[changed].abs().max() < 0.5  # Lab units


def test_of_pairs_the_second_half_is_the_mirror_image_and_it_alone_is_aged():
    photos = [pixels_of(scene(n, 60, 60)) for n in range(12)]
    alone = cut(photos, 32, 0.0)
    numbers = range(len(photos))
    pairs = make_batch(photos, numbers, CropConfig(32, 0.5, paired=True), numbers)
    assert len(pairs.rgb) == len(pairs.blur_sides) == 24
    assert torch.equal(pairs.rgb[:12].flip(-1), pairs.rgb[12:])
    assert pairs.photo_index.tolist() == list(numbers)
    assert 2 < len(pairs.aged_index) < 10
    assert pairs.aged_index.min() >= 12
    plain = [n for n in numbers if n + 12 not in pairs.aged_index]
    assert torch.equal(pairs.rgb[plain], alone.rgb[plain])
    assert not torch.equal(pairs.blur_sides[:12], pairs.blur_sides[12:])
    lightness, _ = network_input_and_target(pairs)
    sharp = pairs.blur_sides.eq(32)
    both = [n for n in plain if sharp[n] and sharp[n + 12]]
    assert both
    assert torch.equal(lightness[both].flip(-1), lightness[[n + 12 for n in both]])
