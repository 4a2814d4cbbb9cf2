"""losses.py: what makes each loss smallest."""

import torch

from colourizer.colour.bins import ab_bin_centres, soft_bins
from colourizer.training.losses import bins_loss, l1_loss

CENTRES = ab_bin_centres()


def test_l1_is_zero_where_the_mean_colour_is_true_and_linear_beside_it():
    logits = torch.full((1, len(CENTRES), 2, 2), -50.0)
    logits[:, 17] = 50.0
    ab = CENTRES[17].view(1, 2, 1, 1).expand(1, 2, 2, 2)
    assert l1_loss(logits, ab, CENTRES) < 1e-5
    near, far = l1_loss(logits, ab + 5, CENTRES), l1_loss(logits, ab + 10, CENTRES)
    assert torch.allclose(far, 2 * near)


def test_bins_loss_is_smallest_at_the_soft_bins_themselves():
    ab = torch.tensor([20.0, -10.0]).view(1, 2, 1, 1)
    truth = soft_bins(ab.movedim(1, -1), CENTRES).clamp_min(1e-12).log().movedim(-1, 1)
    at_truth = bins_loss(truth, ab, CENTRES)
    for seed in range(5):
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
        assert bins_loss(truth + noise, ab, CENTRES) > at_truth
