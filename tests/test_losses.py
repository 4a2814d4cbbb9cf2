"""losses.py: soft bins against ECCV16's own words, and what makes each loss smallest."""

import torch

from colour_space import ab_bin_centres
from losses import bins_loss, l1_loss, soft_bins

CENTRES = ab_bin_centres()


def test_soft_bins_are_a_gaussian_over_the_bins():
    ab = torch.tensor([[12.0, -33.0], [0.0, 0.0], [60.0, 50.0]])
    distances = torch.cdist(ab, CENTRES)
    gaussian = torch.exp(-(distances**2) / (2 * 5**2))
    expected = gaussian / gaussian.sum(dim=1, keepdim=True)
    assert torch.allclose(soft_bins(ab, CENTRES), expected, atol=1e-5)
    nearest_five = soft_bins(ab, CENTRES).topk(5).values.sum(dim=1)
    assert nearest_five.min() > 0.8  # ECCV16 keeps only those


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
