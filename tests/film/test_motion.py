"""motion.py: chroma goes where its lightness went."""

import torch

from colourizer.film.motion import match_cells, take_displaced, to_cells


def test_what_does_not_move_is_not_displaced():
    torch.manual_seed(0)
    cells = torch.rand(1, 1, 12, 16) * 100
    displacements, unmatched = match_cells(cells, cells + 0.5 * torch.randn_like(cells))
    planes = torch.rand(1, 2, 12, 16)
    assert torch.equal(take_displaced(planes, displacements), planes)
    assert unmatched == 0


def test_chroma_moves_with_lightness():
    torch.manual_seed(0)
    before, planes = torch.rand(1, 1, 12, 16) * 100, torch.rand(1, 2, 12, 16)
    after = before.roll((1, -2), dims=(2, 3))
    displacements, _ = match_cells(before, after)
    moved = take_displaced(planes, displacements)
    inside = (..., slice(2, -1), slice(1, -4))
    assert torch.equal(moved[inside], planes.roll((1, -2), dims=(2, 3))[inside])


def test_what_was_not_there_is_unmatched():
    before = torch.full((1, 1, 16, 16), 20.0)
    after = before.clone()
    after[..., 4:8, 4:8] = 90
    _, unmatched = match_cells(before, after)
    assert 16 / 256 <= unmatched < 40 / 256


def test_cells_are_means_of_four_by_four_pixels():
    lightness = torch.arange(64.0).view(1, 1, 8, 8)
    assert to_cells(lightness)[0, 0, 0, 1] == lightness[0, 0, :4, 4:].mean()
