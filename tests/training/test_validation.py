"""validation.py: figures and pictures of photographs that are held out."""

import pytest
import torch
from support.scenes import pixels_of, scene

from colourizer.colour.bins import soft_bins
from colourizer.colour.metrics import ab_error, psnr
from colourizer.colour.space import rgb_to_lab
from colourizer.network.checkpoint import build_model, load_checkpoint
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.training.losses import pool_ab
from colourizer.training.validation import likelihoods_beat_shares, validate
from Model_CNN import Model_CNN

CPU = torch.device("cpu")
PHOTOS = torch.stack([pixels_of(scene(n, 64, 64)) for n in range(13)])


def never() -> bool:
    return False


class Oracle(Model_CNN):
    """Knows the colours of PHOTOS, ten at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, lightness):
        ab = rgb_to_lab(PHOTOS[self.asked : self.asked + len(lightness)] / 255)[:, 1:]
        self.asked += len(lightness)
        blocks = pool_ab(ab, torch.empty(1, 1, 16, 16)).movedim(1, -1)
        return soft_bins(blocks, self.bin_centres).clamp_min(1e-9).log().movedim(-1, 1)


def test_a_grey_network_is_as_good_as_grey():
    found = validate(Model_CNN().eval(), PHOTOS, CPU, "l1", never)
    figures = found.figures
    lab = rgb_to_lab(PHOTOS / 255)
    grey = sum(ab_error(torch.zeros(2, 64, 64), photo[1:]) for photo in lab) / len(lab)
    assert figures["grey_ab_error"] == pytest.approx(grey, abs=1e-3)
    assert figures["ab_error"] == pytest.approx(grey, rel=0.2)  # all bins alike: nearly grey
    assert figures["colourfulness_ratio"] < 0.2
    assert found.grey.shape == found.predicted.shape == found.true.shape == (6, 3, 128, 128)
    assert torch.equal(found.grey[:, 0], found.grey[:, 2])


def test_a_network_that_knows_the_truth_is_near_it():
    found = validate(Oracle().eval(), PHOTOS, CPU, "bins", never)
    figures = found.figures
    assert figures["ab_error"] < 0.5 * figures["grey_ab_error"]
    assert figures["rgb_psnr"] > figures["grey_rgb_psnr"] + 5
    assert figures["colourfulness_ratio"] == pytest.approx(1, abs=0.15)
    assert psnr(found.predicted / 255, found.true / 255, 1) > 25
    assert likelihoods_beat_shares(figures)


def test_bins_that_were_never_trained_as_likelihoods_are_found_out():
    torch.manual_seed(0)
    model = Model_CNN().eval()
    torch.nn.init.normal_(model.head.bias, std=5)
    assert not likelihoods_beat_shares(validate(model, PHOTOS, CPU, "l1", never).figures)


def test_the_bundled_checkpoint_says_likelihoods(tmp_path):
    from colourizer.network.checkpoint import BUNDLED

    model = build_model(load_checkpoint(BUNDLED), BUNDLED)
    assert likelihoods_beat_shares(validate(model, PHOTOS[:3], CPU, "l1", never).figures)


def test_the_originals_network_has_no_likelihoods():
    found = validate(ClassicCNN().eval(), PHOTOS[:3], CPU, "l1", never)
    assert "cross_entropy" not in found.figures
    assert not likelihoods_beat_shares(found.figures)


def test_it_stops_when_it_is_asked_to():
    answers = iter([False, True])
    assert validate(ClassicCNN().eval(), PHOTOS, CPU, "l1", lambda: next(answers)) is None
