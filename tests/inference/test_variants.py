"""variants.py: each thing as a whole gets another of the colours that are likely for it."""

import pytest
import torch

from colourizer.colour.bins import ab_bin_centres
from colourizer.inference.readout import confidence, read_ab, sqrt_softmax
from colourizer.inference.variants import MAX_VARIANTS, lean, thing_directions

CENTRES = ab_bin_centres()
SHARES = torch.softmax(-CENTRES.norm(dim=1) / 12, dim=0)  # as in photographs, about grey
DOUBTFUL = ((30, 0), (-30, 0), (0, 30), (0, -30))
SURE = ((30, 20),)


def logits_of(*likely: tuple[float, float]) -> torch.Tensor:
    """Return logits (1, K, 16, 16) of bins (a, b) that are equally likely; the rest is not."""
    logits = torch.full((len(CENTRES),), -20.0)
    for ab in likely:
        logits[(torch.tensor(ab) == CENTRES).all(dim=1)] = 0
    return logits[None, :, None, None].repeat(1, 1, 16, 16)


def halves() -> torch.Tensor:
    """Return features (1, 4, 8, 8) of a photograph of two things, left and right."""
    things = torch.zeros(1, 4, 8, 8)
    things[:, 0, :, :4], things[:, 1, :, 4:] = 1.7, 1.7
    return things


def read(logits: torch.Tensor, variant: int) -> torch.Tensor:
    """Return the ab (2, 16, 16) of a variant of the two halves, at vividness 0."""
    roots = sqrt_softmax(logits)
    leaning = lean(roots, CENTRES, thing_directions(halves(), variant))
    return read_ab(leaning, CENTRES, SHARES, 0, confidence(roots, CENTRES))[0]


def test_variants_differ_where_several_colours_are_likely_and_agree_where_one_is():
    for likely, least, most in ((DOUBTFUL, 8, 90), (SURE, 0, 0.5)):
        colourings = torch.stack([read(logits_of(*likely), n)[:, 8, 3] for n in range(5)])
        distances = torch.cdist(colourings, colourings)[~torch.eye(5, dtype=torch.bool)]
        assert least <= distances.min()
        assert distances.max() <= most


def test_a_thing_gets_one_colour_and_another_thing_another():
    for variant in range(1, 6):
        ab = read(logits_of(*DOUBTFUL), variant)
        left, right = ab[:, :, :6].flatten(1), ab[:, :, 10:].flatten(1)
        assert left.std(dim=1).max() < 0.5
        assert right.std(dim=1).max() < 0.5
        assert (left.mean(dim=1) - right.mean(dim=1)).norm() > 10


def test_the_first_colouring_is_the_most_likely_one():
    roots = sqrt_softmax(logits_of(*DOUBTFUL))
    assert torch.equal(lean(roots, CENTRES, thing_directions(halves(), 0)), roots)


@pytest.mark.parametrize("variant", [0, 1, 2, MAX_VARIANTS - 1])
def test_a_variant_s_number_may_be_a_tensor(variant):
    number = torch.tensor(variant, dtype=torch.int32)
    assert torch.equal(thing_directions(halves(), number), thing_directions(halves(), variant))


def test_of_a_photograph_of_one_thing_there_are_variants_too():
    thing = torch.rand(1, 4, 1, 1).expand(1, 4, 8, 8)
    directions = torch.stack([thing_directions(thing, n)[0, :, 4, 4] for n in range(1, 7)])
    assert torch.cdist(directions, directions)[~torch.eye(6, dtype=torch.bool)].min() > 0.1
