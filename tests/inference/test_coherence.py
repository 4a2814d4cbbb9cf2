"""coherence.py: what is alike gets one colour, what is not keeps its own."""

import torch

from colourizer.inference.coherence import affinity, average_alike, stride_8_vectors


def two_things(height: int = 8, width: int = 12) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features at strides 8 and 4 of a left and a right half; a mask of the left, at stride 4."""
    is_left = torch.zeros(1, 1, 2 * height, 2 * width)
    is_left[..., :width] = 1
    fine = torch.cat((is_left, 1 - is_left), dim=1)
    return [torch.nn.functional.avg_pool2d(fine, 2), fine], is_left


def test_weights_of_each_place_sum_to_one_and_prefer_what_is_alike():
    features, _ = two_things()
    weights = affinity(stride_8_vectors(features))
    assert weights.shape == (8 * 12, 4 * 6)
    assert torch.allclose(weights.sum(dim=1), torch.ones(96))
    first_row = weights[0].view(4, 6)  # of a place on the left
    assert first_row[:, :3].sum() > 0.99


def test_a_patch_on_one_thing_goes_and_the_other_thing_keeps_its_colour():
    features, is_left = two_things()
    ab = torch.cat((30 * is_left, 20 * (1 - is_left)), dim=1)
    ab[..., :8, :4] = 0  # a patch without colour
    after = average_alike(ab, affinity(stride_8_vectors(features)))
    assert after.shape == ab.shape
    left, right = after[..., :10], after[..., 14:]
    assert left[:, 0, 2:6, :2].min() > 15
    assert left[:, 0].std() < 0.5 * ab[..., :10][:, 0].std()
    assert (right - ab[..., 14:]).abs().max() < 0.5


def test_fine_detail_stays():
    features, _ = two_things()
    checks = ((torch.arange(16)[:, None] + torch.arange(24)) % 2 * 10.0).expand(1, 2, -1, -1)
    assert torch.allclose(
        average_alike(checks, affinity(stride_8_vectors(features))), checks, atol=1e-3
    )


def test_half_precision_features_give_the_same_weights():
    features, _ = two_things()
    with torch.autocast("cpu", torch.bfloat16):
        weights = affinity(stride_8_vectors([each.bfloat16() for each in features]))
    assert weights.dtype == torch.float32
    assert torch.allclose(weights, affinity(stride_8_vectors(features)), atol=0.02)
