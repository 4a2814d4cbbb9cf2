"""known_colours.py: what is shown is true, or slightly wrong, and often nothing."""

import pytest
import torch

from colourizer.training.known_colours import WRONG_AB, choose_known


def chosen(share: float, seed: int = 0, count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    ab = torch.randn(count, 2, 32, 32, generator=torch.Generator().manual_seed(1)) * 30
    return ab, choose_known(ab, share, torch.Generator().manual_seed(seed))


def test_as_many_pictures_as_asked_for_show_something():
    for share in (0.0, 0.5, 1.0):
        _, known = chosen(share)
        shows = known[:, 2].flatten(1).any(dim=1).float().mean().item()
        assert shows == pytest.approx(share, abs=0.1)


def test_where_nothing_is_known_there_is_nothing_and_elsewhere_nearly_the_truth():
    ab, known = chosen(1.0)
    mask = known[:, 2:]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (known[:, :2][mask.expand(-1, 2, -1, -1) == 0] == 0).all()
    error = ((known[:, :2] - ab) * mask).abs().flatten(1).amax(dim=1)
    assert 0.55 < (error == 0).float().mean() < 0.85  # of most pictures all is true
    assert error.max() < 6 * WRONG_AB


def test_points_and_regions_of_many_sizes_are_shown():
    _, known = chosen(1.0)
    areas = known[:, 2].flatten(1).sum(dim=1)
    assert areas.min() == 1
    assert ((areas > 1) & (areas <= 20)).any()
    assert areas.max() > 0.3 * 32 * 32
    assert areas.max() <= 0.51 * 32 * 32


def test_the_generator_decides_everything():
    assert torch.equal(chosen(0.5, seed=3)[1], chosen(0.5, seed=3)[1])
    assert not torch.equal(chosen(0.5, seed=3)[1], chosen(0.5, seed=4)[1])
