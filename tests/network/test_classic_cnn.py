"""The original's network, as its README and checkpoints describe it."""

import pytest
import torch

from colourizer.network.classic_cnn import ClassicCNN


def test_it_has_the_originals_number_of_parameters():
    assert sum(p.numel() for p in ClassicCNN().parameters()) == 183_195


@pytest.mark.parametrize(("height", "width"), [(8, 8), (1, 1), (13, 22)])
def test_any_size_gives_rgb_and_chroma_of_that_size(height, width):
    model = ClassicCNN().eval()
    rgb = model(torch.rand(2, 1, height, width))
    assert rgb.shape == (2, 3, height, width)
    assert 0 <= rgb.min() <= rgb.max() <= 1
    assert model.ab_of(model(torch.rand(2, 1, height, width) * 100)).shape == (2, 2, height, width)
