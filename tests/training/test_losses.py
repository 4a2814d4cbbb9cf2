"""losses.py: what makes each loss smallest, and that it is computed quickly to the same value."""

import pytest
import torch

from colourizer.colour.bins import ab_bin_centres, soft_bins
from colourizer.training.fast import bins_loss as fast
from colourizer.training.losses import bins_loss, consistency_loss, l1_loss

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


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_the_fast_bins_loss_has_the_value_and_the_gradient_of_the_plain_one(memory, monkeypatch):
    monkeypatch.setattr(fast, "PART", 7)  # the last part is smaller
    generator = torch.Generator().manual_seed(0)
    ab = torch.randn(2, 2, 3, 5, generator=generator) * 40
    logits = 3 * torch.randn(2, len(CENTRES), 3, 5, generator=generator)
    results = []
    for loss_of in (bins_loss, fast.bins_loss):
        leaf = logits.to(memory_format=memory).requires_grad_()
        loss = loss_of(leaf, ab, CENTRES)
        (3 * loss).backward()
        results += [loss.detach(), leaf.grad]
    torch.testing.assert_close(results[2], results[0])
    torch.testing.assert_close(results[3], results[1], rtol=1e-3, atol=1e-6)


NO_AGED = torch.zeros(0, dtype=torch.int64)


def test_consistency_is_zero_between_a_crop_and_its_mirrored_prediction_and_more_elsewhere():
    crops = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    assert consistency_loss(torch.cat((crops, crops.flip(-1))), NO_AGED).abs() < 1e-6
    assert consistency_loss(torch.cat((crops, crops)), NO_AGED) > 0.1


def test_a_crop_and_its_mirror_image_approach_each_other_and_an_aged_one_learns_alone():
    crops = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    logits = torch.cat((crops, -crops)).requires_grad_()
    consistency_loss(logits, torch.tensor([3])).backward()
    one, mirrored = logits.detach().softmax(dim=1), logits.detach().flip(-1).softmax(dim=1)
    apart = (one[:2] - mirrored[2:]) / (4 * 3 * 5)  # of the mean over all places
    assert logits.grad is not None
    first, second = logits.grad[:2], logits.grad[2:].flip(-1)
    torch.testing.assert_close(first[0], apart[0] / 2)
    torch.testing.assert_close(second[0], -apart[0] / 2)
    assert not first[1].any()
    torch.testing.assert_close(second[1], -apart[1])
