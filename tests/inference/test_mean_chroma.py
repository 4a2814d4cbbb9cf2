"""mean_chroma.py: casts are taken back, faint pictures get more of their own colour, walls less."""

import pytest
import torch

from colourizer.inference.mean_chroma import (
    ADDED,
    LIGHT,
    LIKELY_CHROMA,
    MAX_ENLARGED,
    MAX_FACTOR,
    NOT_FAINT,
    TAKEN_BACK,
    USUAL_MEAN,
    enlarge_faint,
    is_light_and_faint,
    limit_cast,
    neutralize,
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


@pytest.mark.parametrize("vividness", [0.3, 0.6])
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


BROWN = torch.tensor([0.28, 0.96]).view(1, 2, 1, 1)  # a hue, of unit length


def room(wall: float, lightness: float = 80.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ab and lightness of wood above, of 30 Lab units of brown, and a wall below of some."""
    chroma = torch.full((1, 1, 8, 8), 30.0)
    chroma[:, :, 4:] = wall
    return BROWN * chroma, torch.full((1, 1, 8, 8), lightness)


def neutralized(ab: torch.Tensor, lightness: torch.Tensor, vividness: float) -> torch.Tensor:
    return neutralize(ab, is_light_and_faint(ab, lightness), vividness)


def test_in_a_room_all_in_brown_the_wall_becomes_white_and_the_wood_stays():
    ab, lightness = room(wall=NOT_FAINT[0])
    changed = neutralized(ab, lightness, 0.75)
    assert torch.equal(changed[..., :4, :], ab[..., :4, :])
    assert torch.allclose(changed[..., 4:, :], 0.25 * ab[..., 4:, :], atol=1e-5)


def test_what_is_dark_keeps_its_brown_and_at_vividness_0_all_does():
    ab, lightness = room(wall=8.0, lightness=LIGHT[0])
    assert torch.equal(neutralized(ab, lightness, 1.0), ab)
    ab, lightness = room(wall=8.0)
    assert torch.equal(neutralized(ab, lightness, 0.0), ab)


def test_a_photograph_of_two_hues_keeps_its_faint_ones():
    ab, lightness = room(wall=8.0)
    ab[..., :2, :] *= -1  # a blue sky above the wood
    assert torch.equal(neutralized(ab, lightness, 1.0), ab)


def test_only_the_one_hue_is_taken_back_not_another_in_it():
    ab, lightness = room(wall=8.0)
    ab[:, :, 7] = 6 * BROWN.flip(1)[..., 0] * torch.tensor([-1.0, 1.0]).view(1, 2, 1)
    before, after = (planes[:, :, 7] for planes in (ab, neutralized(ab, lightness, 0.75)))
    across = BROWN.flip(1)[..., 0] * torch.tensor([-1.0, 1.0]).view(1, 2, 1)
    assert torch.allclose((after * across).sum(dim=1), (before * across).sum(dim=1), atol=0.5)


def test_what_is_faint_all_over_keeps_its_only_colour():
    ab, lightness = BROWN * torch.full((1, 1, 8, 8), 8.0), torch.full((1, 1, 8, 8), 80.0)
    assert torch.equal(neutralized(ab, lightness, 1.0), ab)


def test_more_chroma_on_a_wall_gives_more_out():
    walls = [neutralized(*room(wall=c / 2), 1.0)[0, :, 6, 3].norm() for c in range(1, 60)]
    assert torch.stack(walls).diff().min() > -1e-5


def test_the_mean_that_decides_counts_places_by_their_weight():
    ab, lightness = room(wall=8.0)
    ab[..., :2, :] *= -1
    weight = torch.ones(1, 1, 8, 8)
    weight[..., :2, :] = 0  # the sky is not asked
    changed = neutralize(ab, is_light_and_faint(ab, lightness), 0.75, weight)
    assert torch.allclose(changed[..., 4:, :], 0.25 * ab[..., 4:, :], atol=1e-5)


def test_what_is_grey_all_over_is_not_neutralized_to_nan():
    grey = torch.zeros(1, 2, 3, 5)
    assert torch.equal(neutralized(grey, torch.full((1, 1, 3, 5), 70.0), 1.0), grey)
