"""The network: any size, one head for all recipes, frozen parts that stay."""

import pytest
import torch
from torch import nn

from colourizer.training.distributed import sync_batch_norm
from Model_CNN import (
    ENCODERS,
    AttentionBlock,
    Model_CNN,
    ModelConfig,
)


@pytest.fixture(scope="module")
def model() -> Model_CNN:
    torch.manual_seed(0)
    return Model_CNN().eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (1, 1), (33, 70), (31, 64), (100, 2)])
def test_any_size_gives_chroma_at_a_quarter_of_it(model, height, width):
    ab = model.ab_of(model(torch.rand(2, 1, height, width) * 100))
    assert ab.shape == (2, 2, -(-height // 4), -(-width // 4))


def test_every_convolution_of_the_encoder_is_followed_by_batch_normalization(model):
    layers = [m for m in model.encoder.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    convolves = [isinstance(layer, nn.Conv2d) for layer in layers]
    assert convolves == [True, False] * (len(layers) // 2)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_has_features_at_four_strides(encoder):
    model = Model_CNN(ModelConfig(encoder=encoder)).eval()
    features = model.encoder(torch.rand(1, 1, 64, 96) * 100)
    assert [f.shape[1] for f in features] == list(model.encoder.channels)
    assert [64 // f.shape[2] for f in features] == [4, 8, 16, 32]


def test_to_an_untrained_network_all_colours_are_equally_likely(model):
    logits = model(torch.rand(1, 1, 64, 64) * 100)
    assert (logits == 0).all()


def test_attention_begins_as_the_identity():
    torch.manual_seed(0)
    block, features = AttentionBlock(32), torch.rand(2, 32, 5, 7) * 6
    assert torch.equal(block(features), features)
    nn.init.normal_(block.project.weight)
    moved = features.clone()
    moved[:, :, 0, 0] = 6 - moved[:, :, 0, 0]
    assert (block(moved) - block(features))[:, :, 4, 6].abs().max() > 1e-3  # from corner to corner
    assert block(moved).min() >= 0
    assert block(moved).max() <= 6


def test_frozen_stages_stay_as_they_are_and_the_rest_learns():
    torch.manual_seed(0)
    model = Model_CNN()
    nn.init.normal_(model.head.weight, std=0.1)
    model.freeze_encoder(2)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.ab_of(model(torch.rand(2, 1, 64, 64) * 100)).square().mean().backward()
    optimizer.step()
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    frozen = ("encoder.stem.", "encoder.stages.0.", "encoder.stages.1.")
    assert not [name for name in changed if name.startswith(frozen)]
    assert any(name.startswith("encoder.stages.2.") for name in changed)
    assert any(name.startswith("steps.2.") for name in changed)


def test_frozen_norm_keeps_its_statistics_and_learns_its_weights():
    torch.manual_seed(0)
    model = Model_CNN()
    nn.init.normal_(model.head.weight, std=0.1)
    model.freeze_norm()
    sync_batch_norm(model, torch.device("cpu"))  # which makes new modules of them
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.ab_of(model(torch.rand(2, 1, 64, 64) * 100)).square().mean().backward()
    optimizer.step()
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert not [name for name in changed if name.endswith(("running_mean", "running_var"))]
    assert "encoder.stem.0.weight" in changed or "encoder.stem.1.weight" in changed
    assert "steps.2.mix.0.1.weight" in changed
