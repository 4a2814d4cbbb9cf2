"""duplicates.py: duplicates are found, different photographs are not taken for them."""

from io import BytesIO

import pytest
import torch
from PIL import Image
from support.scenes import scene

from colourizer.curation import duplicates
from colourizer.curation.duplicates import HASH_SIDE, are_duplicates, dhash, find_duplicates


def recompressed(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 100, height // 100, width - width // 100, height - height // 100))


@pytest.mark.parametrize("block", [1024, 7])
def test_duplicates_are_found_and_nothing_else(block, monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", block)
    photos = [scene(seed, 240, 320) for seed in range(20)]
    changed = [photos[3].resize((100, 80)), recompressed(photos[11]), cropped(photos[19])]
    again = [*photos, changed[0], scene(99, 240, 320), *changed[1:], photos[3].convert("L")]
    assert find_duplicates([dhash(photo) for photo in again]) == [20, 22, 23, 24]


def test_the_first_of_three_is_kept_and_none_of_none():
    photo = dhash(scene(1))
    assert find_duplicates([photo, photo, photo]) == [1, 2]
    assert find_duplicates([]) == []


@pytest.mark.parametrize("block", [64, 7])
def test_all_pairs_are_compared_as_are_duplicates_does(block, monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    hashes = torch.randint(-1, 2, (100, HASH_SIDE**2), generator=generator).float()
    # Of each a variant that is more or less like it: entries zeroed, or with the opposite sign.
    change = torch.rand(100, 1, generator=generator) * 0.3
    noise = torch.rand(hashes.shape, generator=generator)
    variants = torch.where(noise < change, 0.0, torch.where(noise > 1 - change / 4, -1, 1) * hashes)
    variants[:10, 20:] = 0  # plain ones
    shuffled = torch.cat([hashes, variants])[torch.randperm(200, generator=generator)]
    expected = are_duplicates(shuffled, shuffled).tril(diagonal=-1).any(dim=1)
    assert 20 < expected.sum() < 80
    assert find_duplicates(list(shuffled)) == expected.nonzero().flatten().tolist()
