"""retrieval.py: photographs that are alike become candidates, without comparing all with all."""

import pytest
import torch
import torch.nn.functional as F

from colourizer.inference.retrieval import (
    CANDIDATES,
    IN_ORDER,
    candidate_pairs,
    fit_projection,
    k_means,
    word_histogram,
)


def descriptors(count: int) -> torch.Tensor:
    noise = torch.rand(count, 64, generator=torch.Generator().manual_seed(0))
    return F.normalize(noise.pow(4), dim=1)


@pytest.mark.parametrize("count", [30, 1200])
def test_what_is_alike_is_a_candidate_and_their_number_grows_with_the_album_only(count):
    found = descriptors(count)
    half = count // 2
    found[half:] = F.normalize(found[:half] + 0.02 * found[half:], dim=1)  # twins, far apart
    pairs = candidate_pairs(found)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    listed = set(map(tuple, pairs.tolist()))
    assert len(listed) == len(pairs) <= count * (CANDIDATES + IN_ORDER)
    assert {(n, n + half) for n in range(half)} <= listed


def test_neighbours_in_order_are_candidates_however_they_look():
    listed = set(map(tuple, candidate_pairs(descriptors(100)).tolist()))
    assert {(n, n + 1) for n in range(99)} <= listed


@pytest.mark.parametrize(
    ("count", "pairs"), [(1, []), (2, [[0, 1]]), (3, [[0, 1], [0, 2], [1, 2]])]
)
def test_few_photographs_are_all_candidates(count, pairs):
    assert candidate_pairs(descriptors(count)).tolist() == pairs


def test_words_are_the_centres_of_clusters_and_histograms_count_them():
    clusters = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    vectors = clusters.repeat(50, 1) + 0.1 * torch.randn(150, 2)
    words = k_means(vectors, 3)
    histogram = word_histogram(vectors[:4], words)
    assert histogram.square().sum() == pytest.approx(1)
    assert torch.cdist(clusters, k_means(clusters, 5)).min(dim=1).values.max() == 0


def test_components_are_those_of_most_variance_the_less_so_the_more_alike():
    chance = torch.Generator().manual_seed(0)
    vectors = torch.randn(2000, 3, generator=chance) * torch.tensor([1.0, 16.0, 0.01]) + 5
    mean, components = fit_projection(vectors, 2)
    reduced = (vectors - mean) @ components
    assert torch.allclose(reduced.std(dim=0), torch.tensor([4.0, 1.0]), rtol=0.1)
    assert fit_projection(torch.ones(10, 3), 2)[1].isfinite().all()
