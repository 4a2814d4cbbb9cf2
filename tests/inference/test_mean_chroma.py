"""mean_chroma.py: casts are taken back, faint pictures get more of their own colour."""

import pytest
import torch

from colourizer.inference.mean_chroma import (
    ADDED,
    LIKELY_CHROMA,
    MAX_ENLARGED,
    MAX_FACTOR,
    TAKEN_BACK,
    USUAL_MEAN,
    enlarge_faint,
    limit_cast,
)


def test_a_share_of_what_is_more_than_usual_is_taken_back():
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


def of_mean(chroma: float) -> torch.Tensor:
    """Return ab (1, 2, 8, 8) of many hues, whose mean chroma is given in Lab units."""
    ab = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    return ab * chroma / ab.norm(dim=1).mean()


@pytest.mark.parametrize("vividness", [0.4, 0.8])
def test_a_share_of_what_is_less_than_likely_is_added_to_the_mean_chroma(vividness):
    ab = of_mean(4.0)
    enlarged = enlarge_faint(ab, vividness)
    mean = enlarged.norm(dim=1).mean()
    assert mean.item() == pytest.approx(4 + ADDED * vividness * (LIKELY_CHROMA - 4), rel=1e-5)
    assert torch.allclose(enlarged / ab, (enlarged / ab).mean(), rtol=1e-4)  # no hue turns


def test_colourful_pictures_stay_as_they_are_and_at_vividness_0_all_do():
    assert torch.equal(
        enlarge_faint(of_mean(LIKELY_CHROMA + 0.1), 1.0), of_mean(LIKELY_CHROMA + 0.1)
    )
    assert torch.equal(enlarge_faint(of_mean(3.0), 0.0), of_mean(3.0))


def test_the_one_face_in_a_grey_street_does_not_become_red():
    ab = torch.full((1, 2, 8, 8), 1.5)
    ab[..., 3:5, 3:5], ab[..., 0, :2] = 14.0, 30.0
    enlarged = enlarge_faint(ab, 0.7)
    assert (enlarged[..., 1, :] > 1.9 * ab[..., 1, :]).all()
    assert torch.allclose(enlarged[..., 3:5, 3:5].norm(dim=1), torch.tensor(MAX_ENLARGED))
    assert torch.equal(enlarged[..., 0, :2], ab[..., 0, :2])  # as vivid as the network made it


def test_more_colour_in_gives_more_colour_out():
    means = [enlarge_faint(of_mean(c / 4), 1.0).norm(dim=1).mean() for c in range(1, 80)]
    assert torch.stack(means).diff().min() > 0


def test_what_is_all_but_grey_is_not_made_colourful():
    assert torch.equal(enlarge_faint(torch.zeros(1, 2, 3, 5), 1.0), torch.zeros(1, 2, 3, 5))
    assert enlarge_faint(of_mean(0.5), 1.0).norm(dim=1).mean() <= 0.5 * MAX_FACTOR + 1e-5
