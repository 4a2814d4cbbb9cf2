"""cast.py: a tint over the whole picture is taken back, and nothing else."""

import torch

from colourizer.inference.cast import TAKEN_BACK, USUAL_MEAN, limit_cast


def test_half_of_what_is_more_than_usual_is_taken_back():
    ab = torch.tensor([30.0, 40.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)  # 50 Lab units of orange
    expected = USUAL_MEAN + (1 - TAKEN_BACK) * (50 - USUAL_MEAN)
    limited = limit_cast(ab)
    assert torch.allclose(limited.norm(dim=1), torch.tensor(expected))
    assert torch.allclose(limited[:, 0] / limited[:, 1], torch.tensor(0.75))


def test_what_is_neutral_or_of_an_opposite_colour_stays():
    ab = torch.full((1, 2, 4, 4), 40.0)
    ab[..., 0], ab[..., 1] = 0, -20
    limited = limit_cast(ab)
    assert torch.equal(limited[..., :2], ab[..., :2])
    assert (limited[..., 2:] < ab[..., 2:]).all()


def test_a_picture_of_many_colours_stays_as_it_is():
    ab = 40 * torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert ab.mean(dim=(2, 3)).norm() < USUAL_MEAN
    assert torch.equal(limit_cast(ab), ab)


def test_what_is_grey_stays_grey():
    assert torch.equal(limit_cast(torch.zeros(1, 2, 3, 5)), torch.zeros(1, 2, 3, 5))
