"""bins.py: colours into bins, and out of likelihoods safe or vivid colours."""

import pytest
import torch

from colourizer.colour.bins import AB_BIN_SIZE, ab_bin_centres, mean_of_bins, soft_bins
from colourizer.colour.space import rgb_to_lab
from colourizer.inference.readout import (
    ANNEALING,
    DARK,
    MAX_GAIN,
    MAX_REBALANCING,
    MIDDLE,
    SATURATED,
    anneal,
    class_weights,
    confidence,
    read_ab,
    sqrt_softmax,
    standard_deviation,
    vivid_weight,
)

CENTRES = ab_bin_centres()
K = len(CENTRES)
# As in photographs: a Gaussian about grey.
SHARES = torch.softmax(-CENTRES.norm(dim=1) / 12, dim=0)


def logits_of(*likely: tuple[float, float, float]) -> torch.Tensor:
    """Return logits (1, K, 1, 1) of bins (a, b) with probabilities; the rest is unlikely."""
    probability = torch.full((K,), 1e-9)
    for a, b, share in likely:
        probability[(torch.tensor([a, b]) == CENTRES).all(dim=1)] = share
    return probability.log()[None, :, None, None]


def read(logits: torch.Tensor, vividness: float, shares: torch.Tensor = SHARES) -> torch.Tensor:
    """Read colours as the colourizer does."""
    roots = sqrt_softmax(logits)
    sure = confidence(roots, CENTRES)
    weight = vivid_weight(sure, torch.full_like(sure, MIDDLE))
    return read_ab(roots, CENTRES, shares, vividness, weight)


def spread(*likely: tuple[float, float, float]) -> torch.Tensor:
    return standard_deviation(sqrt_softmax(logits_of(*likely)), CENTRES)


def random_logits() -> torch.Tensor:
    return 3 * torch.randn(2, K, 3, 5, generator=torch.Generator().manual_seed(0))


def test_the_bins_cover_every_srgb_colour_within_half_a_cell():
    rgb = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rgb[:, :8] = rgb[:, :8].round()  # the corners of the cube
    centres = CENTRES.double()
    ab = rgb_to_lab(rgb)[1:].flatten(1).T
    nearest = centres[torch.cdist(ab, centres).argmin(dim=1)]
    assert (nearest - ab).abs().max() <= AB_BIN_SIZE / 2 + 1e-6
    assert len(torch.unique(centres, dim=0)) == len(centres)


def test_soft_bins_are_a_gaussian_over_the_bins():
    ab = torch.tensor([[12.0, -33.0], [0.0, 0.0], [60.0, 50.0]])
    distances = torch.cdist(ab, CENTRES)
    gaussian = torch.exp(-(distances**2) / (2 * 5**2))
    expected = gaussian / gaussian.sum(dim=1, keepdim=True)
    assert torch.allclose(soft_bins(ab, CENTRES), expected, atol=1e-5)
    nearest_five = soft_bins(ab, CENTRES).topk(5).values.sum(dim=1)
    assert nearest_five.min() > 0.8  # ECCV16 keeps only those


def test_a_low_temperature_moves_the_mean_to_the_most_likely_bin():
    logits = random_logits()
    likeliest = CENTRES[logits.argmax(dim=1)].movedim(-1, 1)
    assert torch.allclose(mean_of_bins(logits, CENTRES, 1e-4), likeliest, atol=0.1)
    plain = torch.einsum("bkhw,kc->bchw", torch.softmax(logits, 1), CENTRES)
    assert torch.allclose(mean_of_bins(logits, CENTRES), plain, atol=1e-4)


def test_the_spread_of_two_equally_likely_colours_is_half_their_distance():
    assert spread((20, 0, 0.5), (-20, 0, 0.5)).item() == pytest.approx(20, abs=0.01)
    assert spread((20, 0, 1.0)) < 0.1


def test_confidence_falls_from_one_as_the_likely_colours_spread():
    sure, doubtful, lost = (
        confidence(sqrt_softmax(logits_of((r, 0, 0.5), (-r, 0, 0.5))), CENTRES).item()
        for r in (0, 20, 40)
    )
    assert 1 >= sure > 0.99 > doubtful > lost > 0


def test_rebalancing_undoes_how_common_the_bins_are():
    # Where a photograph tells nothing, the likelihoods are the shares; made up for in full, they
    # are the same for all but the rarest bins.
    made_up_for = SHARES * class_weights(SHARES, 1.0)
    ordinary = SHARES > 1 / K
    assert made_up_for[ordinary].max() / made_up_for[ordinary].min() < 1.5
    assert SHARES[ordinary].max() / SHARES[ordinary].min() > 5
    assert torch.equal(class_weights(SHARES, 0.0), torch.ones(K))


def test_the_vivid_colour_is_the_mean_of_the_rebalanced_likelihoods():
    logits, sure = random_logits(), torch.ones(2, 1, 3, 5)
    rebalanced = logits + class_weights(SHARES, MAX_REBALANCING).log()[:, None, None]
    mean = mean_of_bins(rebalanced, CENTRES, 1 / ANNEALING)
    chroma = mean.norm(dim=1, keepdim=True)
    expected = mean * (1 + MAX_GAIN / (1 + (chroma / SATURATED) ** 2))
    vivid = read_ab(sqrt_softmax(logits), CENTRES, SHARES, 1, sure)
    assert torch.allclose(vivid, expected, atol=1e-3)


def test_annealed_likelihoods_are_those_of_a_lower_temperature():
    for scale in (1, 10):  # of 10, most are too small for float32
        logits = scale * random_logits()
        annealed = anneal(sqrt_softmax(logits))
        expected = torch.softmax(logits * ANNEALING, dim=1).movedim(1, -1)
        annealed /= annealed.sum(dim=-1, keepdim=True)
        assert torch.allclose(annealed, expected, rtol=1e-4, atol=1e-9)


def test_vividness_raises_chroma_and_keeps_hue_where_one_hue_is_likely():
    logits = logits_of((0, 0, 0.3), (20, 0, 0.4), (40, 0, 0.3))
    readings = [read(logits, v).flatten() for v in (0, 0.25, 0.5, 0.75, 1)]
    chroma = [ab.norm().item() for ab in readings]
    assert chroma == sorted(chroma)
    assert chroma[-1] > 1.3 * chroma[0]
    assert all(abs(ab[1]) < 0.1 for ab in readings)


def test_vividness_0_is_the_annealed_mean_whatever_the_shares():
    logits = random_logits()
    assert torch.equal(read(logits, 0), read(logits, 0, SHARES.flip(0)))


def test_the_less_sure_the_network_the_less_of_the_vivid_colour_is_added():
    logits = logits_of((60, 0, 0.45), (0, 0, 0.1), (-20, 0, 0.45))
    safe, vivid = (read(logits, v) for v in (0, 1))
    roots = sqrt_softmax(logits)
    sure = confidence(roots, CENTRES).item()
    without_fallback = read_ab(roots, CENTRES, SHARES, 1, torch.ones(1, 1, 1, 1))
    assert sure < 0.7
    assert torch.allclose(vivid - safe, (without_fallback - safe) * sure**0.5, rtol=1e-3)
    assert (vivid - safe).norm() > 1


def test_dark_places_keep_their_safe_colours_and_light_ones_are_as_vivid_as_confidence_says():
    logits = logits_of((0.0, 0.0, 0.6), (40.0, 40.0, 0.4))
    roots = sqrt_softmax(logits)
    sure = confidence(roots, CENTRES)

    def at(lightness: float) -> torch.Tensor:
        weight = vivid_weight(sure, torch.full_like(sure, lightness))
        return read_ab(roots, CENTRES, SHARES, 1, weight)

    assert torch.equal(at(DARK), at(0.0))
    assert torch.allclose(at(DARK), mean_of_bins(logits.log_softmax(1) * ANNEALING, CENTRES))
    assert torch.allclose(at(MIDDLE), read(logits, 1))
    chroma = torch.stack([at(float(n)).norm() for n in range(101)])
    assert chroma.diff().min() > -1e-4
    assert torch.equal(at(100.0), at(90.0))
