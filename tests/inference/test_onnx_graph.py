"""onnx_graph.py: levels, network and readout in tensor operations equal the plain definitions."""

import pytest
import torch

from colourizer.colour.space import grey_to_lightness
from colourizer.inference.looks import Look
from colourizer.inference.onnx_graph import GreyToColours
from colourizer.inference.prediction import Prediction
from colourizer.inference.preprocess import network_input
from colourizer.network.classic_cnn import ClassicCNN
from Model_CNN import Model_CNN, ModelConfig

SIZE = (256, 256)  # pixels, a working size


def random_greys(low: int, high: int, seed: int = 0) -> torch.Tensor:
    """Return greys (1, *SIZE) uint8 in [low, high]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, (1, *SIZE), generator=generator, dtype=torch.uint8)


def random_network(config: ModelConfig | None = None) -> Model_CNN:
    """Return a network whose every part matters to its output."""
    torch.manual_seed(0)
    model = Model_CNN(config).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    model.bin_shares.copy_(torch.rand_like(model.bin_shares))
    model.bin_shares.div_(model.bin_shares.sum())
    return model


@pytest.mark.parametrize(
    "span", [(0, 255), (90, 160), (5, 120), (120, 130), (200, 255), (77, 77)], ids=str
)
def test_levels_are_stretched_as_for_colourizing(span):
    grey = random_greys(*span)
    lightness = GreyToColours(ClassicCNN()).stretch_levels(grey)[grey.long()]
    expected = network_input(grey_to_lightness(grey / 255))
    assert torch.equal(lightness[None], expected)


def test_levels_of_few_outliers_are_ignored_as_for_colourizing():
    grey = random_greys(90, 160)
    grey[0, 0, :200], grey[0, 1, :200] = 0, 255
    lightness = GreyToColours(ClassicCNN()).stretch_levels(grey)[grey.long()]
    assert torch.equal(lightness[None], network_input(grey_to_lightness(grey / 255)))


@torch.inference_mode()
def test_colours_and_confidence_are_those_of_a_prediction():
    model, grey = random_network(), random_greys(60, 180)
    graph = GreyToColours(model)
    lightness = network_input(grey_to_lightness(grey / 255))
    prediction = Prediction.of_plain_network(model, lightness)
    for vividness, variant in ((0.0, 0), (0.5, 3), (1.0, 23)):
        scalars = torch.tensor(vividness), torch.tensor(variant, dtype=torch.int32)
        ab, sure, *_ = graph(grey, *scalars)
        assert (ab - prediction.ab(Look(vividness), variant)).abs().max() < 1e-3
        assert (sure - prediction.confidence()).abs().max() < 1e-5


@torch.inference_mode()
def test_a_network_without_likelihoods_gives_ab_alone():
    model, grey = random_network(ModelConfig(likelihoods=False)), random_greys(60, 180)
    outputs = GreyToColours(model)(grey, torch.tensor(1.0), torch.tensor(0, dtype=torch.int32))
    output = model(network_input(grey_to_lightness(grey / 255)))
    assert len(outputs) == 1
    assert torch.allclose(outputs[0], model.ab_of(output), atol=1e-4)
