"""correspondence.py: the same places of two photographs are found; in unrelated ones none."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from colourizer.inference.correspondence import Correspondence, find_correspondences, sample


def features(seed: int, height: int = 40, width: int = 40) -> Tensor:
    """Return features (8, height, width) that change smoothly from place to place."""
    noise = torch.randn(
        1, 8, height // 2, width // 2, generator=torch.Generator().manual_seed(seed)
    )
    return F.interpolate(noise, (height, width), mode="bilinear")[0]


def test_the_overlap_of_two_parts_is_found_and_nothing_beside_it():
    whole = features(0)
    found = find_correspondences(whole[:, :32, :30], whole[:, 8:, 6:36])
    assert found
    forth, back = found
    inner = (slice(12, 28), slice(10, 26))  # in the overlap, some places off its edge
    assert torch.allclose(forth.offset[0][inner], torch.tensor(-8.0), atol=0.2)
    assert torch.allclose(forth.offset[1][inner], torch.tensor(-6.0), atol=0.2)
    assert forth.quality[inner].mean() > 0.95
    assert forth.quality[:5].mean() < 0.2  # of which the other part has nothing
    assert torch.allclose(back.offset[0][4:20, 4:20], torch.tensor(8.0), atol=0.2)
    assert back.quality[-5:].mean() < 0.2


def test_noise_and_another_size_do_not_hide_what_is_the_same():
    whole = features(1)
    noisy = whole[:, 4:, 4:] + 0.3 * features(2)[:, 4:, 4:]
    found = find_correspondences(whole[:, :28, :36], noisy)
    assert found
    assert found[0].quality[8:24, 8:32].mean() > 0.9
    assert found[1].offset.shape == (2, 36, 36)


def test_something_small_is_found_elsewhere():
    one, other = features(3), features(4)
    other[:, 20:34, 18:32] = one[:, 4:18, 4:18]
    found = find_correspondences(one, other)
    assert found
    assert (found[0].offset[:, 8:14, 8:14].mean(dim=(1, 2)) - torch.tensor([16.0, 14.0])).norm() < 1
    assert found[0].quality[8:14, 8:14].mean() > 0.9
    assert found[0].quality[28:, 28:].mean() < 0.1


def test_what_is_only_in_one_of_them_is_not_taken_for_what_is_behind_it():
    one = features(5)
    other = one.clone()
    other[:, 18:20, 18:20] = 3 * features(6)[:, 18:20, 18:20]  # less than half of any window
    found = find_correspondences(one, other)
    assert found
    for way in found:
        assert way.quality[18:20, 18:20].mean() < 0.3
        assert way.quality[:14].mean() > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_unrelated_photographs_share_nothing(seed):
    assert find_correspondences(features(2 * seed + 10), features(2 * seed + 11)) is None


def test_flat_photographs_share_nothing():
    assert find_correspondences(torch.zeros(8, 32, 32), torch.zeros(8, 32, 32)) is None
    assert find_correspondences(features(0), torch.zeros(8, 24, 40)) is None


def test_planes_are_sampled_between_places_and_outside_is_known():
    planes = torch.arange(12.0).view(1, 3, 4)
    moved, inside = sample(planes, torch.tensor([0.5, 1.0])[:, None, None].expand(2, 3, 4))
    assert moved[0, 0, 0] == pytest.approx(3.0)  # between 1 and 5
    assert inside.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    still = Correspondence(torch.zeros(2, 3, 4), torch.ones(3, 4))
    assert torch.allclose(sample(planes, still.offset)[0], planes, atol=1e-5)
