"""quantized_decoder.py: the decoder's answers in integers, as near as bf16's, in half the time."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from support.scenes import SAMPLES
from torch import nn

from colourizer.inference.colourizer import Colourizer
from colourizer.inference.preprocess import network_input, reduced_lightness
from colourizer.network.checkpoint import BUNDLED, build_model, load_checkpoint
from colourizer.network.fast import packed_conv
from colourizer.network.fast.packed_conv import SIZES, pack_convolutions
from colourizer.network.fast.quantized_decoder import (
    SCALE,
    QuantizedConv2d,
    QuantizedStep,
    is_supported,
    quantize,
    quantize_decoder,
)
from colourizer.network.prepare import (
    cast_to_bf16,
    fold_batch_norm,
    prepare_for_inference,
)
from colourizer.photos.read import read_photo
from Model_CNN import Model_CNN, ModelConfig

pytestmark = pytest.mark.skipif(not is_supported(), reason="not supported here")


def some_steps(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).byte()


def exact(convolution: nn.Conv2d, steps: torch.Tensor) -> torch.Tensor:
    """Convolve in float64, with weights rounded to 127 steps for each output channel."""
    weight = convolution.weight.detach().double()
    largest = weight.abs().flatten(1).amax(dim=1)[:, None, None, None]
    rounded = (weight / largest * 127).round() * largest / 127
    bias = None if convolution.bias is None else convolution.bias.detach().double()
    return F.conv2d(steps.double() * 6 / 255, rounded, bias, padding=convolution.padding)


def bundled(halved: bool = False) -> Model_CNN:
    model = build_model(load_checkpoint(BUNDLED), BUNDLED).eval()
    assert isinstance(model, Model_CNN)
    fold_batch_norm(model)
    if halved:
        cast_to_bf16(model)
    return model.to(memory_format=torch.channels_last)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(7, 9), (8, 8), (33, 20)])
@pytest.mark.parametrize(("c_in", "c_out", "kernel"), [(256, 160, 3), (24, 40, 3), (96, 261, 1)])
def test_a_convolution_answers_as_that_of_rounded_weights(c_in, c_out, kernel, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
    steps = some_steps(2, c_in, *size)
    expected = exact(plain, steps)
    added = torch.randn(expected.shape)
    sums = QuantizedConv2d(plain, torch.float32)
    # A weight half-way between two steps may be rounded either way.
    assert torch.allclose(sums(steps).double(), expected, atol=3e-3)
    assert torch.allclose(sums(steps, added.clone()).double(), expected + added, atol=3e-3)
    in_steps = QuantizedConv2d(plain, torch.uint8)(steps)
    assert in_steps.dtype == torch.uint8
    assert torch.allclose(in_steps * (6 / 255), expected.clamp(0, 6).float(), atol=0.6 * SCALE)


def test_quantizing_rounds_to_the_nearest_step_and_cuts_what_lies_outside():
    features = torch.tensor([-3.0, 0.0, 0.49 * SCALE, 0.51 * SCALE, 3.0, 6.0, 7.0, 1e9])
    assert quantize(features).tolist() == [0, 0, 0, 1, 128, 255, 255, 255]
    assert quantize(features.bfloat16()).tolist() == [0, 0, 0, 1, 128, 255, 255, 255]


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96), (50, 70)])
def test_a_step_answers_as_before(size):
    torch.manual_seed(0)
    model = bundled()
    step = model.steps[1]
    features = quantize(torch.rand(2, 256, *size) * 6)
    skip = torch.randn(2, 40, size[0] * 2, size[1] * 2)
    expected = step(features * SCALE, skip)
    ours = QuantizedStep(step, 40)(features, skip) * SCALE
    assert (ours - expected).abs().mean() < SCALE
    assert expected.std() > 20 * SCALE


@torch.inference_mode()
@pytest.mark.parametrize("halved", [False, True])
def test_the_bundled_network_sees_the_colours_that_it_sees_in_fp32(halved):
    """In bf16 too: as far as the same network is without these kernels, and no further."""
    exact, plain, ours = bundled(), bundled(halved).requires_grad_(False), bundled(halved)
    quantize_decoder(ours)
    pack_convolutions(ours)
    off = []
    for path in sorted(SAMPLES.glob("*.jpg")):
        small = network_input(reduced_lightness(read_photo(path).pixels))
        expected = exact.ab_of(exact(small))
        with torch.autocast("cpu", enabled=halved):
            errors = [model.ab_of(model(small)) - expected for model in (plain, ours)]
        off.append([float(error.norm(dim=1).mean()) for error in errors])
    assert all(with_kernels < without + 0.1 for without, with_kernels in off)  # Lab units
    assert sum(with_kernels for _, with_kernels in off) / len(off) < (0.5 if halved else 0.1)


def test_a_colourizer_on_the_cpu_has_it():
    parts = {type(part) for part in Colourizer.load(device="cpu").model.modules()}
    assert {QuantizedStep, QuantizedConv2d} <= parts


@torch.inference_mode()
def test_many_sizes_in_many_threads_come_out_right_and_not_all_are_kept():
    plain = nn.Conv2d(8, 8, 3, padding=1)
    ours = QuantizedConv2d(plain, torch.float32)
    sizes = [(1, 8, side, side + 1) for side in range(3, 3 + 3 * SIZES)] * 4

    def differs(size: tuple[int, ...]) -> float:
        with torch.inference_mode():
            steps = some_steps(*size)
            return float((ours(steps) - exact(plain, steps)).abs().max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(differs, sizes)) < 1e-3
    assert ours._packed.cache_info().currsize == SIZES


@pytest.mark.parametrize("wrong", ["gone", "fails", "overflows", "no packed convolutions"])
def test_where_the_operators_are_not_right_a_decoder_stays_as_it_is(monkeypatch, wrong):
    whole = torch.ops.onednn.qconv2d_pointwise

    def fake(features, *rest):
        if wrong == "fails":
            raise RuntimeError("expected 22 arguments")
        return whole(features.clamp_max(127), *rest)  # no sum leaves 16 bits then

    fake.binary = whole.binary
    if wrong == "gone":
        monkeypatch.setattr(torch.ops, "onednn", None)
    elif wrong == "no packed convolutions":
        monkeypatch.setattr(packed_conv, "is_supported", lambda: False)
    else:
        monkeypatch.setattr(torch.ops.onednn, "qconv2d_pointwise", fake)
    assert not is_supported()
    model = Model_CNN().eval()
    before = copy.deepcopy(model)
    quantize_decoder(model)
    assert [type(part) for part in model.modules()] == [type(part) for part in before.modules()]


def test_a_network_with_attention_gets_the_colours_of_its_plain_definition():
    torch.manual_seed(0)
    model = Model_CNN(ModelConfig(attention_blocks=2))
    for parameter in (*model.attention.parameters(), *model.head.parameters()):
        nn.init.normal_(parameter, std=0.1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # so that one pass sets means and variances
    lightness = network_input(reduced_lightness(read_photo(SAMPLES / "coffee.jpg").pixels))
    with torch.inference_mode():
        model.train()(lightness)
        expected = model.ab_of(model.eval()(lightness))
        ab = prepare_for_inference(model, torch.device("cpu"))(lightness)
        found = model.ab_of(ab.float())
    spread = expected.std()
    assert spread > 2  # Lab units
    assert (found - expected).abs().mean() < 0.15 * spread
