"""patchiness.py: what varies within a thing of one colour, and nothing else."""

import numpy as np
import pytest
import torch

from colourizer.colour.patchiness import patchiness, uniform_regions


def halves(left: tuple[float, float], right: tuple[float, float]) -> torch.Tensor:
    ab = torch.empty(2, 64, 64)
    ab[:, :, :32] = torch.tensor(left)[:, None, None]
    ab[:, :, 32:] = torch.tensor(right)[:, None, None]
    return ab


def test_regions_are_the_things_of_one_colour():
    regions = uniform_regions(halves((30, 0), (-20, 10)))
    assert sorted(len(region) for region in regions) == [32 * 64, 32 * 64]
    assert {frozenset(np.unique(region % 64 < 32)) for region in regions} == {
        frozenset([True]), frozenset([False])
    }  # fmt: skip


def test_regions_of_one_colour_that_do_not_touch_are_two():
    ab = halves((30, 0), (30, 0))
    ab[:, :, 30:34] = -30
    assert len(uniform_regions(ab)) == 3


def test_what_is_smaller_than_a_hundredth_or_of_many_colours_is_no_region():
    ab = halves((0, 0), (0, 0))
    ab[:, 3:8, 3:8] = 50
    assert [len(region) for region in uniform_regions(ab)] == [64 * 64 - 25]
    assert uniform_regions(torch.randn(2, 64, 64) * 60) == []


def test_a_right_colouring_is_as_patchy_as_the_truth_and_a_wrong_flat_one_not_at_all():
    true = halves((30, 0), (-20, 10)) + torch.randn(2, 64, 64)
    regions = uniform_regions(true)
    assert patchiness(regions, true) == pytest.approx(2**0.5, abs=0.15)
    assert patchiness(regions, torch.full((2, 64, 64), 7.0)) == 0


def test_a_patch_of_another_colour_within_a_thing_counts_and_between_things_none():
    true = halves((30, 0), (-20, 10))
    regions = uniform_regions(true)
    assert patchiness(regions, halves((5, 5), (60, -60))) == 0
    patched = true.clone()
    patched[:, 20:40, 5:25] += 20
    assert patchiness(regions, patched) > 3


def test_deviation_is_averaged_by_area():
    ab = torch.zeros(2, 1, 8)
    ab[0, 0, 4:] = torch.tensor([0.0, 0, 6, 6])  # of deviation 3
    assert patchiness([np.arange(4), np.arange(4, 8)], ab) == pytest.approx(1.5)
    assert patchiness([np.arange(2), np.arange(2, 8)], ab) > 1.5
    assert patchiness([], ab) == 0


def test_a_large_picture_is_as_patchy_as_a_small_one():
    true = halves((30, 0), (-20, 10))
    predicted = true + torch.randn(2, 8, 8).repeat_interleave(8, 1).repeat_interleave(8, 2) * 9
    large = [ab.repeat_interleave(4, 1).repeat_interleave(4, 2) for ab in (true, predicted)]
    expected = patchiness(uniform_regions(true), predicted)
    assert patchiness(uniform_regions(large[0]), large[1]) == pytest.approx(expected)
