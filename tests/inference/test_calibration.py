"""calibration.py: a network that has faded is as colourful again as it was."""

import pytest
import torch
from support.scenes import ROOT

from colourizer.inference.calibration import DefaultReadout, restore_colourfulness
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint
from colourizer.training.data import read_training_set
from Model_CNN import Model_CNN

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    folder = ROOT / "data" / "samples_in_colour"
    return read_training_set([], folder, 128).validation[:4, :, ::2, ::2]


@pytest.fixture
def bundled() -> Model_CNN:
    model = build_model(load_checkpoint(BUNDLED), BUNDLED).eval()
    assert isinstance(model, Model_CNN)
    return model


def test_likelihoods_that_moved_towards_the_shares_are_as_colourful_again(bundled, photos):
    before = DefaultReadout(bundled, photos, CPU).colourfulness()
    with torch.no_grad():
        bundled.head.bias += 0.3 * bundled.bin_shares.clamp_min(1e-3).log()
    assert DefaultReadout(bundled, photos, CPU).colourfulness() < 0.85 * before
    assert 0.1 < restore_colourfulness(bundled, photos, CPU, before) < 0.7
    after = DefaultReadout(bundled, photos, CPU).colourfulness()
    assert after == pytest.approx(before, rel=0.03)


def test_a_network_that_is_colourful_enough_is_left_as_it_is(bundled, photos):
    bias = bundled.head.bias.clone()
    before = DefaultReadout(bundled, photos, CPU).colourfulness()
    assert restore_colourfulness(bundled, photos, CPU, 0.9 * before) == 0
    assert torch.equal(bundled.head.bias, bias)
