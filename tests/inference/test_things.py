"""things.py: places of one thing get the same features."""

import torch

from colourizer.inference.things import thing_vectors


def noisy_halves() -> torch.Tensor:
    """Return features (1, 4, 8, 8) of two things, left and right, each place with noise."""
    vectors = torch.zeros(1, 4, 8, 8)
    vectors[:, 0, :, :4], vectors[:, 1, :, 4:] = 1.7, 1.7
    return vectors + 0.2 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))


def test_the_places_of_a_thing_agree_and_two_things_stay_apart():
    vectors = noisy_halves()
    things = thing_vectors(vectors)
    left, right = things[0, :, :, :4].flatten(1), things[0, :, :, 4:].flatten(1)
    assert left.std(dim=1).max() < 0.1 * vectors[0, :, :, :4].flatten(1).std(dim=1).min()
    assert (left.mean(dim=1) - right.mean(dim=1)).norm() > 2


def test_what_is_one_thing_keeps_its_features():
    vectors = torch.rand(1, 5, 1, 1).expand(1, 5, 6, 4)
    assert torch.allclose(thing_vectors(vectors), vectors, atol=1e-6)
