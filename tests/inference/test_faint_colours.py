"""faint_colours.py: a picture with hardly any colour gets more of its own; others stay."""

import pytest
import torch

from colourizer.inference.faint_colours import ADDED, LIKELY_MEAN, MAX_GAIN, enlarge_faint


def of_mean(chroma: float) -> torch.Tensor:
    """Return ab (1, 2, 8, 8) of many hues, whose mean chroma is given in Lab units."""
    ab = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    return ab * chroma / ab.norm(dim=1).mean()


@pytest.mark.parametrize("vividness", [0.4, 0.8])
def test_a_share_of_what_is_less_than_likely_is_added_to_the_mean_chroma(vividness):
    ab = of_mean(8.0)
    enlarged = enlarge_faint(ab, vividness)
    mean = enlarged.norm(dim=1).mean()
    assert mean.item() == pytest.approx(8 + ADDED * vividness * (LIKELY_MEAN - 8), rel=1e-5)
    assert torch.allclose(enlarged / ab, (enlarged / ab).mean(), rtol=1e-4)  # no hue turns


def test_colourful_pictures_stay_as_they_are_and_at_vividness_0_all_do():
    assert torch.equal(enlarge_faint(of_mean(LIKELY_MEAN + 0.1), 1.0), of_mean(LIKELY_MEAN + 0.1))
    assert torch.equal(enlarge_faint(of_mean(3.0), 0.0), of_mean(3.0))


def test_more_colour_in_gives_more_colour_out():
    means = [enlarge_faint(of_mean(c / 4), 1.0).norm(dim=1).mean() for c in range(1, 80)]
    assert torch.stack(means).diff().min() > 0


def test_what_is_all_but_grey_is_not_made_colourful():
    assert torch.equal(enlarge_faint(torch.zeros(1, 2, 3, 5), 1.0), torch.zeros(1, 2, 3, 5))
    assert enlarge_faint(of_mean(0.5), 1.0).norm(dim=1).mean() <= 0.5 * MAX_GAIN + 1e-5
